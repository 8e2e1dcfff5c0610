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
        let (word, host) = parse(&line, nodes).ok_or_else(|| {
            CommandFault::Usage(format!(
                "`{line}` is not `cut N`, `join N`, `isolate N` or `reunite N`"
            ))
        })?;
        turn(&network, word, host);
        output::line(&line);
    }
    Ok(0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// From everybody.
    Cut,
    /// Undoes a cut.
    Join,
    /// From the other nodes, but not from clients.
    Isolate,
    /// Undoes an isolation.
    Reunite,
}

/// Where clients are.
const CLIENTS: u32 = 0;

fn parse(line: &str, nodes: u32) -> Option<(Word, u32)> {
    let (word, host) = line.trim().split_once(' ')?;
    let word = match word {
        "cut" => Word::Cut,
        "isolate" => Word::Isolate,
        "reunite" => Word::Reunite,
        "join" => Word::Join,
        _ => return None,
    };
    let host = host.parse().ok().filter(|host| *host <= nodes)?;
    Some((word, host))
}

/// Both directions of the links of one host.
fn turn(network: &Network, word: Word, host: u32) {
    let others = (0..).zip(&network.hosts).map(|(number, _)| number);
    let spares_clients = matches!(word, Word::Isolate | Word::Reunite);
    let is_meant = |other: &u32| *other != host && !(spares_clients && *other == CLIENTS);
    for other in others.filter(is_meant) {
        for link in [network.links.of(host, other), network.links.of(other, host)] {
            match word {
                Word::Cut | Word::Isolate => link.cut(),
                Word::Join | Word::Reunite => link.join(),
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
        assert_eq!(parse("isolate 1", 3), Some((Word::Isolate, 1)));
        assert_eq!(parse("join 0\n", 3), Some((Word::Join, 0)));
        for wrong in ["cut 4", "cut", "cut x", "burn 1", ""] {
            assert_eq!(parse(wrong, 3), None);
        }
    }
}
