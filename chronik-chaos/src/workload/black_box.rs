//! Producers of other people's libraries, as processes of their own. Their attempts stay hidden; what they say of a
//! record in the end is held against them and the cluster alike.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use chronik_check::history::{Action, Outcome, SendEnd, SendInvoke, Value};
use chronik_local::{LocalError, foreign};
use serde::{Deserialize, Serialize};

use super::producer::payload;
use super::{Clients, Progress, TOPIC, rest_until};
use crate::seed::Stream;

const PROGRAM: &str = include_str!("black_box.py");
/// The versions that the tests of this repository use, too.
const PACKAGES: &str = "confluent-kafka==2.16.1\nkafka-python==3.0.12\n";
/// Records that may wait for their answers.
const OPEN_MAX: usize = 1 << 14;
/// Far above the numbers of our own producers.
const FIRST_PRODUCER: u32 = 10_000;

/// A library that hides what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Library {
    Librdkafka,
    KafkaPython,
}

impl Library {
    fn name(self) -> &'static str {
        match self {
            Library::Librdkafka => "librdkafka",
            Library::KafkaPython => "kafka-python",
        }
    }
}

/// Installs what the processes need; inside of a run there is no way to the outside.
pub(crate) fn install() -> Result<PathBuf, LocalError> {
    foreign::venv::python("black-box", PACKAGES)
}

/// One process that sends to all partitions in turn.
pub(super) struct BlackBox {
    clients: Clients,
    proc: u32,
    producer: u32,
    library: Library,
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

/// A record that waits for its answer.
struct Open {
    op: u64,
    partition: i32,
    invoked_ns: u64,
}

impl BlackBox {
    /// Starts the process where the calling thread is.
    pub(super) fn start(
        clients: Clients,
        library: Library,
        number: u32,
        python: &Path,
    ) -> io::Result<BlackBox> {
        let bootstrap: Vec<String> = clients.bootstrap.iter().map(ToString::to_string).collect();
        let mut child = Command::new(python)
            .args(["-c", PROGRAM, library.name(), &bootstrap.join(","), TOPIC])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let taken = child.stdin.take().zip(child.stdout.take());
        let (input, output) = taken.expect("both pipes were asked for");
        Ok(BlackBox {
            proc: clients.journal.next_proc(),
            producer: FIRST_PRODUCER + number,
            clients,
            library,
            child,
            input,
            output,
        })
    }

    /// Sends until the load ends, then waits for the last answers.
    pub(super) fn run(self) {
        let BlackBox {
            clients,
            proc,
            producer,
            library,
            mut child,
            input,
            output,
        } = self;
        let (open, opened) = sync_channel(OPEN_MAX);
        let listener = Listener {
            clients: clients.clone(),
            proc,
            opened,
            open: HashMap::new(),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| listener.listen(output));
            // A process that ended takes nothing any more; its open records stay open, which the checker allows.
            let _ = send_all(&clients, (proc, producer), input, &open);
            drop(open);
        });
        // Its output has ended, so it ends.
        let ended = child.wait();
        if !ended.is_ok_and(|status| status.success()) {
            let name = library.name();
            clients
                .journal
                .note("black_box", &format!("the producer with {name} failed"));
        }
        clients.journal.record(
            proc,
            Action::ProcExit {
                node: None,
                expected: true,
            },
        );
    }
}

fn send_all(
    clients: &Clients,
    (proc, producer): (u32, u32),
    mut input: ChildStdin,
    open: &SyncSender<Open>,
) -> io::Result<()> {
    let every = Duration::from_secs_f64(1.0 / f64::from(clients.workload.black_box_rate));
    let partitions = i32::try_from(clients.partitions).expect("a topic has few partitions");
    let mut chance = Stream::new(clients.seed, &format!("black box {producer}"));
    let mut due = Instant::now();
    for turn in 0u64.. {
        rest_until(due, || clients.progress.producers_stop());
        if clients.progress.producers_stop() {
            break;
        }
        due = (due + every).max(Instant::now());
        let partition = i32::try_from(turn % partitions.cast_unsigned() as u64)
            .expect("a topic has few partitions");
        let value = Value {
            producer,
            incarnation: partition.cast_unsigned(),
            seq: turn / partitions.cast_unsigned() as u64,
        };
        let op = clients.journal.next_operation();
        let invoked_ns = clients.journal.clock.now_ns();
        let bytes = payload(clients, partition, value, invoked_ns, &mut chance);
        let invoke = SendInvoke {
            op,
            partition: clients.name_of(partition),
            value,
            wire: None,
            count: 1,
            acks: -1,
            transaction: None,
        };
        clients.journal.record(proc, Action::SendInvoke(invoke));
        let waiting = Open {
            op,
            partition,
            invoked_ns,
        };
        // The listener ends only when the process has.
        if open.send(waiting).is_err() {
            break;
        }
        let mut line = format!("{op} {partition} ");
        for byte in bytes {
            let _ = write!(line, "{byte:02x}");
        }
        line.push('\n');
        input.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Hears what became of the records.
struct Listener {
    clients: Clients,
    proc: u32,
    opened: Receiver<Open>,
    open: HashMap<u64, Open>,
}

impl Listener {
    fn listen(mut self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut words = line.split(' ');
            let op = words.next().and_then(|word| word.parse::<u64>().ok());
            let (Some(op), Some(outcome)) = (op, words.next()) else {
                continue;
            };
            let offset = words.next().and_then(|word| word.parse::<u64>().ok());
            let opened = self.opened.try_iter().map(|open| (open.op, open));
            self.open.extend(opened);
            if let Some(open) = self.open.remove(&op) {
                self.end(&open, offset.filter(|_| outcome == "ok"));
            }
        }
    }

    /// What failed may still be in the log: the library does not say whether it was ever sent.
    fn end(&self, open: &Open, offset: Option<u64>) {
        let outcome = match offset {
            Some(_) => Outcome::Ok,
            None => Outcome::Info,
        };
        if let Some(offset) = offset {
            let progress: &Progress = &self.clients.progress;
            progress
                .of(open.partition)
                .acked(open.invoked_ns, offset + 1);
        }
        let end = SendEnd {
            op: open.op,
            outcome,
            partition: None,
            offset,
            leader_epoch: None,
            node: None,
            attempts: Vec::new(),
        };
        self.clients.journal.record(self.proc, Action::SendEnd(end));
    }
}
