//! What must hold, checked at every step against one history that all replicas share.

use std::collections::BTreeMap;

use bytes::Bytes;
use chronik_core::group::Members;
use chronik_core::group::changes_members;
use chronik_core::group::eraftpb::Entry;
use chronik_core::partition::{Control, batch};

/// The history of one group.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Committed entries, from index 2 on: a group begins as if index 1 were trimmed.
    committed: Vec<Committed>,
    /// Its entries are commands and not records.
    is_state: bool,
    /// The state after each applied entry.
    states: BTreeMap<u64, u64>,
    /// Every entry that any replica ever had: what it holds and the term before it.
    entries: BTreeMap<(u64, u64), (u64, u64)>,
    leaders: BTreeMap<u64, u64>,
    /// Who got the vote of a replica in a term.
    votes: BTreeMap<(u64, u64), u64>,
    /// Where a batch of an idempotent producer is, by producer and first sequence.
    batches: BTreeMap<(i64, i32), i64>,
    next_sequence: BTreeMap<i64, i32>,
    /// Where a batch without a producer is, by its payload.
    plain: BTreeMap<u64, i64>,
    /// The newest committed members, and as of which index.
    pub(crate) members: (u64, Members),
    pub(crate) removed: Vec<u64>,
    /// Where the log begins by order, and the newest state that stands for older records.
    pub(crate) start_offset: i64,
    pub(crate) kept: Option<(i64, Bytes)>,
}

#[derive(Clone, Copy, Debug)]
struct Committed {
    term: u64,
    content: u64,
    /// The term of the first replica that knew.
    known_in: u64,
    end_offset: i64,
}

/// Which batch was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchName {
    Idempotent { producer: i64, sequence: i32 },
    Plain { payload: u64 },
}

impl Truth {
    pub(crate) fn new(voters: Vec<u64>, is_state: bool) -> Truth {
        Truth {
            is_state,
            members: (1, Members::of_voters(voters)),
            ..Truth::default()
        }
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed.len() as u64 + 1
    }

    /// The offset after an entry that is committed.
    pub(crate) fn end_offset(&self, index: u64) -> i64 {
        let at = (index as usize).checked_sub(2);
        at.map_or(0, |at| self.committed[at].end_offset)
    }

    /// The entry that holds the record at an offset, and its term.
    pub(crate) fn place_of(&self, offset: i64) -> Option<(u64, u64)> {
        let at = self
            .committed
            .partition_point(|entry| entry.end_offset <= offset);
        let entry = self.committed.get(at).filter(|_| !self.is_state)?;
        Some((at as u64 + 2, entry.term))
    }

    /// Log matching: the same index and term mean the same content and the same past.
    pub(crate) fn appended(&mut self, entry: &Entry, previous_term: u64) {
        let content = content(entry);
        let known = self
            .entries
            .entry((entry.term, entry.index))
            .or_insert((content, previous_term));
        assert_eq!(
            *known,
            (content, previous_term),
            "log matching: entry {} of term {} differs",
            entry.index,
            entry.term
        );
    }

    /// One leader per term, and it has everything that was committed before.
    pub(crate) fn leads(
        &mut self,
        term: u64,
        replica: u64,
        last_index: u64,
        term_of: impl Fn(u64) -> Option<u64>,
    ) {
        let leader = *self.leaders.entry(term).or_insert(replica);
        assert_eq!(leader, replica, "one leader per term: term {term} has two");
        // What is committed is known in terms that never fall, so the last one of an earlier term decides.
        let earlier = self
            .committed
            .partition_point(|entry| entry.known_in < term);
        let Some(last) = earlier.checked_sub(1) else {
            return;
        };
        let index = last as u64 + 2;
        assert!(
            last_index >= index && term_of(index).is_none_or(|t| t == self.committed[last].term),
            "leader completeness: leader {replica} of term {term} lacks entry {index}"
        );
    }

    /// A replica votes once in a term, whatever happens to it in between.
    pub(crate) fn voted(&mut self, replica: u64, term: u64, candidate: u64) {
        let vote = *self.votes.entry((replica, term)).or_insert(candidate);
        assert_eq!(
            vote, candidate,
            "one vote per term: replica {replica} voted twice in term {term}"
        );
    }

    /// State machine safety: what one replica knows to be committed, all of them agree on. Says whether it is new.
    pub(crate) fn commits(&mut self, entry: &Entry, known_in: u64) -> bool {
        let content = content(entry);
        let at = (entry.index - 2) as usize;
        if let Some(known) = self.committed.get(at) {
            assert_eq!(
                (known.term, known.content),
                (entry.term, content),
                "state machine safety: entry {} differs",
                entry.index
            );
            return false;
        }
        assert_eq!(at, self.committed.len(), "entries are committed in order");
        let mut end_offset = self.end_offset(entry.index - 1);
        if self.is_state && !changes_members(entry) && !entry.data.is_empty() {
            let first = self.plain.insert(number(&entry.data), entry.index as i64);
            assert!(first.is_none(), "a command is in the log once");
        } else if !self.is_state && !changes_members(entry) {
            end_offset = match Control::is(&entry.data) {
                true => {
                    self.commits_order(&entry.data);
                    end_offset
                }
                false => self.commits_batches(entry, end_offset),
            };
        }
        self.committed.push(Committed {
            term: entry.term,
            content,
            known_in: known_in.max(self.committed.last().map_or(0, |last| last.known_in)),
            end_offset,
        });
        true
    }

    /// What is acknowledged is committed, at the offset that was told.
    pub(crate) fn acknowledged(&self, name: BatchName, base_offset: i64) {
        let place = match name {
            BatchName::Idempotent { producer, sequence } => self.batches.get(&(producer, sequence)),
            BatchName::Plain { payload } => self.plain.get(&payload),
        };
        let Some(&offset) = place else {
            panic!("acknowledged is committed: {name:?} at {base_offset} is not in the log");
        };
        assert_eq!(
            offset, base_offset,
            "acknowledged where it is: {name:?} is at {offset}"
        );
    }

    /// Every replica that applied the same entries is in the same state.
    pub(crate) fn applied(&mut self, index: u64, state: u64) {
        let known = *self.states.entry(index).or_insert(state);
        assert_eq!(
            known, state,
            "the state after entry {index} is the same everywhere"
        );
    }

    pub(crate) fn members_changed(&mut self, as_of: u64, members: &Members) {
        if as_of <= self.members.0 {
            return;
        }
        let everyone = |members: &Members| {
            let sets = [&members.voters, &members.learners, &members.voters_outgoing];
            sets.into_iter().flatten().copied().collect::<Vec<u64>>()
        };
        let gone = everyone(&self.members.1)
            .into_iter()
            .filter(|replica| !members.contains(*replica));
        for replica in gone {
            if !self.removed.contains(&replica) {
                self.removed.push(replica);
            }
        }
        self.members = (as_of, members.clone());
    }

    fn commits_order(&mut self, data: &[u8]) {
        let control = Control::decode(data).expect("a committed order can be read");
        self.start_offset = self.start_offset.max(control.offset());
        if let Control::Keep { offset, state } = control
            && self.kept.as_ref().is_none_or(|(kept, _)| *kept <= offset)
        {
            self.kept = Some((offset, state));
        }
    }

    fn commits_batches(&mut self, entry: &Entry, mut next_offset: i64) -> i64 {
        for batch in batch::each(&entry.data) {
            let (header, bytes) = batch.expect("a committed batch can be read");
            assert_eq!(header.base_offset, next_offset, "offsets have no gap");
            assert_eq!(
                header.leader_epoch as u64, entry.term,
                "the leader's epoch is its term"
            );
            next_offset = header.next_offset();
            let place = header.base_offset;
            if header.is_idempotent() {
                let expected = self.next_sequence.entry(header.producer_id).or_default();
                assert_eq!(
                    header.base_sequence, *expected,
                    "producer {} is in the log once and in order",
                    header.producer_id
                );
                *expected = header.base_sequence + header.record_count;
                self.batches
                    .insert((header.producer_id, header.base_sequence), place);
            } else {
                let first = self
                    .plain
                    .insert(number(&bytes[batch::HEADER_LEN..]), place);
                assert!(first.is_none(), "what was sent once is in the log once");
            }
        }
        next_offset
    }
}

fn number(bytes: &[u8]) -> u64 {
    let bytes = bytes.first_chunk();
    u64::from_be_bytes(*bytes.expect("everything that is written carries a number"))
}

fn content(entry: &Entry) -> u64 {
    let mut hash = u64::from(changes_members(entry));
    let data: &Bytes = &entry.data;
    for chunk in data.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    hash
}
