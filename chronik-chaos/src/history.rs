//! Writes what the clients saw, in one order, and lets a checker read over its shoulder.
//!
//! An invocation enters the queue before its request is sent, an end after its answer was read. So the order of the
//! queue never claims that one operation came after another unless it did.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chronik_check::history::{Action, Event, FORMAT, RunInfo, write_line};
use chronik_check::{Checker, Contract};
use serde_json::json;

/// Events that may wait for the disk; then clients wait.
const QUEUE_EVENTS: usize = 1 << 14;

/// Nanoseconds since the start of the run, monotonic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunClock {
    start: Instant,
}

impl RunClock {
    pub(crate) fn start() -> RunClock {
        RunClock {
            start: Instant::now(),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Where clients and faults write down what they do; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) clock: RunClock,
    queue: SyncSender<Entry>,
    operations: Arc<AtomicU64>,
    procs: Arc<AtomicU64>,
    is_broken: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Entry {
    Event(Event),
    /// A line that only people and reports read.
    Note {
        time_ns: u64,
        line: serde_json::Value,
    },
}

/// The thread that owns the history's file.
#[derive(Debug)]
pub(crate) struct Recorder {
    thread: JoinHandle<io::Result<()>>,
}

impl Recorder {
    pub(crate) fn start(
        path: &Path,
        run: u64,
        contract: Contract,
    ) -> io::Result<(Recorder, Journal)> {
        let file = BufWriter::new(File::create(path)?);
        let (queue, entries) = sync_channel(QUEUE_EVENTS);
        let is_broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_broken);
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || Writer::new(file, contract, flag).run(&entries))?;
        let journal = Journal {
            clock: RunClock::start(),
            queue,
            operations: Arc::default(),
            procs: Arc::default(),
            is_broken,
        };
        journal.record(
            0,
            Action::Run(RunInfo {
                format: FORMAT,
                run,
                contract,
            }),
        );
        Ok((Recorder { thread }, journal))
    }

    /// Waits until all journals are dropped and everything is written.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Journal {
    pub(crate) fn record(&self, proc: u32, action: Action) {
        let time_ns = self.clock.now_ns();
        self.enqueue(Entry::Event(Event {
            time_ns,
            proc,
            action,
        }));
    }

    /// Writes down a fault's begin or end, or something else that no rule reads.
    pub(crate) fn note(&self, what: &str, text: &str) {
        let line = json!({ "ty": "info", "f": what, "text": text });
        self.enqueue(Entry::Note {
            time_ns: self.clock.now_ns(),
            line,
        });
    }

    pub(crate) fn next_operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number for a client task; proc 0 is the run itself.
    pub(crate) fn next_proc(&self) -> u32 {
        let proc = self.procs.fetch_add(1, Ordering::Relaxed) + 1;
        u32::try_from(proc).expect("a run has few clients")
    }

    /// Whether the checker has found a broken promise already.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn enqueue(&self, entry: Entry) {
        // The recorder ends early only when it cannot write; the run notices that at its end.
        let _ = self.queue.send(entry);
    }
}

struct Writer {
    file: BufWriter<File>,
    checker: Option<Checker>,
    is_broken: Arc<AtomicBool>,
    last_time_ns: u64,
    line: u64,
}

impl Writer {
    fn new(file: BufWriter<File>, contract: Contract, is_broken: Arc<AtomicBool>) -> Writer {
        Writer {
            file,
            checker: Some(Checker::online(contract)),
            is_broken,
            last_time_ns: 0,
            line: 0,
        }
    }

    fn run(mut self, entries: &Receiver<Entry>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in entries {
            bytes.clear();
            self.line += 1;
            match entry {
                Entry::Event(mut event) => {
                    event.time_ns = self.in_order(event.time_ns);
                    write_line(&event, &mut bytes);
                    self.check(&event);
                }
                Entry::Note { time_ns, mut line } => {
                    line["t"] = self.in_order(time_ns).into();
                    bytes = line.to_string().into_bytes();
                    bytes.push(b'\n');
                }
            }
            self.file.write_all(&bytes)?;
        }
        self.file.flush()
    }

    /// Stamps were taken before the queue gave the events their order.
    fn in_order(&mut self, time_ns: u64) -> u64 {
        self.last_time_ns = self.last_time_ns.max(time_ns);
        self.last_time_ns
    }

    fn check(&mut self, event: &Event) {
        let Some(checker) = &mut self.checker else {
            return;
        };
        if checker.feed(self.line, event).is_err() {
            // A history that makes no sense is judged at the end, where its fault can be told.
            self.checker = None;
        } else if checker.has_error() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
    }
}
