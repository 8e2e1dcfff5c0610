//! A foreign producer under a steady load, told of faults and asked for its pauses.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use chronik_local::foreign::venv;
use chronik_local::{kafka, workspace_dir};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::compat::java;
use crate::error::XtaskError;

/// Records per second and partition: pauses are measured to a hundredth of a second.
const RATE: u32 = 100;
/// Longer than any client waits before it gives up.
const WORD_BOUND: Duration = Duration::from_secs(150);
/// Lines that wait to be read; drivers say little.
const LINES: usize = 4096;

/// A client library with its default settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    Librdkafka,
    Java,
}

/// A running driver; dropping it kills it.
pub(super) struct Load {
    driver: Child,
    lines: Receiver<String>,
}

/// What the driver saw.
pub(super) struct Outcome {
    /// Of the partition with the longest one.
    pub(super) longest_gap_ms: f64,
    /// Records that were given up.
    pub(super) failed: u64,
}

impl Client {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::Java => "java",
        }
    }

    fn command(self) -> Result<Command, XtaskError> {
        match self {
            Self::Librdkafka => {
                let dir = workspace_dir().join("tests/regression/clients/python");
                let list = dir.join("requirements.txt");
                let requirements =
                    std::fs::read_to_string(&list).map_err(XtaskError::file("read", &list))?;
                let mut command = Command::new(venv::python("python-clients", &requirements)?);
                command.arg("-B").arg(dir.join("failover_confluent.py"));
                Ok(command)
            }
            Self::Java => {
                let (classes, jars) = java::build(kafka::VERSION)?;
                let mut command = Command::new("java");
                command
                    .args(["-Xmx256m", "-cp", &format!("{classes}:{jars}")])
                    .arg("Failover");
                Ok(command)
            }
        }
    }
}

impl Load {
    pub(super) fn start(
        client: Client,
        bootstrap: &str,
        topic: &str,
        partitions: usize,
    ) -> Result<Self, XtaskError> {
        let mut driver = client
            .command()?
            .args([bootstrap, topic, &partitions.to_string(), &RATE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| XtaskError::Spawn {
                program: client.name().to_owned(),
                source,
            })?;
        let stdout = driver.stdout.take().expect("the pipe was asked for");
        let (sender, lines) = sync_channel(LINES);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { driver, lines })
    }

    /// Waits for a word, passing over what else the driver says.
    pub(super) fn await_word(&mut self, word: &str) -> Result<(), XtaskError> {
        while self.line(word)? != word {}
        Ok(())
    }

    pub(super) fn say(&mut self, word: &str) -> Result<(), XtaskError> {
        let input = self.driver.stdin.as_mut().expect("the pipe was asked for");
        writeln!(input, "{word}").map_err(XtaskError::file("write to", "the driver"))
    }

    /// Ends the load and reads what it measured.
    pub(super) fn finish(mut self) -> Result<Outcome, XtaskError> {
        self.say("stop")?;
        let mut longest_gap_ms = 0.0;
        loop {
            let line = self.line("its results")?;
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["gap", _, gap_ms] => longest_gap_ms = number(gap_ms, &line)?.max(longest_gap_ms),
                ["sent", _, "failed", failed] => {
                    let failed = number(failed, &line)? as u64;
                    return Ok(Outcome {
                        longest_gap_ms,
                        failed,
                    });
                }
                _ => {}
            }
        }
    }

    fn line(&mut self, awaited: &str) -> Result<String, XtaskError> {
        self.lines.recv_timeout(WORD_BOUND).map_err(|_| {
            XtaskError::Refused(format!(
                "the driver did not say {awaited:?} in {WORD_BOUND:?}"
            ))
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already, and nobody is left to tell.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn number(text: &str, line: &str) -> Result<f64, XtaskError> {
    text.parse().map_err(|_| XtaskError::Unreadable {
        tool: "a load driver",
        text: line.to_owned(),
    })
}
