//! What the log knows of every group and of every segment: the part of the state that a
//! checkpoint keeps, and which segments still hold something alive. The WAL thread feeds it
//! with every record it writes, and recovery with every record it finds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{RecordHeader, record_bytes};
use crate::record::{GroupUid, Kind, Trim};
use crate::sealed::Place;
use crate::segment::Segment;

/// A group as of the newest record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(crate) create: Bytes,
    pub(crate) hard_state: Option<Bytes>,
    pub(crate) conf_state: Option<(u64, Bytes)>,
    pub(crate) snapshot: Option<Bytes>,
    /// Entries of frames before this one are dead.
    pub(crate) install_lsn: u64,
    pub(crate) trim: Trim,
    pub(crate) last_index: u64,
    pub(crate) last_term: u64,
    pub(crate) next_offset: u64,
    pub(crate) state: Option<Bytes>,
}

impl GroupState {
    fn restart(&mut self, trim: Trim) {
        self.trim = trim;
        self.last_index = trim.index;
        self.last_term = trim.term;
        self.next_offset = trim.offset;
    }
}

/// Live entries of one group in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) segment: u32,
    pub(crate) first_index: u64,
    pub(crate) last_index: u64,
    /// What they take in the file; exact until the span is cut, then its share.
    pub(crate) bytes: u64,
}

impl Span {
    fn entries(&self) -> u64 {
        self.last_index - self.first_index + 1
    }

    fn cut_to(&mut self, first_index: u64, last_index: u64) {
        let before = self.entries();
        self.first_index = first_index;
        self.last_index = last_index;
        self.bytes = share(self.bytes, self.entries(), before);
    }
}

/// `bytes * part / whole` without overflow.
pub(crate) fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).expect("a part is not longer than the whole")
}

#[derive(Debug, Default)]
struct Group {
    state: GroupState,
    spans: VecDeque<Span>,
}

/// A segment of the log as the WAL thread sees it.
#[derive(Debug)]
pub(crate) struct SegmentUse {
    pub(crate) segment: Arc<Segment>,
    pub(crate) last_lsn: u64,
    pub(crate) sealed: bool,
    /// Bytes the segment can hold or holds, to compare the live ones with.
    pub(crate) written_bytes: u64,
    live_spans: u64,
    live_bytes: u64,
}

/// Why a record cannot follow the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    UnknownGroup,
    Gap { last_index: u64, trim_index: u64 },
    OutOfRange,
}

/// Indexes and offsets stay below this, so that sums of them cannot overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    groups: HashMap<GroupUid, Group>,
    segments: BTreeMap<u32, SegmentUse>,
}

impl Ledger {
    pub(crate) fn add_group(&mut self, uid: GroupUid, state: GroupState) {
        self.groups.insert(
            uid,
            Group {
                state,
                spans: VecDeque::new(),
            },
        );
    }

    pub(crate) fn add_segment(
        &mut self,
        segment: Arc<Segment>,
        last_lsn: u64,
        sealed: bool,
        written_bytes: u64,
    ) {
        let number = segment.short_number();
        let added = SegmentUse {
            segment,
            last_lsn,
            sealed,
            written_bytes,
            live_spans: 0,
            live_bytes: 0,
        };
        self.segments.insert(number, added);
    }

    pub(crate) fn segment_mut(&mut self, number: u32) -> Option<&mut SegmentUse> {
        self.segments.get_mut(&number)
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentUse> {
        self.segments.values()
    }

    pub(crate) fn remove_segment(&mut self, number: u32) -> Option<Arc<Segment>> {
        self.segments.remove(&number).map(|gone| gone.segment)
    }

    pub(crate) fn contains(&self, uid: GroupUid) -> bool {
        self.groups.contains_key(&uid)
    }

    pub(crate) fn state(&self, uid: GroupUid) -> Option<&GroupState> {
        self.groups.get(&uid).map(|group| &group.state)
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = (GroupUid, &GroupState)> {
        self.groups.iter().map(|(uid, group)| (*uid, &group.state))
    }

    pub(crate) fn set_state(&mut self, uid: GroupUid, state: Bytes) {
        if let Some(group) = self.groups.get_mut(&uid) {
            group.state.state = Some(state);
            group.state.snapshot = None;
        }
    }

    /// Takes over one record. `stored` is copied where the ledger keeps it.
    pub(crate) fn apply(
        &mut self,
        header: &RecordHeader,
        segment: u32,
        stored: &dyn Fn() -> Bytes,
    ) -> Result<(), Misfit> {
        if header.index > NUMBER_MAX || header.base_offset > NUMBER_MAX {
            return Err(Misfit::OutOfRange);
        }
        let trim = Trim {
            index: header.index,
            term: header.term,
            offset: header.base_offset,
        };
        if header.kind == Kind::GroupCreate {
            if !self.contains(header.group) {
                let mut state = GroupState {
                    create: stored(),
                    // A replica that comes back has the same group: what it held before is dead.
                    install_lsn: header.lsn,
                    ..GroupState::default()
                };
                state.restart(trim);
                self.add_group(header.group, state);
            }
            return Ok(());
        }
        let group = self
            .groups
            .get_mut(&header.group)
            .ok_or(Misfit::UnknownGroup)?;
        match header.kind {
            Kind::GroupCreate => {}
            Kind::Entry => return self.append(header, segment),
            Kind::HardState => group.state.hard_state = Some(stored()),
            Kind::ConfState => group.state.conf_state = Some((header.index, stored())),
            Kind::SnapshotInstall => {
                group.state.snapshot = Some(stored());
                group.state.install_lsn = header.lsn;
                group.state.restart(trim);
                self.kill_from(header.group, 0);
            }
            Kind::TrimPrefix => {
                if trim.index > group.state.last_index {
                    return Err(Misfit::Gap {
                        last_index: group.state.last_index,
                        trim_index: trim.index,
                    });
                }
                if trim.index > group.state.trim.index {
                    group.state.trim = trim;
                    self.kill_through(header.group, trim.index);
                }
            }
            Kind::GroupDestroy => {
                self.kill_from(header.group, 0);
                self.groups.remove(&header.group);
            }
        }
        Ok(())
    }

    fn append(&mut self, header: &RecordHeader, segment: u32) -> Result<(), Misfit> {
        let state = &mut self
            .groups
            .get_mut(&header.group)
            .ok_or(Misfit::UnknownGroup)?
            .state;
        if header.index > state.last_index + 1 || header.index <= state.trim.index {
            return Err(Misfit::Gap {
                last_index: state.last_index,
                trim_index: state.trim.index,
            });
        }
        state.last_index = header.index;
        state.last_term = header.term;
        state.next_offset = header.base_offset + u64::from(header.record_count);
        let bytes = record_bytes(header.len as usize) as u64;
        self.place_entry(header.group, segment, header.index, bytes);
        Ok(())
    }

    /// Puts one live entry at the end of a group; it supersedes the same index and all
    /// above. Entries of unknown groups are dead already.
    pub(crate) fn place_entry(&mut self, uid: GroupUid, segment: u32, index: u64, bytes: u64) {
        self.kill_from(uid, index);
        let Some(group) = self.groups.get_mut(&uid) else {
            return;
        };
        match group.spans.back_mut() {
            Some(last) if last.segment == segment && last.last_index + 1 == index => {
                last.last_index = index;
                last.bytes += bytes;
                if let Some(used) = self.segments.get_mut(&segment) {
                    used.live_bytes += bytes;
                }
            }
            _ => self.place(
                uid,
                Span {
                    segment,
                    first_index: index,
                    last_index: index,
                    bytes,
                },
            ),
        }
    }

    /// The same for entries that are next to each other in an index file. Their span stays
    /// their own, because neighbours may come from another place of the file.
    pub(crate) fn place(&mut self, uid: GroupUid, span: Span) {
        self.kill_from(uid, span.first_index);
        let Some(group) = self.groups.get_mut(&uid) else {
            return;
        };
        let Some(used) = self.segments.get_mut(&span.segment) else {
            return;
        };
        used.live_bytes += span.bytes;
        used.live_spans += 1;
        group.spans.push_back(span);
    }

    /// All entries of `index` and above are dead.
    pub(crate) fn kill_from(&mut self, uid: GroupUid, index: u64) {
        let Some(group) = self.groups.get_mut(&uid) else {
            return;
        };
        while let Some(span) = group.spans.back_mut() {
            if span.last_index < index {
                return;
            }
            let before = *span;
            if span.first_index < index {
                span.cut_to(span.first_index, index - 1);
                release(&mut self.segments, before, Some(*span));
                return;
            }
            release(&mut self.segments, before, None);
            group.spans.pop_back();
        }
    }

    /// All entries up to `index` are dead.
    pub(crate) fn kill_through(&mut self, uid: GroupUid, index: u64) {
        let Some(group) = self.groups.get_mut(&uid) else {
            return;
        };
        while let Some(span) = group.spans.front_mut() {
            if span.first_index > index {
                return;
            }
            let before = *span;
            if span.last_index > index {
                span.cut_to(index + 1, span.last_index);
                release(&mut self.segments, before, Some(*span));
                return;
            }
            release(&mut self.segments, before, None);
            group.spans.pop_front();
        }
    }

    /// The first entries that a group should have and no segment holds.
    pub(crate) fn missing_entries(&self) -> Option<(GroupUid, u64, u64)> {
        for (uid, group) in &self.groups {
            let mut next = group.state.trim.index + 1;
            for span in &group.spans {
                if span.first_index != next {
                    return Some((*uid, next, span.first_index.saturating_sub(1)));
                }
                next = span.last_index + 1;
            }
            if next != group.state.last_index + 1 {
                return Some((*uid, next, group.state.last_index));
            }
        }
        None
    }

    /// Sealed segments without anything alive, whose last frame is covered by a checkpoint
    /// of `lsn`.
    pub(crate) fn dead_segments(&self, lsn: u64) -> Vec<u32> {
        let dead = |used: &&SegmentUse| used.sealed && used.live_spans == 0 && used.last_lsn <= lsn;
        self.segments
            .values()
            .filter(dead)
            .map(|used| used.segment.short_number())
            .collect()
    }

    /// Sealed segments whose live share is below one half, oldest first, while what is
    /// alive in them fits into `capacity` bytes.
    pub(crate) fn sparse_segments(&self, capacity: u64, most: usize) -> Vec<u32> {
        let mut room = capacity;
        let mut sparse = Vec::new();
        for used in self.segments.values() {
            let wanted =
                used.sealed && used.live_spans > 0 && used.live_bytes * 2 < used.written_bytes;
            if wanted && used.live_bytes <= room && sparse.len() < most {
                room -= used.live_bytes;
                sparse.push(used.segment.short_number());
            }
        }
        sparse
    }

    /// The group's live spans from `first_index` to `last_index` that are whole in this range, in sealed segments that a
    /// checkpoint of `lsn` covers, and fit into `capacity` bytes.
    pub(crate) fn settled_spans(
        &self,
        uid: GroupUid,
        (first_index, last_index): (u64, u64),
        lsn: u64,
        capacity: u64,
    ) -> Vec<Span> {
        let Some(group) = self.groups.get(&uid) else {
            return Vec::new();
        };
        let mut taken = 0;
        let fits = |span: &&Span| {
            let used = self.segments.get(&span.segment);
            let settled = used.is_some_and(|used| used.sealed && used.last_lsn <= lsn);
            // The first one came from a segment, so it fits into one.
            let fits = taken == 0 || taken + span.bytes <= capacity;
            taken += span.bytes;
            settled && span.last_index <= last_index && fits
        };
        let spans = group.spans.iter();
        let later = spans.skip_while(|span| span.first_index < first_index);
        later.take_while(fits).copied().collect()
    }

    /// Live spans of these segments, by group and index.
    pub(crate) fn live_spans(&self, segments: &[u32]) -> Vec<(GroupUid, Span)> {
        let mut live: Vec<(GroupUid, Span)> = Vec::new();
        for (uid, group) in &self.groups {
            let inside = group
                .spans
                .iter()
                .filter(|span| segments.contains(&span.segment));
            live.extend(inside.map(|span| (*uid, *span)));
        }
        live.sort_by_key(|(uid, span)| (*uid, span.first_index));
        live
    }

    /// The entries of `places` are in `target` now; what was killed since stays dead.
    pub(crate) fn move_places(&mut self, target: u32, sources: &[u32], places: &[Place]) {
        for place in places {
            let Some(group) = self.groups.get_mut(&place.group) else {
                continue;
            };
            for span in &mut group.spans {
                let inside =
                    span.first_index >= place.first_index && span.last_index <= place.last_index();
                if inside && sources.contains(&span.segment) {
                    release(&mut self.segments, *span, None);
                    span.segment = target;
                    if place.rewritten.is_some() {
                        let rows = u64::from(place.rows);
                        span.bytes = share(place.file_bytes(), span.entries(), rows);
                    }
                    if let Some(used) = self.segments.get_mut(&target) {
                        used.live_spans += 1;
                        used.live_bytes += span.bytes;
                    }
                }
            }
        }
    }
}

fn release(segments: &mut BTreeMap<u32, SegmentUse>, before: Span, after: Option<Span>) {
    let Some(segment) = segments.get_mut(&before.segment) else {
        return;
    };
    segment.live_bytes -= before.bytes - after.map_or(0, |span| span.bytes);
    if after.is_none() {
        segment.live_spans -= 1;
    }
}
