//! Replays the files of a log in the order of writing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use super::files::{Found, FoundFiles};
use super::start::Unsealed;
use super::{RecoveredGroup, Visitor, corrupt, io_error};
use crate::checkpoint::Checkpoint;
use crate::error::OpenError;
use crate::frame::{RecordHeader, RecordView, record_bytes};
use crate::helper::Job;
use crate::index::Index;
use crate::io::{drop_cache, open_read, open_write, replace_file};
use crate::ledger::{Ledger, Span};
use crate::limits::{QUEUE_JOBS, SORTED_BIT};
use crate::record::{GroupUid, Kind, Row, Trim};
use crate::scan::{Scan, ScanEnd, ScanError};
use crate::sealed::{Directory, Place, SealEvent, SealedRows};
use crate::segment::{Segment, SegmentHeader, rows_path};

/// The state of a recovery.
pub(super) struct Replay<'a> {
    pub(super) visitor: &'a mut dyn Visitor,
    pub(super) direct: bool,
    pub(super) checkpoint_lsn: u64,
    pub(super) ledger: Ledger,
    pub(super) index: Index,
    /// Trim points of the checkpoint are applied once all older frames are placed.
    pub(super) settled: bool,
    pub(super) next_lsn: u64,
    pub(super) next_number: u32,
    pub(super) next_sorted: u32,
    pub(super) torn_bytes: u64,
    pub(super) unsealed: Vec<Unsealed>,
    /// Where the newest segment that was read frame by frame ends.
    end: Option<(PathBuf, u64)>,
    /// Index files to write once the whole log is known to be good.
    lost_rows: Vec<(PathBuf, Vec<u8>)>,
    pub(super) jobs: SyncSender<Job>,
    pub(super) jobs_of_helper: Receiver<Job>,
}

impl<'a> Replay<'a> {
    pub(super) fn begin(
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
            end: None,
            lost_rows: Vec::new(),
            jobs,
            jobs_of_helper,
        }
    }

    pub(super) fn replay(&mut self, files: FoundFiles) -> Result<(), OpenError> {
        let FoundFiles { log, sorted } = files;
        let mut moved = self.add_sorted(sorted);
        let mut previous: Option<(u32, u64)> = None;
        let mut log = log.into_iter().peekable();
        while let Some(found) = log.next() {
            self.check_chain(&found, previous)?;
            let number = found.header.number;
            // Sources that are recycled already were older than this one.
            self.place_moved_before(number, &mut moved);
            let moved = moved.remove(&number);
            let covered = |next: &Found| next.header.first_lsn <= self.checkpoint_lsn + 1;
            match &found.directory {
                Some(rows) if rows.last_lsn <= self.checkpoint_lsn => {
                    self.place_sealed(&found, rows, moved);
                }
                _ if log.peek().is_some_and(covered) => {
                    let rows = self.seal_again(&found)?;
                    self.place_sealed(&found, &rows, moved);
                }
                // Newer than the checkpoint: rows that were moved out of it are found here too.
                _ => self.scan(&found, log.peek().is_none())?,
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
            None => self.write_lost_rows(),
        }
    }

    fn lost_frames(&self) -> OpenError {
        let (path, position) = self.end.clone().unwrap_or_default();
        let reason = format!(
            "the log ends at lsn {}, but its checkpoint covers {}",
            self.next_lsn - 1,
            self.checkpoint_lsn
        );
        corrupt(&path, position, &reason)
    }

    /// Every segment continues the one before it, unless what was between them is recycled.
    fn check_chain(&self, found: &Found, previous: Option<(u32, u64)>) -> Result<(), OpenError> {
        let (number, first_lsn) = (found.header.number, found.header.first_lsn);
        let adjacent = previous.is_some_and(|(before, _)| before + 1 == number);
        let follows = match previous {
            Some((_, next_lsn)) if adjacent => first_lsn == next_lsn,
            Some((_, next_lsn)) => (next_lsn..=self.checkpoint_lsn + 1).contains(&first_lsn),
            None => first_lsn <= self.checkpoint_lsn + 1,
        };
        if follows {
            return Ok(());
        }
        let lsn = self.next_lsn;
        match &self.end {
            // The damage is where the segment before it ends too early.
            Some((path, position)) if adjacent => Err(corrupt(
                path,
                *position,
                &format!("the frame of lsn {lsn} is invalid, and newer ones follow"),
            )),
            _ => Err(corrupt(
                &found.path,
                0,
                &format!("it starts with lsn {first_lsn} where {lsn} should follow"),
            )),
        }
    }

    fn write_lost_rows(&mut self) -> Result<(), OpenError> {
        for (path, rows) in self.lost_rows.drain(..) {
            replace_file(&path, &rows).map_err(|source| io_error("write", &path, source))?;
        }
        Ok(())
    }

    pub(super) fn new_segment(
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
        segment.grew_to(u64::MAX);
        self.ledger
            .add_segment(Arc::clone(&segment), last_lsn, sealed, written);
        self.index.add_segment(Arc::clone(&segment));
        segment
    }

    /// Registers sorted segments; their places stand for the segments they came from.
    fn add_sorted(&mut self, sorted: Vec<Found>) -> BTreeMap<u32, Vec<(u32, Place)>> {
        let mut newest: HashMap<(u32, GroupUid), u32> = HashMap::new();
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
                // What was copied twice is complete in the newer copy.
                if newest.insert((place.source, place.group), number) != Some(number) {
                    places.retain(|(_, older)| older.group != place.group);
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
        let moved = moved.unwrap_or_default();
        // A group whose entries were copied is where they were copied to; the others are here still.
        for place in &directory.places {
            if !moved.iter().any(|(_, copy)| copy.group == place.group) {
                self.place(number, place);
            }
        }
        moved
            .iter()
            .for_each(|(target, place)| self.place(*target, place));
        self.next_lsn = directory.last_lsn + 1;
    }

    fn place(&mut self, segment: u32, place: &Place) {
        let alive = self
            .ledger
            .state(place.group)
            .is_some_and(|state| place.last_lsn >= state.install_lsn);
        if alive {
            // An upper bound is good enough here.
            let bytes = place.file_bytes();
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

    /// Makes the index file of a segment that lost it, or never got one before the stop.
    fn seal_again(&mut self, found: &Found) -> Result<Directory, OpenError> {
        let SegmentHeader {
            number,
            salt,
            first_lsn,
            segment_bytes,
            ..
        } = found.header;
        let failed = |error| scan_error(&found.path, error);
        let file = open_for_scan(&found.path, self.direct)
            .map_err(|source| io_error("read", &found.path, source))?;
        let mut read = |position: u64, out: &mut [u8]| file.read_exact_at(out, position);
        let mut scan = Scan::new(&mut read, salt, segment_bytes);
        let mut events = Vec::new();
        let end = scan
            .frames(
                first_lsn,
                &mut |view, frame| {
                    let row = row_at(&view.header, number, frame + u64::from(view.position));
                    self.visitor.verify(view.header.group, &row, view.stored)
                },
                &mut |position, view| {
                    events.extend(seal_event(&row_at(&view.header, number, position), view));
                    Ok(())
                },
            )
            .map_err(failed)?;
        self.end = Some((found.path.clone(), end.position));
        let last_lsn = end.next_lsn - 1;
        let sealed = SealedRows::from_events(number, last_lsn, &mut events);
        // Not before everything is known to fit together: damage must not be sealed.
        let rows = sealed.encode(number, salt, first_lsn, last_lsn);
        self.lost_rows.push((rows_path(&found.path), rows));
        Ok(Directory {
            number,
            salt,
            first_lsn,
            last_lsn,
            places: sealed.places,
        })
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
        self.end = Some((found.path.clone(), end.position));
        if newest {
            if let Some(valid) = scan
                .valid_header_after(end.position, end.next_lsn)
                .map_err(failed)?
            {
                let reason = format!(
                    "the frame of lsn {} is invalid, and a newer one follows at byte {valid}",
                    end.next_lsn
                );
                return Err(corrupt(&found.path, end.position, &reason));
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

    pub(super) fn replay_frames(
        &mut self,
        scan: &mut Scan<'_>,
        number: u32,
        first_lsn: u64,
        events: &mut Vec<(GroupUid, SealEvent)>,
    ) -> Result<ScanEnd, ScanError> {
        // Both callbacks need the visitor, one after the other.
        let this = RefCell::new(self);
        let mut verify = |view: &RecordView<'_>, frame: u64| {
            let row = row_at(&view.header, number, frame + u64::from(view.position));
            this.borrow()
                .visitor
                .verify(view.header.group, &row, view.stored)
        };
        let mut each = |position: u64, view: &RecordView<'_>| {
            let row = row_at(&view.header, number, position);
            events.extend(seal_event(&row, view));
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
                let bytes = record_bytes(row.len as usize) as u64;
                self.ledger.place_entry(group, segment, row.index, bytes);
                self.index.insert(group, *row);
            }
            Kind::SnapshotInstall | Kind::GroupCreate => {
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

fn row_at(header: &RecordHeader, number: u32, position: u64) -> Row {
    let position = u32::try_from(position).expect("a segment is below 2 GiB");
    header.row(number, position)
}

fn seal_event(row: &Row, view: &RecordView<'_>) -> Option<(GroupUid, SealEvent)> {
    match view.header.kind {
        Kind::Entry => Some((view.header.group, SealEvent::Entry(*row))),
        Kind::SnapshotInstall | Kind::GroupCreate => Some((view.header.group, SealEvent::Install)),
        _ => None,
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
