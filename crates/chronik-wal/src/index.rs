//! Where every live entry is: rows in memory for young segments, one span per group and
//! segment for sealed ones. It is owned by one thread and has no lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::ledger::share;
use crate::notice::SegmentChange;
use crate::reader::{Part, Pick, Plan};
use crate::record::{GroupUid, Row, Trim};
use crate::sealed::Place;
use crate::segment::Segment;

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    groups: HashMap<GroupUid, GroupIndex>,
    segments: HashMap<u32, Arc<Segment>>,
}

/// Where a plan starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first entry that ends after this offset.
    Offset(u64),
    /// The entry of this log index.
    Index(u64),
}

/// What a group's log holds: entries `first_index..=last_index`, offsets
/// `first_offset..next_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub first_index: u64,
    pub last_index: u64,
    pub first_offset: u64,
    pub next_offset: u64,
}

/// Entries of a group that are next to each other in one sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPiece {
    pub first_index: u64,
    pub last_index: u64,
    pub next_offset: u64,
    pub bytes: u64,
    pub max_ts: i64,
    /// A [`crate::Rewrite`] went over it.
    pub is_rewritten: bool,
}

/// What retention keeps; `None` keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keep at least this many stored bytes.
    pub bytes: Option<u64>,
    /// Entries whose newest record is older than this may go.
    pub oldest_ts: Option<i64>,
    /// Entries that end at or below this offset may go.
    pub below_offset: Option<u64>,
    /// Never trim above this index (the commit index).
    pub limit_index: u64,
}

/// What a plan covers at least if older entries are among it.
const LEAST_PLANNED_BYTES: u64 = 1 << 20;

impl Index {
    /// Starts the log of a new group, or restarts it after an installed snapshot.
    pub fn reset(&mut self, group: GroupUid, trim: Trim) {
        self.groups.insert(group, GroupIndex::starting_after(trim));
    }

    /// Adds a durable entry; it supersedes rows of the same and higher indexes.
    pub fn insert(&mut self, group: GroupUid, row: Row) {
        let before = || {
            GroupIndex::starting_after(Trim {
                index: row.index - 1,
                term: 0,
                offset: row.base_offset,
            })
        };
        let group = self.groups.entry(group).or_insert_with(before);
        group.cut_from(row.index, row.base_offset);
        group.push(row);
    }

    /// Follows a change of the set of segments.
    pub fn apply(&mut self, change: SegmentChange) {
        match change {
            SegmentChange::Opened(segment) => {
                self.segments.insert(segment.short_number(), segment);
            }
            SegmentChange::Sealed { segment, places } => {
                for place in places.iter() {
                    if let Some(group) = self.groups.get_mut(&place.group) {
                        group.seal(short(segment), place);
                    }
                }
            }
            SegmentChange::Moved {
                target,
                sources,
                places,
            } => {
                self.move_places(target.short_number(), &sources, &places);
                self.segments.insert(target.short_number(), target);
            }
            SegmentChange::Recycled { segment } => {
                self.segments.remove(&short(segment));
            }
        }
    }

    /// Forgets the entries up to `trim.index`.
    pub fn trim(&mut self, group: GroupUid, trim: Trim) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.cut_through(trim);
        }
    }

    /// Forgets a destroyed group.
    pub fn remove(&mut self, group: GroupUid) {
        self.groups.remove(&group);
    }

    /// What the group's log holds; `None` for an unknown group.
    pub fn extent(&self, group: GroupUid) -> Option<Extent> {
        self.groups.get(&group).map(GroupIndex::extent)
    }

    /// The trim point the group's log starts after.
    pub fn trimmed(&self, group: GroupUid) -> Option<Trim> {
        self.groups.get(&group).map(|group| group.trim)
    }

    /// The row of an entry that is in a young segment.
    pub fn row(&self, group: GroupUid, index: u64) -> Option<Row> {
        let group = self.groups.get(&group)?;
        let number = usize::try_from(index.checked_sub(group.rows_first)?).ok()?;
        Some(group.rows.get(number)?.at(index))
    }

    /// Entries from `from` on, about `max_bytes` of them but at least one if there is one.
    pub fn plan(&self, group: GroupUid, from: From, max_bytes: usize) -> Plan {
        let Some(entries) = self.groups.get(&group) else {
            return Plan::default();
        };
        let mut plan = Plan {
            group,
            parts: Vec::new(),
            pick: Pick::Bytes { from, max_bytes },
        };
        let skipped = entries.spans.partition_point(|span| match from {
            From::Offset(offset) => span.next_offset <= offset,
            From::Index(index) => span.last_index < index,
        });
        // Pieces may turn out to hold next to nothing: the reader stops where it has enough.
        let mut budget = match skipped < entries.spans.len() {
            true => (max_bytes as u64).max(LEAST_PLANNED_BYTES),
            false => max_bytes as u64,
        };
        for (number, span) in entries.spans.iter().enumerate().skip(skipped) {
            if budget == 0 && !plan.parts.is_empty() {
                return plan;
            }
            plan.parts.extend(self.sealed_part(span));
            // The first one may be entered near its end, so it promises nothing.
            if number > skipped {
                budget = budget.saturating_sub(span.bytes);
            }
        }
        self.add_young_rows(entries, from, budget, &mut plan);
        plan
    }

    fn add_young_rows(&self, entries: &GroupIndex, from: From, mut budget: u64, plan: &mut Plan) {
        let start = match from {
            From::Offset(offset) => entries
                .rows
                .partition_point(|row| row.next_offset() <= offset),
            From::Index(index) => {
                usize::try_from(index.saturating_sub(entries.rows_first)).unwrap_or(usize::MAX)
            }
        };
        let mut indexes = entries.rows_first + start as u64..;
        for row in entries.rows.iter().skip(start) {
            let len = u64::from(row.len);
            if len > budget && !plan.parts.is_empty() {
                return;
            }
            budget = budget.saturating_sub(len);
            let index = indexes.next().expect("indexes do not end");
            self.push_young_row(row.at(index), plan);
        }
    }

    fn push_young_row(&self, row: Row, plan: &mut Plan) {
        if let Some(Part::Rows { segment, rows }) = plan.parts.last_mut()
            && segment.number() == row.segment
        {
            rows.push(row);
        } else if let Some(segment) = self.segments.get(&short(row.segment)) {
            plan.parts.push(Part::Rows {
                segment: Arc::clone(segment),
                rows: vec![row],
            });
        }
    }

    fn sealed_part(&self, span: &Span) -> Option<Part> {
        let segment = Arc::clone(self.segments.get(&span.segment)?);
        Some(Part::Sealed {
            segment,
            first_row: u64::from(span.place_row) + (span.first_index - span.place_index),
            first_index: span.first_index,
            last_index: span.last_index,
        })
    }

    /// The first entry that has a record at or after `ts`. Read it to know: the plan may
    /// turn out to be empty.
    pub fn first_at_or_after_timestamp(&self, group: GroupUid, ts: i64) -> Option<Plan> {
        let entries = self.groups.get(&group)?;
        let mut plan = Plan {
            group,
            parts: Vec::new(),
            pick: Pick::FirstAtOrAfter(ts),
        };
        let newer = entries.spans.iter().filter(|span| span.max_ts >= ts);
        plan.parts
            .extend(newer.filter_map(|span| self.sealed_part(span)));
        if let Some(number) = entries.rows.iter().position(|row| row.max_ts >= ts) {
            self.push_young_row(
                entries.rows[number].at(entries.rows_first + number as u64),
                &mut plan,
            );
        }
        (!plan.parts.is_empty()).then_some(plan)
    }

    /// The entry with the newest record, the earliest of them if there are several.
    pub fn max_timestamp(&self, group: GroupUid) -> Option<Plan> {
        let entries = self.groups.get(&group)?;
        let mut plan = Plan {
            group,
            parts: Vec::new(),
            pick: Pick::Newest,
        };
        let newest_row = entries
            .rows
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, row)| row.max_ts);
        let newest_whole = entries
            .spans
            .iter()
            .filter(|span| !span.was_cut)
            .map(|span| span.max_ts)
            .max();
        let floor = newest_whole.max(newest_row.map(|(_, row)| row.max_ts));
        let candidates = entries
            .spans
            .iter()
            .filter(|span| Some(span.max_ts) >= floor);
        plan.parts
            .extend(candidates.filter_map(|span| self.sealed_part(span)));
        if let Some((number, row)) = newest_row
            && Some(row.max_ts) >= floor
        {
            self.push_young_row(row.at(entries.rows_first + number as u64), &mut plan);
        }
        (!plan.parts.is_empty()).then_some(plan)
    }

    /// Stored bytes of the group's live entries; an estimate once a sealed segment is
    /// partly trimmed.
    pub fn bytes(&self, group: GroupUid) -> u64 {
        self.groups.get(&group).map_or(0, |group| group.bytes)
    }

    /// The trim point that satisfies `retention`, if it is above the present one. Young
    /// segments are cut at any entry, sealed ones where a segment ends.
    pub fn offset_to_keep(&self, group: GroupUid, retention: Retention) -> Option<Trim> {
        let entries = self.groups.get(&group)?;
        let mut left = entries.bytes;
        let mut keep = None;
        let spans = entries.spans.iter().map(Span::as_unit);
        let rows = (entries.rows_first..)
            .zip(&entries.rows)
            .map(|(index, row)| row.as_unit(index));
        for unit in spans.chain(rows) {
            let too_many = retention
                .bytes
                .is_some_and(|bytes| left.saturating_sub(unit.bytes) >= bytes);
            let too_old = retention
                .oldest_ts
                .is_some_and(|oldest| unit.max_ts < oldest);
            let passed = retention
                .below_offset
                .is_some_and(|offset| unit.end.offset <= offset);
            if unit.end.index > retention.limit_index || !(too_many || too_old || passed) {
                break;
            }
            left = left.saturating_sub(unit.bytes);
            if unit.term_known {
                keep = Some(unit.end);
            }
        }
        keep
    }

    /// The group's entries in sealed segments, a piece per segment, in the order of the log.
    pub fn sealed(&self, group: GroupUid) -> impl Iterator<Item = SealedPiece> + '_ {
        let entries = self.groups.get(&group);
        let spans = entries.into_iter().flat_map(|entries| &entries.spans);
        spans.map(|span| SealedPiece {
            first_index: span.first_index,
            last_index: span.last_index,
            next_offset: span.next_offset,
            bytes: span.bytes,
            max_ts: span.max_ts,
            is_rewritten: span.is_rewritten,
        })
    }

    /// Whether the group's log is known here.
    pub fn contains(&self, group: GroupUid) -> bool {
        self.groups.contains_key(&group)
    }

    pub(crate) fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.insert(segment.short_number(), segment);
    }

    /// Applies the checkpoint's trim point in recovery.
    pub(crate) fn settle(&mut self, group: GroupUid, trim: Trim) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.cut_through(trim);
            group.trim = trim;
        }
    }

    /// Adds a sealed segment's entries in recovery, in the order of writing.
    pub(crate) fn insert_place(&mut self, segment: u32, place: &Place) {
        if let Some(group) = self.groups.get_mut(&place.group) {
            group.cut_from(place.first_index, place.first_offset);
            group.bytes += place.bytes;
            group.spans.push(Span::of(segment, place));
            group.rows_first = place.last_index() + 1;
        }
    }

    fn move_places(&mut self, target: u32, sources: &[u64], places: &[Place]) {
        for place in places {
            let Some(group) = self.groups.get_mut(&place.group) else {
                continue;
            };
            for span in &mut group.spans {
                let from_source = sources.contains(&u64::from(span.segment));
                if from_source
                    && span.first_index <= place.last_index()
                    && span.last_index >= place.first_index
                {
                    span.segment = target;
                    span.place_row = place.first_row;
                    span.place_index = place.first_index;
                    // Entries that are missing in the place are trimmed or superseded on
                    // disk already; the owner of the index just has not said so yet.
                    span.first_index = span.first_index.max(place.first_index);
                    span.last_index = span.last_index.min(place.last_index());
                    if place.rewritten.is_some() {
                        let bytes = share(place.bytes, span.entries(), u64::from(place.rows));
                        group.bytes = group.bytes - span.bytes + bytes;
                        span.bytes = bytes;
                        span.max_ts = place.max_ts;
                        span.is_rewritten = true;
                    }
                }
            }
        }
    }
}

/// The 48 bytes that an entry of a young segment costs; its index follows from its place.
#[derive(Debug, Clone, Copy)]
struct YoungRow {
    base_offset: u64,
    max_ts: i64,
    term: u64,
    segment: u32,
    position: u32,
    len: u32,
    record_count: u32,
    flags: u8,
    version: u8,
}

const _: () = assert!(size_of::<YoungRow>() == 48);

impl YoungRow {
    fn of(row: &Row) -> Self {
        Self {
            base_offset: row.base_offset,
            max_ts: row.max_ts,
            term: row.term,
            segment: short(row.segment),
            position: row.position,
            len: row.len,
            record_count: row.record_count,
            flags: row.flags,
            version: row.version,
        }
    }

    fn at(&self, index: u64) -> Row {
        Row {
            index,
            base_offset: self.base_offset,
            max_ts: self.max_ts,
            term: self.term,
            segment: u64::from(self.segment),
            position: self.position,
            len: self.len,
            record_count: self.record_count,
            flags: self.flags,
            version: self.version,
        }
    }

    fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.record_count)
    }

    fn as_unit(&self, index: u64) -> Unit {
        Unit {
            bytes: u64::from(self.len),
            max_ts: self.max_ts,
            end: Trim {
                index,
                term: self.term,
                offset: self.next_offset(),
            },
            term_known: true,
        }
    }
}

/// Live entries of a sealed segment, next to each other in its index file.
#[derive(Debug, Clone, Copy)]
struct Span {
    segment: u32,
    place_row: u32,
    /// Index of the entry that row `place_row` belongs to.
    place_index: u64,
    first_index: u64,
    last_index: u64,
    next_offset: u64,
    /// An upper bound once the span was cut.
    max_ts: i64,
    last_term: u64,
    bytes: u64,
    was_cut: bool,
    /// A [`crate::Rewrite`] went over it.
    is_rewritten: bool,
    /// A span that lost its end does not know the term of its new last entry.
    term_known: bool,
}

impl Span {
    fn of(segment: u32, place: &Place) -> Self {
        Self {
            segment,
            place_row: place.first_row,
            place_index: place.first_index,
            first_index: place.first_index,
            last_index: place.last_index(),
            next_offset: place.next_offset,
            max_ts: place.max_ts,
            last_term: place.last_term,
            bytes: place.bytes,
            was_cut: false,
            is_rewritten: place.rewritten.is_some(),
            term_known: true,
        }
    }

    fn entries(&self) -> u64 {
        self.last_index - self.first_index + 1
    }

    /// Makes the span shorter and returns the bytes that went away.
    fn cut_to(&mut self, first_index: u64, last_index: u64) -> u64 {
        let (bytes, entries) = (self.bytes, self.entries());
        self.first_index = first_index;
        self.last_index = last_index;
        self.bytes = share(bytes, self.entries(), entries);
        self.was_cut = true;
        bytes - self.bytes
    }

    fn as_unit(&self) -> Unit {
        Unit {
            bytes: self.bytes,
            max_ts: self.max_ts,
            end: Trim {
                index: self.last_index,
                term: self.last_term,
                offset: self.next_offset,
            },
            term_known: self.term_known,
        }
    }
}

/// What retention can drop at once.
struct Unit {
    bytes: u64,
    max_ts: i64,
    end: Trim,
    term_known: bool,
}

/// The log of one group: spans, then rows, without a gap.
#[derive(Debug)]
struct GroupIndex {
    trim: Trim,
    bytes: u64,
    spans: Vec<Span>,
    /// Index of the first row, or of the next entry if there is none.
    rows_first: u64,
    rows: VecDeque<YoungRow>,
}

impl GroupIndex {
    fn starting_after(trim: Trim) -> Self {
        Self {
            trim,
            bytes: 0,
            spans: Vec::new(),
            rows_first: trim.index + 1,
            rows: VecDeque::new(),
        }
    }

    fn last_index(&self) -> u64 {
        (self.rows_first + self.rows.len() as u64).saturating_sub(1)
    }

    fn extent(&self) -> Extent {
        let last_row = self.rows.back().map(YoungRow::next_offset);
        let last_span = self.spans.last().map(|span| span.next_offset);
        Extent {
            first_index: self.trim.index + 1,
            last_index: self.last_index(),
            first_offset: self.trim.offset,
            next_offset: last_row.or(last_span).unwrap_or(self.trim.offset),
        }
    }

    fn push(&mut self, row: Row) {
        if self.rows.is_empty() {
            self.rows_first = row.index;
        }
        self.bytes += u64::from(row.len);
        self.rows.push_back(YoungRow::of(&row));
    }

    /// Drops `index` and everything above; what is left ends at `next_offset`.
    fn cut_from(&mut self, index: u64, next_offset: u64) {
        while !self.rows.is_empty() && self.last_index() >= index {
            self.bytes -= self.rows.pop_back().map_or(0, |row| u64::from(row.len));
        }
        if !self.rows.is_empty() {
            return;
        }
        while let Some(span) = self.spans.last_mut() {
            if span.last_index < index {
                break;
            }
            if span.first_index < index {
                self.bytes -= span.cut_to(span.first_index, index - 1);
                span.next_offset = next_offset;
                span.term_known = false;
                break;
            }
            self.bytes -= span.bytes;
            self.spans.pop();
        }
        self.rows_first = self.rows_first.min(index);
    }

    /// Drops everything up to the trim point.
    fn cut_through(&mut self, trim: Trim) {
        if trim.index <= self.trim.index {
            return;
        }
        let gone = self
            .spans
            .partition_point(|span| span.last_index <= trim.index);
        self.bytes -= self.spans.drain(..gone).map(|span| span.bytes).sum::<u64>();
        if let Some(span) = self.spans.first_mut()
            && span.first_index <= trim.index
        {
            self.bytes -= span.cut_to(trim.index + 1, span.last_index);
        }
        while !self.rows.is_empty() && self.rows_first <= trim.index {
            self.bytes -= self.rows.pop_front().map_or(0, |row| u64::from(row.len));
            self.rows_first += 1;
        }
        if self.rows.is_empty() && self.spans.is_empty() {
            self.rows_first = self.rows_first.max(trim.index + 1);
        }
        self.trim = trim;
        if self.rows.capacity() > 64 && self.rows.len() < self.rows.capacity() / 4 {
            self.rows.shrink_to(self.rows.len() * 2);
        }
    }

    /// Turns the rows of a segment, which are the oldest ones, into a span.
    fn seal(&mut self, segment: u32, place: &Place) {
        let count = self
            .rows
            .iter()
            .take_while(|row| row.segment == segment)
            .count();
        if count == 0 || self.rows_first < place.first_index {
            return;
        }
        let first_index = self.rows_first;
        let mut span = Span {
            first_index,
            last_index: first_index + count as u64 - 1,
            max_ts: i64::MIN,
            bytes: 0,
            ..Span::of(segment, place)
        };
        for row in self.rows.drain(..count) {
            span.bytes += u64::from(row.len);
            span.max_ts = span.max_ts.max(row.max_ts);
            span.last_term = row.term;
            span.next_offset = row.next_offset();
        }
        self.rows_first += count as u64;
        self.spans.push(span);
        self.rows.shrink_to(self.rows.len().max(4));
    }
}

fn short(segment: u64) -> u32 {
    u32::try_from(segment).expect("segment numbers have 32 bits")
}

#[cfg(test)]
mod tests;
