//! From the files of a stopped process to a log that can be started.
//!
//! The checkpoint says what every group was as of some lsn. Sealed segments up to there are
//! known from their index files, the others are read frame by frame; what is newer than the
//! checkpoint is shown to the owner. In the end every group must have all its entries.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use crate::appender::{Active, Appender, Command, LoopState, enter_log};
use crate::checkpoint::Checkpoint;
use crate::error::OpenError;
use crate::frame::{RecordHeader, RecordView};
use crate::helper::{Helper, Job, Report, SealOrder, remove_if_there};
use crate::index::Index;
use crate::io::{drop_cache, open_read, open_write, probe_direct, sync_directory};
use crate::ledger::{GroupState, Ledger, Span};
use crate::limits::{
    BLOCK_BYTES, QUEUE_COMMANDS, QUEUE_JOBS, QUEUE_REPORTS, SEGMENT_MAX_BYTES, SEGMENT_MIN_BYTES,
    SORTED_BIT,
};
use crate::notice::Notice;
use crate::options::{IoMode, Options};
use crate::pool::Pool;
use crate::reader::Reader;
use crate::record::{GroupUid, Kind, Row, Trim};
use crate::scan::{Scan, ScanEnd, ScanError};
use crate::sealed::{Directory, Place, SealEvent};
use crate::segment::{Layout, Segment, SegmentHeader, rows_path};
use crate::stats::Counters;
use crate::writer::Writer;

/// What the owner of the records contributes to recovery.
pub trait Visitor {
    /// Whether the part of an entry that the log has no checksum for is intact; asked for
    /// records with [`flags::BODY_SELF_CHECKED`](crate::flags::BODY_SELF_CHECKED). The bytes
    /// may be torn by a crash, and sectors may hold what an earlier use of the file left
    /// there: check every checksum, and that every part follows from the row.
    fn verify(&self, group: GroupUid, row: &Row, stored: &[u8]) -> bool;

    /// A group as the checkpoint has it, before any entry is shown.
    fn checkpointed(&mut self, group: &RecoveredGroup) {
        let _ = group;
    }

    /// A snapshot that was installed after the checkpoint: it kills the group's entries
    /// seen so far.
    fn installed(&mut self, group: GroupUid, trim: Trim, stored: &[u8]) {
        let _ = (group, trim, stored);
    }

    /// An entry after the checkpoint, in the order of writing; a later one of the same
    /// index replaces it and all above it. A refusal becomes an error with its position.
    fn entry(&mut self, group: GroupUid, row: &Row, stored: &[u8]) -> Result<(), String>;
}

/// A group as recovery found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredGroup {
    pub uid: GroupUid,
    /// Body of its `GroupCreate`.
    pub create: Bytes,
    pub hard_state: Option<Bytes>,
    /// Applied index and body of its newest `ConfState`.
    pub conf_state: Option<(u64, Bytes)>,
    /// Body of the newest `SnapshotInstall`, until a checkpoint carries a newer state.
    pub snapshot: Option<Bytes>,
    pub trim: Trim,
    pub last_index: u64,
    pub last_term: u64,
    pub next_offset: u64,
    /// The caller's blob, exactly as of the checkpoint.
    pub state: Option<Bytes>,
}

impl RecoveredGroup {
    fn of(uid: GroupUid, state: &GroupState) -> Self {
        let state = state.clone();
        Self {
            uid,
            create: state.create,
            hard_state: state.hard_state,
            conf_state: state.conf_state,
            snapshot: state.snapshot,
            trim: state.trim,
            last_index: state.last_index,
            last_term: state.last_term,
            next_offset: state.next_offset,
            state: state.state,
        }
    }
}

/// A log that was read but does not run yet.
#[derive(Debug)]
pub struct Recovered {
    /// All groups, by uid.
    pub groups: Vec<RecoveredGroup>,
    /// The log sequence number of the checkpoint, 0 if there was none.
    pub checkpoint_lsn: u64,
    /// The last frame that is on disk.
    pub durable_lsn: u64,
    /// Bytes of a torn last frame that were cut.
    pub torn_bytes: u64,
    /// Whether frames will bypass the page cache.
    pub direct_io: bool,
    index: Index,
    parts: Parts,
}

/// What [`Recovered::start`] needs and nobody else should see.
#[derive(Debug)]
struct Parts {
    options: Options,
    layout: Layout,
    ledger: Ledger,
    pool: Pool,
    spares: Vec<PathBuf>,
    /// Segments without an index file, in order; the newest may go on.
    unsealed: Vec<Unsealed>,
    next_number: u32,
    next_sorted: u32,
    jobs: SyncSender<Job>,
    jobs_of_helper: Receiver<Job>,
}

/// A segment that was read frame by frame.
#[derive(Debug)]
struct Unsealed {
    segment: Arc<Segment>,
    first_lsn: u64,
    last_lsn: u64,
    position: u64,
    events: Vec<(GroupUid, SealEvent)>,
}

/// Reads the log of `options.dir`, creating it if there is none.
pub fn open(options: Options, visitor: &mut dyn Visitor) -> Result<Recovered, OpenError> {
    check_options(&options)?;
    let layout = Layout::of(&options.dir);
    for directory in [&options.dir, &layout.log, &layout.pool, &layout.sorted] {
        std::fs::create_dir_all(directory)
            .map_err(|source| io_error("create", directory, source))?;
    }
    for directory in [&options.dir, &layout.log] {
        sync_directory(directory).map_err(|source| io_error("sync", directory, source))?;
    }
    let direct = match options.io {
        IoMode::Buffered => false,
        IoMode::Auto => probe_direct(&layout.log),
        IoMode::Direct if probe_direct(&layout.log) => true,
        IoMode::Direct => {
            return Err(OpenError::DirectUnsupported {
                path: layout.log.clone(),
            });
        }
    };
    let checkpoint = Checkpoint::load(&layout.checkpoint())?;
    let (pool, spares) = Pool::open(&layout.pool, options.segment_bytes, options.pool_segments)
        .map_err(|source| io_error("read", &layout.pool, source))?;
    let files = list_segments(&layout, &options)?;
    let mut recovery = Recovery::begin(&options, direct, checkpoint, visitor);
    recovery.replay(files)?;
    let parts = Parts {
        options,
        layout,
        pool,
        spares,
        ledger: recovery.ledger,
        unsealed: recovery.unsealed,
        next_number: recovery.next_number,
        next_sorted: recovery.next_sorted,
        jobs: recovery.jobs,
        jobs_of_helper: recovery.jobs_of_helper,
    };
    let mut groups: Vec<_> = parts
        .ledger
        .states()
        .map(|(uid, state)| RecoveredGroup::of(uid, state))
        .collect();
    groups.sort_by_key(|group| group.uid);
    Ok(Recovered {
        groups,
        checkpoint_lsn: recovery.checkpoint_lsn,
        durable_lsn: recovery.next_lsn - 1,
        torn_bytes: recovery.torn_bytes,
        direct_io: direct,
        index: recovery.index,
        parts,
    })
}

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
        let active = match parts.unsealed.pop() {
            Some(newest) => reopen(newest, direct_io)?,
            None => parts.create_active(&mut index, next_lsn, direct_io)?,
        };
        let (commands, taken_commands) = sync_channel(QUEUE_COMMANDS);
        let (reports, taken_reports) = sync_channel::<Report>(QUEUE_REPORTS);
        let counters = Arc::new(Counters::default());
        Counters::set(&counters.durable_lsn, durable_lsn);
        Counters::set(&counters.checkpoint_lsn, self.checkpoint_lsn);
        let to_wake: SyncSender<Command<T>> = commands.clone();
        let helper = Helper::new(
            parts.layout.clone(),
            direct_io,
            parts.pool,
            Arc::clone(&counters),
            parts.jobs_of_helper,
            reports,
            // A full queue wakes the WAL thread as well.
            move || drop(to_wake.try_send(Command::Wake)),
        );
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
        Ok((writer, Reader::default(), index))
    }
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

fn check_options(options: &Options) -> Result<(), OpenError> {
    let refuse = |option, reason: &str| {
        Err(OpenError::Option {
            option,
            reason: reason.to_owned(),
        })
    };
    let block = BLOCK_BYTES as u64;
    if !options.segment_bytes.is_multiple_of(block)
        || !(SEGMENT_MIN_BYTES..=SEGMENT_MAX_BYTES).contains(&options.segment_bytes)
    {
        return refuse(
            "segment_bytes",
            "it must be a multiple of 4096 between 64 KiB and 2 GiB",
        );
    }
    if !options.frame_max.is_multiple_of(BLOCK_BYTES)
        || options.frame_max < BLOCK_BYTES
        || options.frame_max as u64 > options.segment_bytes - block
    {
        return refuse(
            "frame_max",
            "it must be a multiple of 4096, and 4096 bytes below segment_bytes at most",
        );
    }
    Ok(())
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// A segment file as it is found.
struct Found {
    path: PathBuf,
    header: SegmentHeader,
    directory: Option<Directory>,
}

/// The files of both namespaces, each by number.
struct FoundFiles {
    log: Vec<Found>,
    sorted: Vec<Found>,
}

fn list_segments(layout: &Layout, options: &Options) -> Result<FoundFiles, OpenError> {
    let log = list_directory(&layout.log, options)?;
    let sorted = list_directory(&layout.sorted, options)?;
    for found in &log {
        if found.path != layout.segment(found.header.number) {
            return Err(corrupt(
                &found.path,
                0,
                "the segment's number is not its name",
            ));
        }
        if found.header.segment_bytes != options.segment_bytes {
            return Err(OpenError::SegmentBytes {
                path: found.path.clone(),
                found: found.header.segment_bytes,
                configured: options.segment_bytes,
            });
        }
    }
    for found in &sorted {
        if found.path != layout.segment(found.header.number) || found.directory.is_none() {
            return Err(corrupt(
                &found.path,
                0,
                "the sorted segment has no valid index file",
            ));
        }
    }
    Ok(FoundFiles { log, sorted })
}

fn list_directory(directory: &Path, options: &Options) -> Result<Vec<Found>, OpenError> {
    let failed = |source| io_error("read", directory, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => found.push(look_at_segment(path, options)?),
            // What a stopped process was making.
            Some("tmp" | "part") => remove_if_there(&path).map_err(failed)?,
            Some("idx") if !path.with_extension("seg").exists() => {
                remove_if_there(&path).map_err(failed)?
            }
            _ => {}
        }
    }
    found.sort_by_key(|found| found.header.number);
    Ok(found)
}

fn look_at_segment(path: PathBuf, options: &Options) -> Result<Found, OpenError> {
    let failed = |source| io_error("read", &path, source);
    let file = open_read(&path, false).map_err(failed)?;
    let mut page = vec![0; BLOCK_BYTES];
    match file.read_exact_at(&mut page, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(corrupt(
                &path,
                0,
                "the file is shorter than a segment header",
            ));
        }
        read => read.map_err(failed)?,
    }
    let header = SegmentHeader::read(&page, &path)?;
    if header.node_uuid != options.node_uuid {
        return Err(OpenError::ForeignNode { path });
    }
    if header.number & SORTED_BIT == 0
        && file.metadata().map_err(failed)?.len() != header.segment_bytes
    {
        return Err(corrupt(
            &path,
            0,
            "the file does not have the length of a segment",
        ));
    }
    let directory = match open_read(&rows_path(&path), false) {
        Ok(rows) => Directory::read(&rows).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(io_error("open", &rows_path(&path), source)),
    };
    let directory =
        directory.filter(|found| found.number == header.number && found.salt == header.salt);
    Ok(Found {
        path,
        header,
        directory,
    })
}

fn corrupt(path: &Path, position: u64, reason: &str) -> OpenError {
    OpenError::Corrupt {
        path: path.to_owned(),
        position,
        reason: reason.to_owned(),
    }
}

/// The state of a recovery.
struct Recovery<'a> {
    visitor: &'a mut dyn Visitor,
    direct: bool,
    checkpoint_lsn: u64,
    ledger: Ledger,
    index: Index,
    /// Trim points of the checkpoint are applied once all older frames are placed.
    settled: bool,
    next_lsn: u64,
    next_number: u32,
    next_sorted: u32,
    torn_bytes: u64,
    unsealed: Vec<Unsealed>,
    jobs: SyncSender<Job>,
    jobs_of_helper: Receiver<Job>,
}

impl<'a> Recovery<'a> {
    fn begin(
        _options: &Options,
        direct: bool,
        checkpoint: Checkpoint,
        visitor: &'a mut dyn Visitor,
    ) -> Self {
        let (jobs, jobs_of_helper) = sync_channel(QUEUE_JOBS);
        let mut ledger = Ledger::default();
        let mut index = Index::default();
        for (uid, state) in checkpoint.groups {
            visitor.checkpointed(&RecoveredGroup::of(uid, &state));
            // Everything that is trimmed by now may be found again, and settled then.
            index.reset(uid, Trim::default());
            ledger.add_group(uid, state);
        }
        Self {
            visitor,
            direct,
            checkpoint_lsn: checkpoint.lsn,
            ledger,
            index,
            settled: false,
            next_lsn: 1,
            next_number: 1,
            next_sorted: 1,
            torn_bytes: 0,
            unsealed: Vec::new(),
            jobs,
            jobs_of_helper,
        }
    }

    fn replay(&mut self, files: FoundFiles) -> Result<(), OpenError> {
        let FoundFiles { log, sorted } = files;
        let mut moved = self.add_sorted(sorted);
        let mut previous: Option<(u32, u64)> = None;
        let count = log.len();
        for (nth, found) in log.into_iter().enumerate() {
            self.check_chain(&found, previous)?;
            let number = found.header.number;
            // Sources that are recycled already were older than this one.
            self.place_moved_before(number, &mut moved);
            match &found.directory {
                Some(directory) if directory.last_lsn <= self.checkpoint_lsn => {
                    self.place_sealed(&found, directory, moved.remove(&number));
                }
                _ => {
                    moved.remove(&number);
                    self.scan(&found, nth + 1 == count)?;
                }
            }
            self.next_number = number + 1;
            previous = Some((number, self.next_lsn));
        }
        self.place_moved_before(u32::MAX, &mut moved);
        self.settle();
        if self.next_lsn <= self.checkpoint_lsn {
            return Err(self.lost_frames());
        }
        match self.ledger.missing_entries() {
            Some((group, first, last)) => Err(OpenError::MissingEntries { group, first, last }),
            None => Ok(()),
        }
    }

    fn lost_frames(&self) -> OpenError {
        let path = self
            .unsealed
            .last()
            .map_or_else(PathBuf::new, |newest| newest.segment.path().to_owned());
        let position = self.unsealed.last().map_or(0, |newest| newest.position);
        let reason = format!(
            "the log ends at lsn {}, but its checkpoint covers {}",
            self.next_lsn - 1,
            self.checkpoint_lsn
        );
        OpenError::Corrupt {
            path,
            position,
            reason,
        }
    }

    /// Every segment continues the one before it, unless what was between them is recycled.
    fn check_chain(&self, found: &Found, previous: Option<(u32, u64)>) -> Result<(), OpenError> {
        let first_lsn = found.header.first_lsn;
        let follows = match previous {
            Some((number, next_lsn)) if number + 1 == found.header.number => first_lsn == next_lsn,
            Some((_, next_lsn)) => (next_lsn..=self.checkpoint_lsn + 1).contains(&first_lsn),
            None => first_lsn <= self.checkpoint_lsn + 1,
        };
        if follows {
            return Ok(());
        }
        let reason = format!(
            "it starts with lsn {first_lsn}, which does not follow lsn {}",
            self.next_lsn - 1
        );
        // Usually the damage is where the segment before it ends too early.
        match self.unsealed.last() {
            Some(before) if before.segment.short_number() + 1 == found.header.number => {
                Err(OpenError::Corrupt {
                    path: before.segment.path().to_owned(),
                    position: before.position,
                    reason: format!(
                        "the frame of lsn {} is invalid, and newer ones follow",
                        self.next_lsn
                    ),
                })
            }
            _ => Err(OpenError::Corrupt {
                path: found.path.clone(),
                position: 0,
                reason,
            }),
        }
    }

    fn new_segment(
        &mut self,
        found: &Found,
        last_lsn: u64,
        sealed: bool,
        written: u64,
    ) -> Arc<Segment> {
        let SegmentHeader { number, salt, .. } = found.header;
        let segment = Arc::new(Segment::new(
            number,
            salt,
            found.path.clone(),
            self.jobs.clone(),
        ));
        self.ledger
            .add_segment(Arc::clone(&segment), last_lsn, sealed, written);
        self.index.add_segment(Arc::clone(&segment));
        segment
    }

    /// Registers sorted segments; their places stand for the segments they came from.
    fn add_sorted(&mut self, sorted: Vec<Found>) -> BTreeMap<u32, Vec<(u32, Place)>> {
        let mut newest: HashMap<u32, u32> = HashMap::new();
        let mut moved: BTreeMap<u32, Vec<(u32, Place)>> = BTreeMap::new();
        for found in sorted {
            let number = found.header.number;
            let Some(directory) = &found.directory else {
                continue;
            };
            self.new_segment(&found, directory.last_lsn, true, found.header.segment_bytes);
            self.next_sorted = (number & !SORTED_BIT) + 1;
            for place in &directory.places {
                let places = moved.entry(place.source).or_default();
                // What was sorted twice is complete in the newer copy.
                if newest.insert(place.source, number) != Some(number) {
                    places.clear();
                }
                places.push((number, *place));
            }
        }
        moved
    }

    fn place_moved_before(&mut self, number: u32, moved: &mut BTreeMap<u32, Vec<(u32, Place)>>) {
        while let Some(entry) = moved.first_entry().filter(|entry| *entry.key() < number) {
            for (target, place) in entry.remove() {
                self.place(target, &place);
            }
        }
    }

    fn place_sealed(
        &mut self,
        found: &Found,
        directory: &Directory,
        moved: Option<Vec<(u32, Place)>>,
    ) {
        let number = found.header.number;
        self.new_segment(found, directory.last_lsn, true, found.header.segment_bytes);
        match moved {
            Some(moved) => moved
                .iter()
                .for_each(|(target, place)| self.place(*target, place)),
            None => directory
                .places
                .iter()
                .for_each(|place| self.place(number, place)),
        }
        self.next_lsn = directory.last_lsn + 1;
    }

    fn place(&mut self, segment: u32, place: &Place) {
        let alive = self
            .ledger
            .state(place.group)
            .is_some_and(|state| place.last_lsn >= state.install_lsn);
        if alive {
            // Records are padded to eight bytes: an upper bound is good enough here.
            let bytes = place.bytes
                + u64::from(place.rows) * (crate::frame::RECORD_HEADER_BYTES as u64 + 7);
            let (first_index, last_index) = (place.first_index, place.last_index());
            self.ledger.place(
                place.group,
                Span {
                    segment,
                    first_index,
                    last_index,
                    bytes,
                },
            );
            self.index.insert_place(segment, place);
        }
    }

    /// Reads a segment frame by frame, from the disk and not from memory that the stopped
    /// process may have left unsynced.
    fn scan(&mut self, found: &Found, newest: bool) -> Result<(), OpenError> {
        let SegmentHeader {
            number,
            salt,
            first_lsn,
            segment_bytes,
            ..
        } = found.header;
        let segment = self.new_segment(found, u64::MAX, false, 0);
        let file = open_for_scan(&found.path, self.direct)
            .map_err(|source| io_error("read", &found.path, source))?;
        let mut read = |position: u64, out: &mut [u8]| file.read_exact_at(out, position);
        let mut scan = Scan::new(&mut read, salt, segment_bytes);
        let mut events = Vec::new();
        self.next_lsn = first_lsn;
        let scanned = self.replay_frames(&mut scan, number, first_lsn, &mut events);
        let failed = |error| scan_error(&found.path, error);
        let end: ScanEnd = scanned.map_err(failed)?;
        self.next_lsn = end.next_lsn;
        if newest {
            if let Some(valid) = scan
                .valid_header_after(end.position, end.next_lsn)
                .map_err(failed)?
            {
                let reason = format!(
                    "the frame of lsn {} is invalid, and a newer one follows at byte {valid}",
                    end.next_lsn
                );
                return Err(OpenError::Corrupt {
                    path: found.path.clone(),
                    position: end.position,
                    reason,
                });
            }
            self.torn_bytes = end.torn_bytes;
        }
        let last_lsn = end.next_lsn - 1;
        if !newest && let Some(used) = self.ledger.segment_mut(number) {
            used.last_lsn = last_lsn;
            used.written_bytes = end.position;
        }
        self.unsealed.push(Unsealed {
            segment,
            first_lsn,
            last_lsn,
            position: end.position,
            events,
        });
        Ok(())
    }

    fn replay_frames(
        &mut self,
        scan: &mut Scan<'_>,
        number: u32,
        first_lsn: u64,
        events: &mut Vec<(GroupUid, SealEvent)>,
    ) -> Result<ScanEnd, ScanError> {
        // Both callbacks need the visitor, one after the other.
        let this = std::cell::RefCell::new(self);
        let row_at = |header: &RecordHeader, position: u64| {
            header.row(
                number,
                u32::try_from(position).expect("a segment is below 2 GiB"),
            )
        };
        let mut verify = |view: &RecordView<'_>, frame: u64| {
            let row = row_at(&view.header, frame + u64::from(view.position));
            this.borrow()
                .visitor
                .verify(view.header.group, &row, view.stored)
        };
        let mut each = |position: u64, view: &RecordView<'_>| {
            let row = row_at(&view.header, position);
            match view.header.kind {
                Kind::Entry => events.push((view.header.group, SealEvent::Entry(row))),
                Kind::SnapshotInstall => events.push((view.header.group, SealEvent::Install)),
                _ => {}
            }
            this.borrow_mut().replay_record(number, &row, view)
        };
        scan.frames(first_lsn, &mut verify, &mut each)
    }

    fn replay_record(
        &mut self,
        segment: u32,
        row: &Row,
        view: &RecordView<'_>,
    ) -> Result<(), String> {
        if view.header.lsn <= self.checkpoint_lsn {
            self.place_covered(segment, row, view);
            return Ok(());
        }
        self.settle();
        let group = view.header.group;
        let stored = || Bytes::copy_from_slice(view.stored);
        let known = self.ledger.contains(group);
        self.ledger
            .apply(&view.header, segment, &stored)
            .map_err(|misfit| format!("the record does not fit its group: {misfit:?}"))?;
        let trim = Trim {
            index: view.header.index,
            term: view.header.term,
            offset: view.header.base_offset,
        };
        match view.header.kind {
            Kind::Entry => {
                self.index.insert(group, *row);
                self.visitor.entry(group, row, view.stored)?;
            }
            Kind::GroupCreate if !known => self.index.reset(group, trim),
            Kind::SnapshotInstall => {
                self.index.reset(group, trim);
                self.visitor.installed(group, trim, view.stored);
            }
            Kind::TrimPrefix => self.index.trim(group, trim),
            Kind::GroupDestroy => self.index.remove(group),
            Kind::GroupCreate | Kind::HardState | Kind::ConfState => {}
        }
        Ok(())
    }

    /// Of a frame that the checkpoint covers only the places of entries are of interest.
    fn place_covered(&mut self, segment: u32, row: &Row, view: &RecordView<'_>) {
        let group = view.header.group;
        if !self.ledger.contains(group) {
            return;
        }
        match view.header.kind {
            Kind::Entry => {
                let bytes = crate::frame::record_bytes(row.len as usize) as u64;
                self.ledger.place(
                    group,
                    Span {
                        segment,
                        first_index: row.index,
                        last_index: row.index,
                        bytes,
                    },
                );
                self.index.insert(group, *row);
            }
            Kind::SnapshotInstall => {
                self.ledger.kill_from(group, 0);
                self.index.reset(group, Trim::default());
            }
            _ => {}
        }
    }

    /// All frames up to the checkpoint are placed: now its trim points apply.
    fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let trims: Vec<_> = self
            .ledger
            .states()
            .map(|(uid, state)| (uid, state.trim))
            .collect();
        for (uid, trim) in trims {
            self.ledger.kill_through(uid, trim.index);
            self.index.settle(uid, trim);
        }
    }
}

fn open_for_scan(path: &Path, direct: bool) -> io::Result<File> {
    let cached = open_write(path, false)?;
    // A process that was killed between write and sync leaves frames in a volatile cache:
    // whatever is read now must survive a power cut that comes after it is acknowledged.
    cached.sync_data()?;
    drop_cache(&cached)?;
    if direct {
        open_read(path, true)
    } else {
        Ok(cached)
    }
}

fn scan_error(path: &Path, error: ScanError) -> OpenError {
    match error {
        ScanError::Io(source) => io_error("read", path, source),
        ScanError::Corrupt { position, reason } => OpenError::Corrupt {
            path: path.to_owned(),
            position,
            reason,
        },
    }
}

/// Recovers one segment from arbitrary bytes, as a fuzz target: it must neither panic nor
/// take memory that the bytes do not justify. Returns how many entries it accepted.
#[doc(hidden)]
pub fn fuzz_segment(bytes: &[u8]) -> usize {
    struct Everything(usize);
    impl Visitor for Everything {
        fn verify(&self, _: GroupUid, _: &Row, _: &[u8]) -> bool {
            true
        }
        fn entry(&mut self, _: GroupUid, _: &Row, _: &[u8]) -> Result<(), String> {
            self.0 += 1;
            Ok(())
        }
    }
    let Ok(header) = SegmentHeader::read(bytes, Path::new("fuzz.seg")) else {
        return 0;
    };
    let whole = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
    let mut visitor = Everything(0);
    let options = Options::new("fuzz", header.node_uuid);
    let mut recovery = Recovery::begin(&options, false, Checkpoint::default(), &mut visitor);
    let mut read = |position: u64, out: &mut [u8]| {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        let from = bytes
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    };
    let mut scan = Scan::new(&mut read, header.salt, whole as u64);
    let found = Found {
        path: PathBuf::from("fuzz.seg"),
        header,
        directory: None,
    };
    recovery.new_segment(&found, u64::MAX, false, 0);
    let mut events = Vec::new();
    if let Ok(end) = recovery.replay_frames(&mut scan, header.number, header.first_lsn, &mut events)
    {
        // The result is of no interest, only that it comes.
        let _ = scan.valid_header_after(end.position, end.next_lsn);
    }
    visitor.0
}
