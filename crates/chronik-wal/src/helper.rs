//! The low-priority thread: it pre-writes spare segments, seals, writes checkpoints, recycles
//! and defragments, so that the WAL thread only appends.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::defrag::{Defrag, DefragOrder};
use crate::error::WalError;
use crate::io::{is_disk_full, replace_file, sync_directory};
use crate::limits::{DEFRAG_BYTES_PER_S, HELPER_STEP_BYTES, PREWRITE_BYTES_PER_S, WINDOW_BYTES};
use crate::pool::{Pool, Prewriting};
use crate::record::GroupUid;
use crate::sealed::{Place, SealEvent, SealedRows};
use crate::segment::{Layout, Segment, rows_path};
use crate::stats::Counters;
use crate::window::Windows;

/// How long a full disk is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Every roll leads to a checkpoint, and a checkpoint often lets a segment go: that one is
/// worth waiting for before another is pre-written.
const RECYCLING_GRACE: Duration = Duration::from_secs(2);

/// The growth of the log is measured over at least this long.
const DEMAND_WINDOW: Duration = Duration::from_millis(100);

/// What the helper is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Seal(SealOrder),
    /// `dead` are the segments that may be recycled once the checkpoint is on disk.
    Checkpoint {
        checkpoint: Checkpoint,
        dead: Vec<u32>,
    },
    /// Nobody holds this segment any more.
    Recycle {
        path: PathBuf,
    },
    /// The WAL thread took a spare segment.
    SpareTaken,
    Defrag(DefragOrder),
    Stop,
}

/// A full segment and what happened in it.
#[derive(Debug)]
pub(crate) struct SealOrder {
    pub(crate) segment: Arc<Segment>,
    pub(crate) first_lsn: u64,
    pub(crate) last_lsn: u64,
    pub(crate) events: Vec<(GroupUid, SealEvent)>,
}

/// What the helper did.
#[derive(Debug)]
pub(crate) enum Report {
    Sealed {
        segment: u32,
        places: Arc<[Place]>,
    },
    Checkpointed {
        lsn: u64,
        dead: Vec<u32>,
    },
    SpareReady {
        path: PathBuf,
    },
    Recycled,
    Moved {
        target: Arc<Segment>,
        sources: Vec<u32>,
        last_lsn: u64,
        bytes: u64,
        /// It was ordered by the owner of the log.
        is_rewrite: bool,
        places: Arc<[Place]>,
    },
    DefragAbandoned,
    Failed(WalError),
}

/// The helper's state; [`Helper::run`] is its thread.
pub(crate) struct Helper<W> {
    layout: Layout,
    direct: bool,
    pool: Pool,
    demand: Demand,
    counters: Arc<Counters>,
    jobs: Receiver<Job>,
    reports: SyncSender<Report>,
    /// Tells the WAL thread to look at the reports.
    wake: W,
    prewriting: Option<Prewriting>,
    defrag: Option<Defrag>,
    /// Seals, and the newest checkpoint, that found the disk full.
    seals: VecDeque<SealOrder>,
    checkpoint: Option<(Checkpoint, Vec<u32>)>,
    /// Memory for readers of old records, to be made once there are some.
    windows: Arc<Windows>,
    has_sealed: bool,
    due: Option<Instant>,
}

impl<W: Fn()> Helper<W> {
    pub(crate) fn new(
        layout: Layout,
        direct: bool,
        pool: Pool,
        counters: Arc<Counters>,
        jobs: Receiver<Job>,
        reports: SyncSender<Report>,
        wake: W,
    ) -> Self {
        let due = Some(Instant::now());
        Self {
            layout,
            direct,
            pool,
            demand: Demand::new(),
            counters,
            jobs,
            reports,
            wake,
            prewriting: None,
            defrag: None,
            seals: VecDeque::new(),
            checkpoint: None,
            windows: Arc::default(),
            has_sealed: false,
            due,
        }
    }

    /// Makes these windows' memory when the first segment is full.
    pub(crate) fn warming(mut self, windows: Arc<Windows>) -> Self {
        self.windows = windows;
        self
    }

    /// Works until it is told to stop. An error that is not a full disk is reported, and
    /// the WAL thread stops the process.
    pub(crate) fn run(mut self) {
        lower_priority();
        loop {
            let job = match self.due {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self
                    .jobs
                    .recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let done = match job {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => self.do_job(job),
                Err(RecvTimeoutError::Timeout) => self.step(),
            };
            if let Err(error) = done {
                self.report(Report::Failed(error));
                break;
            }
        }
        if let Some(prewriting) = self.prewriting.take() {
            prewriting.abandon();
        }
    }

    fn report(&self, report: Report) {
        // Without a WAL thread nobody wants to know.
        if self.reports.send(report).is_ok() {
            (self.wake)();
        }
    }

    fn do_job(&mut self, job: Job) -> Result<(), WalError> {
        match job {
            Job::Seal(order) => {
                self.seals.push_back(order);
                self.seal_waiting()?;
            }
            Job::Checkpoint { checkpoint, dead } => {
                self.checkpoint = Some((checkpoint, dead));
                self.save_checkpoint()?;
            }
            Job::Recycle { path } => self.recycle(&path)?,
            Job::SpareTaken => {
                self.pool.taken();
                if self.pool.has_spare() && self.prewriting.is_none() && self.due.is_none() {
                    self.due = Some(Instant::now() + RECYCLING_GRACE);
                }
            }
            Job::Defrag(order) => self.start_defrag(order)?,
            Job::Stop => {}
        }
        if self.due.is_none() && self.has_background_work() {
            self.due = Some(Instant::now());
        }
        Ok(())
    }

    fn has_background_work(&self) -> bool {
        self.has_waiting_writes()
            || self.prewriting.is_some()
            || self.defrag.is_some()
            || self.pool.wants_more()
            || !self.pool.has_ballast()
            || self.wants_warm_windows()
    }

    fn wants_warm_windows(&self) -> bool {
        self.has_sealed && self.windows.has_unmade()
    }

    fn has_waiting_writes(&self) -> bool {
        !self.seals.is_empty() || self.checkpoint.is_some()
    }

    /// A small piece of what is not urgent, then a pause that keeps the rate.
    fn step(&mut self) -> Result<(), WalError> {
        let pause = if self.has_waiting_writes() {
            self.seal_waiting()?;
            self.save_checkpoint()?;
            if self.has_waiting_writes() {
                RETRY
            } else {
                Duration::ZERO
            }
        } else if !self.pool.has_ballast() {
            let loaded = self.pool.load_ballast().is_ok();
            self.counters.set_disk_full(!loaded);
            if loaded { Duration::ZERO } else { RETRY }
        } else if self.prewriting.is_some() || self.pool.wants_more() {
            self.prewrite_step()?
        } else if self.wants_warm_windows() {
            self.windows.make_one();
            pace(WINDOW_BYTES as u64, PREWRITE_BYTES_PER_S)
        } else if self.defrag.is_some() {
            self.defrag_step()?
        } else {
            Duration::ZERO
        };
        self.due = self.has_background_work().then(|| Instant::now() + pause);
        Ok(())
    }

    fn seal_waiting(&mut self) -> Result<(), WalError> {
        while let Some(order) = self.seals.front_mut() {
            let number = order.segment.short_number();
            let sealed = SealedRows::from_events(number, order.last_lsn, &mut order.events);
            let bytes = sealed.encode(
                number,
                order.segment.salt(),
                order.first_lsn,
                order.last_lsn,
            );
            let path = order.segment.rows_path();
            match replace_file(&path, &bytes) {
                Ok(()) => {
                    self.has_sealed = true;
                    self.report(Report::Sealed {
                        segment: number,
                        places: sealed.places.into(),
                    });
                }
                Err(error) if is_disk_full(&error) => {
                    if self.pool.drop_ballast() {
                        continue;
                    }
                    self.counters.set_disk_full(true);
                    return Ok(());
                }
                Err(source) => return Err(failed("seal", &path, source)),
            }
            self.seals.pop_front();
        }
        Ok(())
    }

    fn save_checkpoint(&mut self) -> Result<(), WalError> {
        let path = self.layout.checkpoint();
        while let Some((checkpoint, dead)) = self.checkpoint.take() {
            match checkpoint.save(&path) {
                Ok(()) => self.report(Report::Checkpointed {
                    lsn: checkpoint.lsn,
                    dead,
                }),
                Err(error) if is_disk_full(&error) => {
                    self.checkpoint = Some((checkpoint, dead));
                    if !self.pool.drop_ballast() {
                        self.counters.set_disk_full(true);
                        return Ok(());
                    }
                }
                Err(source) => return Err(failed("write", &path, source)),
            }
        }
        Ok(())
    }

    fn recycle(&mut self, path: &Path) -> Result<(), WalError> {
        let from_log = path.parent() == Some(self.layout.log.as_path());
        let spare = if from_log {
            // The index file goes first: a segment without one is read again.
            remove_if_there(&rows_path(path)).and_then(|()| self.pool.take_in(path))
        } else {
            // A sorted segment cannot be read again, so its index file outlives it.
            remove_if_there(path)
                .and_then(|()| remove_if_there(&rows_path(path)))
                .map(|()| None)
        };
        let spare = spare.map_err(|source| failed("recycle", path, source))?;
        let directory = if from_log {
            &self.layout.log
        } else {
            &self.layout.sorted
        };
        sync_directory(directory).map_err(|source| failed("sync", directory, source))?;
        self.report(Report::Recycled);
        if let Some(path) = spare {
            self.report(Report::SpareReady { path });
        }
        self.counters.set_disk_full(false);
        Ok(())
    }

    fn prewrite_step(&mut self) -> Result<Duration, WalError> {
        let mut prewriting = match self.prewriting.take() {
            Some(prewriting) => prewriting,
            None => match self.pool.start_prewriting(self.direct) {
                Ok(prewriting) => prewriting,
                Err(error) if is_disk_full(&error) => {
                    self.counters.set_disk_full(true);
                    return Ok(RETRY);
                }
                Err(source) => return Err(failed("pre-write", self.pool.directory(), source)),
            },
        };
        match self.pool.prewrite(&mut prewriting) {
            Ok(false) => self.prewriting = Some(prewriting),
            Ok(true) => {
                let path = self
                    .pool
                    .finish(prewriting)
                    .map_err(|source| failed("pre-write", self.pool.directory(), source))?;
                self.counters.set_disk_full(false);
                self.report(Report::SpareReady { path });
            }
            Err(error) if is_disk_full(&error) => {
                prewriting.abandon();
                self.counters.set_disk_full(true);
                return Ok(RETRY);
            }
            Err(source) => return Err(failed("pre-write", self.pool.directory(), source)),
        }
        self.demand.update(&self.counters);
        Ok(pace(
            HELPER_STEP_BYTES as u64,
            self.demand.prewrite_bytes_per_s(),
        ))
    }

    fn start_defrag(&mut self, order: DefragOrder) -> Result<(), WalError> {
        match Defrag::start(order, self.direct) {
            Ok(defrag) => self.defrag = Some(defrag),
            Err(error) => self.defrag_failed(error)?,
        }
        Ok(())
    }

    fn defrag_step(&mut self) -> Result<Duration, WalError> {
        let Some(mut defrag) = self.defrag.take() else {
            return Ok(Duration::ZERO);
        };
        let copied = match defrag.step(HELPER_STEP_BYTES) {
            Ok(copied) => copied,
            Err(error) => {
                defrag.abandon();
                self.defrag_failed(error)?;
                return Ok(RETRY);
            }
        };
        if copied > 0 {
            self.defrag = Some(defrag);
            return Ok(pace(copied, DEFRAG_BYTES_PER_S));
        }
        match defrag.finish() {
            Ok(moved) => self.report(moved),
            Err(error) => self.defrag_failed(error)?,
        }
        Ok(Duration::ZERO)
    }

    /// A full disk ends a defragmentation, everything else ends the log.
    fn defrag_failed(&self, error: WalError) -> Result<(), WalError> {
        match &error {
            WalError::Io { source, .. } if is_disk_full(source) => {
                self.report(Report::DefragAbandoned);
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// How fast the log grows: who pre-writes slower than that never fills the pool.
struct Demand {
    seen_bytes: u64,
    seen_at: Instant,
    bytes_per_s: u64,
}

impl Demand {
    fn new() -> Self {
        Self {
            seen_bytes: 0,
            seen_at: Instant::now(),
            bytes_per_s: 0,
        }
    }

    fn update(&mut self, counters: &Counters) {
        let took = self.seen_at.elapsed();
        if took < DEMAND_WINDOW {
            return;
        }
        let written = counters.written_bytes();
        let grown = written.saturating_sub(self.seen_bytes);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.bytes_per_s = grown.saturating_mul(1000) / took_ms;
        self.seen_bytes = written;
        self.seen_at = Instant::now();
    }

    fn prewrite_bytes_per_s(&self) -> u64 {
        PREWRITE_BYTES_PER_S.max(self.bytes_per_s.saturating_mul(5) / 4)
    }
}

pub(crate) fn failed(operation: &'static str, path: &Path, source: io::Error) -> WalError {
    WalError::Io {
        operation,
        path: path.to_owned(),
        position: 0,
        source,
    }
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn pace(bytes: u64, bytes_per_s: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / bytes_per_s)
}

fn lower_priority() {
    // A container may forbid it; the work is paced anyway.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10);
}
