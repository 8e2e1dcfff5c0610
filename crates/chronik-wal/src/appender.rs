//! The WAL thread: one loop that turns everything queued into a frame, writes it, syncs it
//! and says so. One write is in flight at a time, so nothing but the newest frame can be
//! torn.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::checkpoint::Checkpoint;
use crate::defrag::DefragOrder;
use crate::error::WalError;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, RecordHeader, record_bytes, write_record};
use crate::helper::{Job, Report, SealOrder, failed};
use crate::io::{
    AlignedBuffer, blocks_up, create_reserved, is_disk_full, open_write, random_salt,
    sync_directory,
};
use crate::ledger::{Ledger, Misfit};
use crate::limits::{
    BLOCK_BYTES, DEFRAG_SOURCES, DISK_FULL_RETRY_MS, LINGER_PAUSE_FRAMES, PENDING_BYTES,
    SORTED_BIT, TINY_FRAME_BYTES,
};
use crate::notice::{Notice, SegmentChange};
use crate::options::Options;
use crate::record::{Durable, GroupUid, Kind, Record, Row, Task};
use crate::sealed::SealEvent;
use crate::segment::{Layout, Segment, SegmentHeader};
use crate::stats::Counters;

/// What the WAL thread is asked to do.
#[derive(Debug)]
pub(crate) enum Command<T> {
    Submit(Vec<Task<T>>),
    Checkpoint(Vec<(GroupUid, Bytes)>),
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

/// A frame that is being filled.
struct Frame<T> {
    filled: usize,
    records: u32,
    done: Vec<Durable<T>>,
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
    pub(crate) commands: Receiver<Command<T>>,
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
            return;
        }
        self.end_helper();
    }

    fn append_until_closed(&mut self) -> Result<(), WalError> {
        loop {
            self.take_reports()?;
            self.drain_commands();
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

    /// Writes one frame of what is waiting; `false` if there is no space for a segment.
    fn write_frame(&mut self) -> Result<bool, WalError> {
        let mut frame = self.fill_frame()?;
        if frame.records == 0 && frame.done.is_empty() {
            if !self.roll()? {
                return Ok(false);
            }
            frame = self.fill_frame()?;
        }
        if frame.records > 0 {
            self.write_and_sync(&frame)?;
        }
        (self.sink)(Notice::Durable(frame.done));
        Ok(true)
    }

    fn room(&self) -> usize {
        let left = self.options.segment_bytes - self.active.position;
        usize::try_from(left).expect("a segment is below 2 GiB")
    }

    /// Takes whole tasks as long as they fit; only a task that is longer than any frame is
    /// split. Takes nothing if the segment has no room for the first.
    fn fill_frame(&mut self) -> Result<Frame<T>, WalError> {
        let room = self.room();
        let limit = room.min(self.options.frame_max);
        let mut frame = Frame {
            filled: FRAME_HEADER_BYTES,
            records: 0,
            done: Vec::new(),
        };
        while let Some(Work::Task(mut waiting)) = self.state.work.pop_front() {
            let whole = frame.filled + waiting.bytes <= limit;
            let too_long = FRAME_HEADER_BYTES + waiting.bytes > self.options.frame_max;
            if whole || (frame.records == 0 && too_long) {
                self.add_records(&mut frame, &mut waiting, limit, room)?;
            }
            if waiting.records.len() > 0 {
                self.state.work.push_front(Work::Task(waiting));
                return Ok(frame);
            }
            frame.done.push(Durable {
                token: waiting.token,
                rows: waiting.rows,
            });
            if !matches!(self.state.work.front(), Some(Work::Task(_))) {
                return Ok(frame);
            }
        }
        Ok(frame)
    }

    fn add_records(
        &mut self,
        frame: &mut Frame<T>,
        waiting: &mut Waiting<T>,
        limit: usize,
        room: usize,
    ) -> Result<(), WalError> {
        while let Some(record) = waiting.records.as_slice().first() {
            let bytes = record_bytes(record.stored_len());
            let alone = frame.records == 0 && FRAME_HEADER_BYTES + bytes > self.options.frame_max;
            if frame.filled + bytes > if alone { room } else { limit } {
                return Ok(());
            }
            let record = waiting
                .records
                .next()
                .expect("the slice has a first record");
            self.add_record(frame, waiting, &record)?;
            waiting.bytes -= bytes;
            self.state.work_bytes -= bytes;
        }
        Ok(())
    }

    fn add_record(
        &mut self,
        frame: &mut Frame<T>,
        waiting: &mut Waiting<T>,
        record: &Record,
    ) -> Result<(), WalError> {
        let header = RecordHeader::of(record, self.next_lsn);
        let segment = &self.active.segment;
        let number = segment.short_number();
        self.ledger
            .apply(&header, number, &|| joined(record))
            .map_err(|misfit| misfit_error(misfit, record))?;
        let position = u32::try_from(self.active.position + frame.filled as u64)
            .expect("a segment is below 2 GiB");
        let needed = blocks_up(frame.filled + record_bytes(record.stored_len()));
        self.state.buffer.grow(needed);
        let out = &mut self.state.buffer.bytes_mut()[frame.filled..];
        frame.filled += write_record(&header, segment.salt(), &record.head, &record.body, out);
        frame.records += 1;
        match record.kind {
            Kind::Entry => {
                let row = header.row(number, position);
                waiting.rows.push((record.group, row));
                self.active
                    .events
                    .push((record.group, SealEvent::Entry(row)));
            }
            Kind::SnapshotInstall => self.active.events.push((record.group, SealEvent::Install)),
            _ => {}
        }
        Ok(())
    }

    fn write_and_sync(&mut self, frame: &Frame<T>) -> Result<(), WalError> {
        let body = frame.filled - FRAME_HEADER_BYTES;
        let header = FrameHeader {
            lsn: self.next_lsn,
            records: frame.records,
            body_bytes: u32::try_from(body).expect("a frame fits into a segment"),
        };
        let total = blocks_up(frame.filled);
        let bytes = &mut self.state.buffer.bytes_mut()[..total];
        header.write(self.active.segment.salt(), bytes);
        bytes[frame.filled..].fill(0);
        let started = Instant::now();
        let position = self.active.position;
        let path = self.active.segment.path();
        let io_failed = |operation, source| WalError::Io {
            operation,
            path: path.to_owned(),
            position,
            source,
        };
        self.active
            .file
            .write_all_at(bytes, position)
            .map_err(|error| io_failed("write", error))?;
        // The kernel may report a lost page only once: after an error nothing is retried.
        self.active
            .file
            .sync_data()
            .map_err(|error| io_failed("sync", error))?;
        self.counters.synced(started.elapsed());
        self.counters
            .wrote(total as u64, u64::from(frame.records), self.next_lsn);
        self.active.position += total as u64;
        self.next_lsn += 1;
        self.state.last_frame_bytes = total;
        Ok(())
    }

    /// Makes a spare segment the active one; `false` if none can be had.
    fn roll(&mut self) -> Result<bool, WalError> {
        let number = self.active.segment.short_number() + 1;
        let spare = self.spares.pop_front();
        let entered = enter_log(
            &self.layout,
            &self.options,
            self.direct,
            number,
            self.next_lsn,
            spare.as_deref(),
        );
        let (salt, file) = match entered {
            Ok(entered) => entered,
            Err(error) if is_disk_full(&error) => {
                // A spare that could not be entered is still a spare.
                self.spares.extend(spare);
                self.counters.set_disk_full(true);
                return Ok(false);
            }
            Err(source) => return Err(failed("create", &self.layout.segment(number), source)),
        };
        if spare.is_some() {
            self.state.backlog.push_back(Job::SpareTaken);
        } else {
            self.counters.set_disk_full(false);
        }
        let segment = Arc::new(Segment::new(
            number,
            salt,
            self.layout.segment(number),
            self.jobs.clone(),
        ));
        let next = Active {
            segment: Arc::clone(&segment),
            file,
            position: BLOCK_BYTES as u64,
            first_lsn: self.next_lsn,
            events: Vec::new(),
        };
        let full = std::mem::replace(&mut self.active, next);
        self.seal(full);
        self.ledger
            .add_segment(Arc::clone(&segment), u64::MAX, false, 0);
        self.counters.rolled();
        self.count_segments();
        (self.sink)(Notice::Segment(SegmentChange::Opened(segment)));
        Ok(true)
    }

    fn seal(&mut self, full: Active) {
        let last_lsn = self.next_lsn - 1;
        if let Some(used) = self.ledger.segment_mut(full.segment.short_number()) {
            used.last_lsn = last_lsn;
            used.written_bytes = full.position;
        }
        let order = SealOrder {
            segment: full.segment,
            first_lsn: full.first_lsn,
            last_lsn,
            events: full.events,
        };
        self.state.backlog.push_back(Job::Seal(order));
        self.hand_out_jobs();
    }

    /// Everything before it in the queue is durable now, and nothing after it was touched.
    fn checkpoint(&mut self) {
        let Some(Work::Checkpoint(states)) = self.state.work.pop_front() else {
            return;
        };
        for (uid, state) in states {
            self.ledger.set_state(uid, state);
        }
        let lsn = self.next_lsn - 1;
        let groups = self
            .ledger
            .states()
            .map(|(uid, state)| (uid, state.clone()))
            .collect();
        let dead = self.ledger.dead_segments(lsn);
        self.state.backlog.push_back(Job::Checkpoint {
            checkpoint: Checkpoint { lsn, groups },
            dead,
        });
        self.defragment();
        self.hand_out_jobs();
    }

    fn defragment(&mut self) {
        if self.state.defrag_runs {
            return;
        }
        let sparse = self
            .ledger
            .sparse_segments(self.options.segment_bytes, DEFRAG_SOURCES);
        if sparse.is_empty() {
            return;
        }
        let live = self.ledger.live_spans(&sparse);
        let sources: Vec<_> = self
            .ledger
            .segments()
            .filter(|used| sparse.contains(&used.segment.short_number()))
            .collect();
        let order = DefragOrder {
            layout: self.layout.clone(),
            node_uuid: self.options.node_uuid,
            target: self.next_sorted | SORTED_BIT,
            capacity: live.iter().map(|(_, span)| span.bytes).sum::<u64>() + 2 * BLOCK_BYTES as u64,
            last_lsn: sources.iter().map(|used| used.last_lsn).max().unwrap_or(0),
            sources: sources
                .iter()
                .map(|used| Arc::clone(&used.segment))
                .collect(),
            live,
            helper: self.jobs.clone(),
        };
        self.next_sorted += 1;
        self.state.defrag_runs = true;
        self.state.backlog.push_back(Job::Defrag(order));
    }

    fn hand_out_jobs(&mut self) {
        while let Some(job) = self.state.backlog.pop_front() {
            // The helper reports what it does, and that wakes this thread to try again.
            match self.jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => return self.state.backlog.push_front(job),
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    fn take_reports(&mut self) -> Result<(), WalError> {
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(report)?;
        }
        Ok(())
    }

    fn take_report(&mut self, report: Report) -> Result<(), WalError> {
        match report {
            Report::Sealed { segment, places } => {
                if let Some(used) = self.ledger.segment_mut(segment) {
                    used.sealed = true;
                }
                self.count_segments();
                let change = SegmentChange::Sealed {
                    segment: u64::from(segment),
                    places,
                };
                (self.sink)(Notice::Segment(change));
            }
            Report::Checkpointed { lsn, dead } => {
                self.counters.checkpointed(lsn);
                (self.sink)(Notice::Checkpointed { lsn });
                dead.into_iter().for_each(|number| self.retire(number));
                self.count_segments();
            }
            Report::SpareReady { path } => {
                self.spares.push_back(path);
                self.count_segments();
            }
            Report::Recycled => Counters::add(&self.counters.recycled, 1),
            Report::Moved {
                target,
                sources,
                last_lsn,
                bytes,
                places,
            } => {
                self.state.defrag_runs = false;
                Counters::add(&self.counters.defragmented_bytes, bytes);
                self.ledger
                    .add_segment(Arc::clone(&target), last_lsn, true, bytes);
                self.ledger
                    .move_places(target.short_number(), &sources, &places);
                self.count_segments();
                let sources = sources.into_iter().map(u64::from).collect();
                (self.sink)(Notice::Segment(SegmentChange::Moved {
                    target,
                    sources,
                    places,
                }));
            }
            Report::DefragAbandoned => self.state.defrag_runs = false,
            Report::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn retire(&mut self, number: u32) {
        if let Some(segment) = self.ledger.remove_segment(number) {
            segment.retire();
            (self.sink)(Notice::Segment(SegmentChange::Recycled {
                segment: u64::from(number),
            }));
        }
    }

    pub(crate) fn count_segments(&self) {
        let (mut unsealed, mut sealed, mut sorted) = (0, 0, 0);
        for used in self.ledger.segments() {
            match (used.segment.short_number() & SORTED_BIT != 0, used.sealed) {
                (true, _) => sorted += 1,
                (false, true) => sealed += 1,
                (false, false) => unsealed += 1,
            }
        }
        Counters::set(&self.counters.segments_unsealed, unsealed);
        Counters::set(&self.counters.segments_sealed, sealed);
        Counters::set(&self.counters.segments_sorted, sorted);
        Counters::set(&self.counters.pool, self.spares.len() as u64);
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
        // Only to learn that the log is being closed; everything else keeps its place.
        if self.state.work_bytes < PENDING_BYTES
            && let Ok(command) = self.commands.try_recv()
        {
            self.accept(command);
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

/// Makes a spare file, or a new one, the segment `number`: header, sync, then the name, so
/// that every file in the log's directory has a valid header.
pub(crate) fn enter_log(
    layout: &Layout,
    options: &Options,
    direct: bool,
    number: u32,
    first_lsn: u64,
    spare: Option<&Path>,
) -> io::Result<(u32, File)> {
    let path = match spare {
        Some(spare) => spare.to_owned(),
        None => {
            let path = layout.pool.join("next.part");
            if let Err(error) = create_reserved(&path, options.segment_bytes) {
                crate::helper::remove_if_there(&path)?;
                return Err(error);
            }
            path
        }
    };
    let file = open_write(&path, direct)?;
    let salt = random_salt()?;
    let mut page = AlignedBuffer::new(BLOCK_BYTES);
    let header = SegmentHeader {
        node_uuid: options.node_uuid,
        number,
        salt,
        first_lsn,
        segment_bytes: options.segment_bytes,
    };
    header.write(page.bytes_mut());
    file.write_all_at(page.bytes(), 0)?;
    file.sync_all()?;
    std::fs::rename(&path, layout.segment(number))?;
    sync_directory(&layout.log)?;
    sync_directory(&layout.pool)?;
    Ok((salt, file))
}

fn joined(record: &Record) -> Bytes {
    let mut blob = BytesMut::with_capacity(record.stored_len());
    blob.extend_from_slice(&record.head);
    blob.extend_from_slice(&record.body);
    blob.freeze()
}

fn misfit_error(misfit: Misfit, record: &Record) -> WalError {
    match misfit {
        Misfit::UnknownGroup => WalError::UnknownGroup {
            group: record.group,
        },
        Misfit::OutOfRange => WalError::OutOfRange {
            group: record.group,
            index: record.index,
        },
        Misfit::Gap {
            last_index,
            trim_index,
        } => WalError::Gap {
            group: record.group,
            index: record.index,
            last_index,
            trim_index,
        },
    }
}
