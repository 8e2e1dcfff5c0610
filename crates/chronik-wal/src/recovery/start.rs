//! Starts the threads of a recovered log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use chronik_inbox::{Sender, inbox};

use super::{Recovered, io_error};
use crate::appender::{Active, Appender, Command, LoopState, enter_log};
use crate::error::OpenError;
use crate::helper::{Helper, Job, Report, SealOrder};
use crate::index::Index;
use crate::io::open_write;
use crate::ledger::Ledger;
use crate::limits::{BLOCK_BYTES, QUEUE_COMMANDS, QUEUE_REPORTS};
use crate::notice::Notice;
use crate::options::Options;
use crate::pool::Pool;
use crate::reader::Reader;
use crate::record::GroupUid;
use crate::sealed::SealEvent;
use crate::segment::{Layout, Segment};
use crate::stats::Counters;
use crate::writer::Writer;

impl Recovered {
    /// Where the entries are.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Starts the threads. `sink` is called on the WAL thread and must not block.
    pub fn start<T, S>(self, sink: S) -> Result<(Writer<T>, Reader, Index), OpenError>
    where
        T: Send + std::fmt::Debug + 'static,
        S: FnMut(Notice<T>) + Send + 'static,
    {
        let Self {
            mut index,
            mut parts,
            durable_lsn,
            direct_io,
            ..
        } = self;
        let next_lsn = durable_lsn + 1;
        let number = parts.next_number - 1;
        let newest = parts
            .unsealed
            .pop_if(|newest| newest.segment.short_number() == number);
        let active = match newest {
            Some(newest) => reopen(newest, direct_io)?,
            None => parts.create_active(&mut index, next_lsn, direct_io)?,
        };
        let (commands, taken_commands) = inbox(QUEUE_COMMANDS);
        let (reports, taken_reports) = sync_channel::<Report>(QUEUE_REPORTS);
        let counters = Arc::new(Counters::default());
        Counters::set(&counters.durable_lsn, durable_lsn);
        Counters::set(&counters.checkpoint_lsn, self.checkpoint_lsn);
        let to_wake: Sender<Command<T>> = commands.clone();
        let reader = Reader::new(direct_io, parts.options.read_bytes, parts.options.planted);
        let helper = Helper::new(
            parts.layout.clone(),
            direct_io,
            parts.pool,
            Arc::clone(&counters),
            parts.jobs_of_helper,
            reports,
            // A full queue wakes the WAL thread as well.
            move || drop(to_wake.try_send(Command::Wake)),
        )
        .warming(reader.windows());
        let helper = spawn("chronik-wal-aid", &parts.layout.log, move || helper.run())?;
        let backlog: VecDeque<Job> = parts
            .unsealed
            .into_iter()
            .map(|full| Job::Seal(full.into_order()))
            .collect();
        let segment_bytes = parts.options.segment_bytes;
        let log = parts.layout.log.clone();
        let appender = Appender {
            state: LoopState::new(parts.options.frame_max, backlog),
            options: parts.options,
            layout: parts.layout,
            direct: direct_io,
            ledger: parts.ledger,
            active,
            next_lsn,
            next_sorted: parts.next_sorted,
            spares: parts.spares.into(),
            counters: Arc::clone(&counters),
            commands: taken_commands,
            reports: taken_reports,
            jobs: parts.jobs,
            helper,
            sink,
        };
        appender.count_segments();
        let thread = spawn("chronik-wal", &log, move || appender.run())?;
        let writer = Writer {
            commands,
            counters,
            thread: Some(thread),
            direct_io,
            segment_bytes,
        };
        Ok((writer, reader, index))
    }
}

/// What [`Recovered::start`] needs and nobody else should see.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) options: Options,
    pub(super) layout: Layout,
    pub(super) ledger: Ledger,
    pub(super) pool: Pool,
    pub(super) spares: Vec<PathBuf>,
    /// Segments without an index file, in order; the newest may go on.
    pub(super) unsealed: Vec<Unsealed>,
    pub(super) next_number: u32,
    pub(super) next_sorted: u32,
    pub(super) jobs: SyncSender<Job>,
    pub(super) jobs_of_helper: Receiver<Job>,
}

impl Parts {
    fn create_active(
        &mut self,
        index: &mut Index,
        first_lsn: u64,
        direct: bool,
    ) -> Result<Active, OpenError> {
        let spare = self.spares.pop();
        if spare.is_some() {
            self.pool.taken();
        }
        let number = self.next_number;
        let path = self.layout.segment(number);
        let (salt, file) = enter_log(
            &self.layout,
            &self.options,
            direct,
            number,
            first_lsn,
            spare.as_deref(),
        )
        .map_err(|source| io_error("create", &path, source))?;
        let segment = Arc::new(Segment::new(number, salt, path, self.jobs.clone()));
        index.add_segment(Arc::clone(&segment));
        self.ledger
            .add_segment(Arc::clone(&segment), u64::MAX, false, 0);
        Ok(Active {
            segment,
            file,
            position: BLOCK_BYTES as u64,
            first_lsn,
            events: Vec::new(),
        })
    }
}

/// A segment that was read frame by frame.
#[derive(Debug)]
pub(super) struct Unsealed {
    pub(super) segment: Arc<Segment>,
    pub(super) first_lsn: u64,
    pub(super) last_lsn: u64,
    pub(super) position: u64,
    pub(super) events: Vec<(GroupUid, SealEvent)>,
}

impl Unsealed {
    fn into_order(self) -> SealOrder {
        let Self {
            segment,
            first_lsn,
            last_lsn,
            events,
            ..
        } = self;
        SealOrder {
            segment,
            first_lsn,
            last_lsn,
            events,
        }
    }
}

fn reopen(newest: Unsealed, direct: bool) -> Result<Active, OpenError> {
    let Unsealed {
        segment,
        first_lsn,
        position,
        events,
        ..
    } = newest;
    let file = open_write(segment.path(), direct)
        .map_err(|source| io_error("open", segment.path(), source))?;
    // It goes on: what comes behind is not final any more.
    segment.grew_to(position);
    Ok(Active {
        segment,
        file,
        position,
        first_lsn,
        events,
    })
}

fn spawn(
    name: &str,
    log: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, OpenError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|source| io_error("start a thread for", log, source))
}
