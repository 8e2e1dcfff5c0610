//! `hosts`: the hosts and the switch of a run, for other programs, as long as standard input is open.

use std::io::{self, BufRead};

use super::{CommandFault, Done};
use crate::net::{Network, address_of};
use crate::output;

/// No chance is thrown: hosts are only cut off and joined.
const SEED: u64 = 0;

pub(crate) fn hosts(nodes: u32) -> Done {
    let network = Network::build(nodes, SEED).map_err(CommandFault::Processes)?;
    for (host, number) in network.hosts.iter().zip(0..) {
        output::line(format!(
            "host {number} {} {}",
            address_of(number),
            host.path().display()
        ));
    }
    output::line("ready");
    for line in io::stdin().lock().lines() {
        let line = line.map_err(CommandFault::Processes)?;
        let (word, host) = parse(&line, nodes)
            .ok_or_else(|| CommandFault::Usage(format!("`{line}` is not `cut N` or `join N`")))?;
        turn(&network, word, host);
        output::line(&line);
    }
    Ok(0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Cut,
    Join,
}

fn parse(line: &str, nodes: u32) -> Option<(Word, u32)> {
    let (word, host) = line.trim().split_once(' ')?;
    let word = match word {
        "cut" => Word::Cut,
        "join" => Word::Join,
        _ => return None,
    };
    let host = host.parse().ok().filter(|host| *host <= nodes)?;
    Some((word, host))
}

/// Both directions of all links of one host.
fn turn(network: &Network, word: Word, host: u32) {
    let others = (0..).zip(&network.hosts).map(|(number, _)| number);
    for other in others.filter(|other| *other != host) {
        for link in [network.links.of(host, other), network.links.of(other, host)] {
            match word {
                Word::Cut => link.cut(),
                Word::Join => link.join(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_and_others_refused() {
        assert_eq!(parse("cut 2", 3), Some((Word::Cut, 2)));
        assert_eq!(parse("join 0\n", 3), Some((Word::Join, 0)));
        for wrong in ["cut 4", "cut", "cut x", "burn 1", ""] {
            assert_eq!(parse(wrong, 3), None);
        }
    }
}
