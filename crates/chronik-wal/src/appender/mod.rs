//! The WAL thread: one loop that turns everything queued into a frame, writes it, syncs it
//! and says so. One write is in flight at a time, so nothing but the newest frame can be
//! torn.

mod frames;
mod upkeep;

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_inbox::Inbox;

use crate::error::WalError;
use crate::frame::record_bytes;
use crate::helper::{Job, Report};
use crate::io::AlignedBuffer;
use crate::ledger::Ledger;
use crate::limits::{DISK_FULL_RETRY_MS, LINGER_PAUSE_FRAMES, PENDING_BYTES, TINY_FRAME_BYTES};
use crate::notice::Notice;
use crate::options::Options;
use crate::record::{GroupUid, Record, Row, Task};
use crate::rewrite::RewriteOrder;
use crate::sealed::SealEvent;
use crate::segment::{Layout, Segment};
use crate::stats::Counters;

pub(crate) use self::upkeep::enter_log;

pub(crate) enum Command<T> {
    Submit(Vec<Task<T>>),
    Checkpoint(Vec<(GroupUid, Bytes)>),
    Rewrite(RewriteOrder),
    /// The helper has something to report.
    Wake,
    Close,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: File,
    /// Where the next frame starts.
    pub(crate) position: u64,
    pub(crate) first_lsn: u64,
    pub(crate) events: Vec<(GroupUid, SealEvent)>,
}

/// A task, and how much of it is written.
struct Waiting<T> {
    token: T,
    records: std::vec::IntoIter<Record>,
    /// Bytes that the remaining records take in a frame.
    bytes: usize,
    rows: Vec<(GroupUid, Row)>,
}

enum Work<T> {
    Task(Waiting<T>),
    Checkpoint(Vec<(GroupUid, Bytes)>),
}

/// The WAL thread's state; [`Appender::run`] is its thread.
pub(crate) struct Appender<T, S> {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) direct: bool,
    pub(crate) ledger: Ledger,
    pub(crate) active: Active,
    pub(crate) next_lsn: u64,
    pub(crate) next_sorted: u32,
    pub(crate) spares: VecDeque<PathBuf>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commands: Inbox<Command<T>>,
    pub(crate) reports: Receiver<Report>,
    pub(crate) jobs: SyncSender<Job>,
    pub(crate) helper: JoinHandle<()>,
    pub(crate) sink: S,
    pub(crate) state: LoopState<T>,
}

/// What only the loop itself knows.
pub(crate) struct LoopState<T> {
    buffer: AlignedBuffer,
    work: VecDeque<Work<T>>,
    work_bytes: usize,
    /// Jobs that did not fit into the helper's queue.
    backlog: VecDeque<Job>,
    closing: bool,
    defrag_runs: bool,
    /// Begins with the next checkpoint, once no copy is made.
    rewrites: VecDeque<RewriteOrder>,
    /// The one that is being carried out.
    rewriting: Option<GroupUid>,
    last_frame_bytes: usize,
    linger_pause: u32,
}

impl<T> LoopState<T> {
    pub(crate) fn new(frame_max: usize, backlog: VecDeque<Job>) -> Self {
        Self {
            buffer: AlignedBuffer::new(frame_max),
            work: VecDeque::new(),
            work_bytes: 0,
            backlog,
            closing: false,
            defrag_runs: false,
            rewrites: VecDeque::new(),
            rewriting: None,
            last_frame_bytes: usize::MAX,
            linger_pause: 0,
        }
    }
}

/// A panic in this thread must not leave a process that looks alive.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl<T, S: FnMut(Notice<T>)> Appender<T, S> {
    /// Runs until it is closed or something fails.
    pub(crate) fn run(mut self) {
        let _abort = AbortOnPanic;
        if let Err(error) = self.append_until_closed() {
            (self.sink)(Notice::Failed(error));
            // If the queue is full the helper ends with the process.
            let _ = self.jobs.try_send(Job::Stop);
            return;
        }
        self.end_helper();
    }

    fn append_until_closed(&mut self) -> Result<(), WalError> {
        loop {
            // In this order: a wake-up that is taken here announces a report that is there.
            self.drain_commands();
            self.take_reports()?;
            self.hand_out_jobs();
            match self.state.work.front() {
                None if self.state.closing => return Ok(()),
                None => self.wait_for_command(),
                Some(Work::Checkpoint(_)) => self.checkpoint(),
                Some(Work::Task(_)) => {
                    self.linger();
                    if !self.write_frame()? && !self.wait_for_space()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn wait_for_command(&mut self) {
        if self.counters.is_closing() {
            // What was submitted before is in the queue by now.
            self.drain_commands();
            self.state.closing = true;
            return;
        }
        match self.commands.recv() {
            Ok(command) => self.accept(command),
            Err(_) => self.state.closing = true,
        }
    }

    fn drain_commands(&mut self) {
        while self.state.work_bytes < PENDING_BYTES {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.accept(command);
        }
    }

    fn accept(&mut self, command: Command<T>) {
        match command {
            Command::Submit(tasks) => {
                self.counters.dequeued();
                for task in tasks {
                    let bytes = task
                        .records
                        .iter()
                        .map(|record| record_bytes(record.stored_len()))
                        .sum();
                    self.state.work_bytes += bytes;
                    let waiting = Waiting {
                        token: task.token,
                        records: task.records.into_iter(),
                        bytes,
                        rows: Vec::new(),
                    };
                    self.state.work.push_back(Work::Task(waiting));
                }
            }
            Command::Checkpoint(states) => {
                self.counters.dequeued();
                self.state.work.push_back(Work::Checkpoint(states));
            }
            Command::Rewrite(order) => {
                self.counters.dequeued();
                self.state.rewrites.push_back(order);
            }
            Command::Wake => {}
            Command::Close => self.state.closing = true,
        }
    }

    /// Waits a moment for company, if recent frames were tiny and waiting has paid lately.
    fn linger(&mut self) {
        let tiny = self.state.last_frame_bytes.max(self.state.work_bytes) < TINY_FRAME_BYTES;
        if !tiny || self.state.closing || self.options.linger_max.is_zero() {
            return;
        }
        if self.state.linger_pause > 0 {
            self.state.linger_pause -= 1;
            return;
        }
        let until = Instant::now() + self.options.linger_max;
        let before = self.state.work_bytes;
        while self.state.work_bytes < TINY_FRAME_BYTES {
            match self
                .commands
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(command) => self.accept(command),
                Err(_) => break,
            }
        }
        if self.state.work_bytes == before {
            self.state.linger_pause = LINGER_PAUSE_FRAMES;
        }
    }

    /// The disk is full. Submits stay in the queue until it refuses, and the helper goes on
    /// working; `false` if the log is being closed.
    fn wait_for_space(&mut self) -> Result<bool, WalError> {
        self.hand_out_jobs();
        if self.state.closing {
            return Ok(false);
        }
        match self
            .reports
            .recv_timeout(Duration::from_millis(DISK_FULL_RETRY_MS))
        {
            Ok(report) => self.take_report(report)?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        Ok(true)
    }

    /// Lets the helper finish what it was asked to do, and passes on what it says.
    fn end_helper(mut self) {
        self.state.backlog.push_back(Job::Stop);
        while !self.helper.is_finished() {
            self.hand_out_jobs();
            if let Ok(report) = self.reports.recv_timeout(Duration::from_millis(10)) {
                self.last_report(report);
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            self.last_report(report);
        }
        if let Err(panic) = self.helper.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn last_report(&mut self, report: Report) {
        if let Err(error) = self.take_report(report) {
            (self.sink)(Notice::Failed(error));
        }
    }
}
