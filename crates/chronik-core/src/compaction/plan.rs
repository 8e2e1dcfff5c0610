//! Which partition is worth a pass, and of which part of its log.

/// A piece of a log that can be cleaned, as one or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub first_index: u64,
    pub last_index: u64,
    /// Behind its last record.
    pub next_offset: i64,
    pub bytes: u64,
    /// Of its newest record.
    pub max_timestamp: i64,
    /// A pass went over it, and knew its keys.
    pub is_clean: bool,
}

/// When a topic wants its partitions cleaned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleaning {
    /// How much of a log may be unclean.
    pub dirty_ratio: f64,
    /// Records stay at least so long.
    pub least_lag_ms: u64,
    /// Records are looked at after this, however few they are.
    pub most_lag_ms: u64,
    pub delete_retention_ms: i64,
}

/// A pass that is worth its while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The first entry that no pass has seen.
    pub dirty_from: u64,
    pub last_index: u64,
    /// Behind the last record of it.
    pub next_offset: i64,
    /// The part of the log that is unclean.
    pub dirty: f64,
}

/// The next pass over a log, if one is due. `pieces` begin with the start of the log; entries above `committed` are out
/// of reach.
pub fn next_pass(
    pieces: &[Piece],
    committed: u64,
    cleaning: &Cleaning,
    now_ms: i64,
    may_drop_tombstones: bool,
) -> Option<Candidate> {
    let youngest = now_ms.saturating_sub_unsigned(cleaning.least_lag_ms);
    let is_settled = |piece: &&Piece| {
        piece.last_index <= committed && (piece.is_clean || piece.max_timestamp <= youngest)
    };
    let reach = pieces.iter().take_while(is_settled).count();
    let pieces = &pieces[..reach];
    let last = pieces.last()?;
    let clean = pieces.iter().take_while(|piece| piece.is_clean).count();
    let bytes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.bytes).sum::<u64>();
    let (clean_bytes, dirty_bytes) = (bytes(&pieces[..clean]), bytes(&pieces[clean..]));
    let dirty = dirty_bytes as f64 / (clean_bytes + dirty_bytes).max(1) as f64;
    let candidate = Candidate {
        dirty_from: pieces
            .get(clean)
            .map_or(last.last_index + 1, |piece| piece.first_index),
        last_index: last.last_index,
        next_offset: last.next_offset,
        dirty,
    };
    if clean == pieces.len() {
        // Nothing is new, but what hides nothing any more may go.
        return may_drop_tombstones.then_some(candidate);
    }
    let oldest = now_ms.saturating_sub_unsigned(cleaning.most_lag_ms);
    let is_late = pieces[clean..]
        .iter()
        .any(|piece| piece.max_timestamp < oldest);
    (dirty >= cleaning.dirty_ratio || is_late).then_some(candidate)
}

/// What one member of a group said of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The members that it knew then.
    pub members_as_of: u64,
    /// It holds no record below that a newer one below hides.
    pub clean_offset: i64,
}

/// Below this offset no member holds a record that a tombstone hides: nobody could bring one back. Whoever takes part
/// must have said so among the same members, because one that was added since may have been given anything.
pub fn tombstones_below(
    members: impl Iterator<Item = u64>,
    members_as_of: u64,
    told: impl Fn(u64) -> Option<Told>,
) -> i64 {
    let clean = |member| {
        let counts = told(member).filter(|told| told.members_as_of == members_as_of);
        counts.map_or(0, |told| told.clean_offset)
    };
    members.map(clean).min().unwrap_or(0)
}
