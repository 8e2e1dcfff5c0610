//! Hosts of their own for the nodes, made by chronik-chaos, which also cuts them off.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use chronik_local::{Host, target_dir};

use crate::Outcome;
use crate::error::XtaskError;
use crate::step;

const TOOL: &str = "chronik-chaos hosts";

/// Dropping it ends the hosts; what still runs on them loses its network.
pub(super) struct Hosts {
    maker: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    clients: Host,
    nodes: Vec<Host>,
}

impl Hosts {
    pub(super) fn make(nodes: usize) -> Result<Self, XtaskError> {
        let mut build = step::cargo(&["build", "-p", "chronik-chaos"]);
        step::run("build chronik-chaos", &mut build)?;
        let mut maker = Command::new(target_dir().join("debug/chronik-chaos"))
            .args(["hosts", "--nodes", &nodes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| XtaskError::Spawn {
                program: TOOL.to_owned(),
                source,
            })?;
        let input = maker.stdin.take().expect("the pipe was asked for");
        let stdout = maker.stdout.take().expect("the pipe was asked for");
        let mut output = BufReader::new(stdout);
        let mut made = Vec::new();
        loop {
            let line = read(&mut output)?;
            if line == "ready" {
                break;
            }
            made.push(parse(&line).ok_or_else(|| unreadable(&line))?);
        }
        if made.len() != nodes + 1 {
            return Err(unreadable("too few hosts"));
        }
        let nodes = made.split_off(1);
        let clients = made.remove(0);
        Ok(Self {
            maker,
            input,
            output,
            clients,
            nodes,
        })
    }

    /// Moves the calling thread to where clients are.
    pub(super) fn enter(&self) -> Outcome {
        Ok(self.clients.enter()?)
    }

    /// The node with the number 1 comes first.
    pub(super) fn nodes(&self) -> &[Host] {
        &self.nodes
    }

    pub(super) fn cut(&mut self, node: usize) -> Outcome {
        self.say(&format!("cut {node}"))
    }

    /// From the other nodes; clients still reach it.
    pub(super) fn isolate(&mut self, node: usize) -> Outcome {
        self.say(&format!("isolate {node}"))
    }

    /// Undoes a cut.
    pub(super) fn join(&mut self, node: usize) -> Outcome {
        self.say(&format!("join {node}"))
    }

    /// Undoes an isolation.
    pub(super) fn reunite(&mut self, node: usize) -> Outcome {
        self.say(&format!("reunite {node}"))
    }

    fn say(&mut self, word: &str) -> Outcome {
        writeln!(self.input, "{word}").map_err(XtaskError::file("write to", TOOL))?;
        match read(&mut self.output)? {
            line if line == word => Ok(()),
            line => Err(unreadable(&line)),
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // It may have ended already, and nobody is left to tell.
        let _ = self.maker.kill();
        let _ = self.maker.wait();
    }
}

/// An empty line if the program has ended.
fn read(output: &mut impl BufRead) -> Result<String, XtaskError> {
    let mut line = String::new();
    output
        .read_line(&mut line)
        .map_err(XtaskError::file("read from", TOOL))?;
    match line.trim_end() {
        "" => Err(unreadable("nothing")),
        line => Ok(line.to_owned()),
    }
}

/// `host N ADDRESS NAMESPACE`
fn parse(line: &str) -> Option<Host> {
    let mut words = line.strip_prefix("host ")?.split(' ').skip(1);
    Some(Host {
        address: words.next()?.parse().ok()?,
        namespace: words.next()?.into(),
    })
}

fn unreadable(text: &str) -> XtaskError {
    XtaskError::Unreadable {
        tool: TOOL,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_line_is_understood() {
        let host = parse("host 2 10.77.0.2 /proc/7/fd/9").unwrap();
        assert_eq!(host.address.octets(), [10, 77, 0, 2]);
        assert_eq!(host.namespace.to_str(), Some("/proc/7/fd/9"));
        assert!(parse("host 2").is_none());
    }
}
