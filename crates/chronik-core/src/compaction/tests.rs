//! Whatever is compacted, replicated, replaced and led in whichever order: a replica that has everything has the newest
//! value of each key, and nothing that was deleted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::partition::BatchHeader;
use crate::partition::batch;

const KEYS: u8 = 4;
const NODES: usize = 3;

fn header(base_offset: i64, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 0,
        leader_epoch: 1,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    }
}

fn record(offset_delta: i64, key: Option<&[u8]>, value: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut body = vec![0];
    record::put_varint(7, &mut body);
    record::put_varint(offset_delta, &mut body);
    for blob in [key, value] {
        record::put_varint(blob.map_or(-1, |blob| blob.len() as i64), &mut body);
        body.extend_from_slice(blob.unwrap_or_default());
    }
    // One record header, to be carried along.
    body.extend_from_slice(&[2, 2, b'h', 2, b'x']);
    record::put_varint(body.len() as i64, out);
    out.extend_from_slice(&body);
}

fn values(stored: &[u8]) -> Vec<(i64, Vec<u8>, Option<u8>, i64)> {
    let header = BatchHeader::read(stored).expect("a batch");
    assert_eq!(header.crc, batch::checksum(stored));
    let body = &stored[batch::HEADER_LEN..];
    let value = |record: Record<'_>| {
        let value = match record.is_tombstone {
            true => None,
            // The value's byte is in front of the one record header.
            false => Some(record.whole[record.whole.len() - 6]),
        };
        let key = record.key.expect("a key").to_vec();
        let timestamp = header.base_timestamp + record.timestamp_delta;
        (
            header.base_offset + record.offset_delta,
            key,
            value,
            timestamp,
        )
    };
    records(&header, body)
        .map(|record| value(record.expect("a record")))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Produce(Vec<(u8, Option<u8>)>),
    Replicate {
        to: usize,
        entries: usize,
    },
    Clean {
        at: usize,
        entries: usize,
        keys: usize,
    },
    /// What a node knows of its log reaches the others.
    Tell {
        from: usize,
    },
    /// An empty node takes the place of this one.
    Replace {
        at: usize,
    },
    /// The leader is gone for now; who has most leads.
    Elect {
        not: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..KEYS, prop::option::weighted(0.6, any::<u8>()));
    let node = 0..NODES;
    prop_oneof![
        4 => prop::collection::vec(record, 1..4).prop_map(Step::Produce),
        6 => (node.clone(), 1usize..9).prop_map(|(to, entries)| Step::Replicate { to, entries }),
        4 => (node.clone(), 0usize..40, 1usize..9)
            .prop_map(|(at, entries, keys)| Step::Clean { at, entries, keys }),
        4 => node.clone().prop_map(|from| Step::Tell { from }),
        1 => node.clone().prop_map(|at| Step::Replace { at }),
        1 => node.prop_map(|not| Step::Elect { not }),
    ]
}

/// An entry as a replica holds it.
#[derive(Clone, Debug)]
enum Slot {
    /// Nothing, where a pass left nothing.
    Batch(Option<Vec<u8>>),
    Members([u64; NODES]),
}

#[derive(Clone, Default)]
struct Node {
    log: Vec<Slot>,
    /// Entries that passes went over.
    clean: usize,
    told: BTreeMap<u64, Told>,
}

struct World {
    nodes: [Node; NODES],
    ids: [u64; NODES],
    next_id: u64,
    leader: usize,
    /// All entries as they were appended, and what is behind their last record.
    truth: Vec<(Slot, i64)>,
    now_ms: i64,
    /// Entries that a majority held once: whoever leads has them.
    promised: usize,
}

impl World {
    fn new() -> World {
        let ids = [1, 2, 3];
        let mut world = World {
            nodes: Default::default(),
            ids,
            next_id: 4,
            leader: 0,
            truth: Vec::new(),
            now_ms: 5000,
            promised: 1,
        };
        for node in &mut world.nodes {
            node.log.push(Slot::Members(ids));
        }
        world.truth.push((Slot::Members(ids), 0));
        world
    }

    fn end_offset(&self, entries: usize) -> i64 {
        entries.checked_sub(1).map_or(0, |last| self.truth[last].1)
    }

    fn append(&mut self, slot: Slot, records: i64) {
        let end = self.end_offset(self.truth.len()) + records;
        self.truth.push((slot.clone(), end));
        self.nodes[self.leader].log.push(slot);
    }

    fn committed(&self) -> usize {
        let mut lengths = self.nodes.each_ref().map(|node| node.log.len());
        lengths.sort_unstable();
        lengths[NODES / 2]
    }

    fn take(&mut self, step: Step) {
        self.now_ms += 1;
        match step {
            Step::Produce(records) => self.produce(&records),
            Step::Replicate { to, entries } => {
                let from = self.nodes[to].log.len();
                let leader = &self.nodes[self.leader].log;
                let entries: Vec<Slot> = leader.iter().skip(from).take(entries).cloned().collect();
                self.nodes[to].log.extend(entries);
            }
            Step::Clean { at, entries, keys } => self.clean(at, entries, keys),
            Step::Tell { from } => {
                let told = self.told(from);
                let id = self.ids[from];
                self.nodes
                    .iter_mut()
                    .for_each(|node| _ = node.told.insert(id, told));
            }
            Step::Replace { at } if self.longest_but(at).1 >= self.promised => {
                self.nodes[at] = Node::default();
                self.ids[at] = self.next_id;
                self.next_id += 1;
                self.elect(at);
                self.append(Slot::Members(self.ids), 0);
            }
            Step::Replace { .. } => {}
            Step::Elect { not } if self.longest_but(not).1 >= self.promised => self.elect(not),
            Step::Elect { .. } => {}
        }
        self.promised = self.promised.max(self.committed());
    }

    fn longest_but(&self, not: usize) -> (usize, usize) {
        let others = (0..NODES).filter(|node| *node != not);
        let all = others.map(|node| (node, self.nodes[node].log.len()));
        all.max_by_key(|(_, entries)| *entries)
            .expect("there are others")
    }

    /// Whoever has most leads, and what it lacks was never acknowledged.
    fn elect(&mut self, not: usize) {
        if self.leader != not {
            return;
        }
        let (longest, entries) = self.longest_but(not);
        self.leader = longest;
        self.truth.truncate(entries);
        for node in &mut self.nodes {
            node.log.truncate(entries);
        }
    }

    fn produce(&mut self, of: &[(u8, Option<u8>)]) {
        let mut bytes = Vec::new();
        for (delta, (key, value)) in of.iter().enumerate() {
            let value = value.map(|value| [value]);
            record(
                delta as i64,
                Some(&[*key]),
                value.as_ref().map(|v| &v[..]),
                &mut bytes,
            );
        }
        let base_offset = self.end_offset(self.truth.len());
        let header = header(base_offset, of.len() as i32);
        let slot = Slot::Batch(Some(batch::assemble(&header, &bytes)));
        self.append(slot, of.len() as i64);
    }

    /// The newest list of members in a log, and where it is.
    fn members(&self, node: usize) -> ([u64; NODES], u64) {
        let log = self.nodes[node].log.iter().enumerate().rev();
        let mut lists = log.filter_map(|(index, slot)| match slot {
            Slot::Members(ids) => Some((*ids, index as u64)),
            Slot::Batch(_) => None,
        });
        lists.next().expect("the first entry lists them")
    }

    fn told(&self, node: usize) -> Told {
        let is_empty = self.nodes[node].log.is_empty();
        Told {
            members_as_of: if is_empty { 0 } else { self.members(node).1 },
            clean_offset: self.end_offset(self.nodes[node].clean),
        }
    }

    fn clean(&mut self, at: usize, entries: usize, most_keys: usize) {
        let reach = self.committed().min(self.nodes[at].log.len()).min(entries);
        let mut keys = Keys::new((1, 2), most_keys * 24);
        let mut dirty = self.nodes[at].clean;
        for slot in self.nodes[at].log.iter().take(reach).skip(dirty) {
            if let Slot::Batch(Some(stored)) = slot {
                let header = BatchHeader::read(stored).expect("a batch");
                if survey(&header, &stored[batch::HEADER_LEN..], &mut keys).is_err() {
                    break;
                }
            }
            dirty += 1;
        }
        if self.nodes[at].log.is_empty() {
            return;
        }
        let (ids, as_of) = self.members(at);
        let own = (self.ids[at], self.told(at));
        let told = |id: u64| match id == own.0 {
            true => Some(own.1),
            false => self.nodes[at].told.get(&id).copied(),
        };
        let pass = Pass {
            keys,
            now_ms: self.now_ms,
            delete_retention_ms: 0,
            tombstones_below: tombstones_below(ids.into_iter(), as_of, told),
        };
        let node = &mut self.nodes[at];
        for slot in node.log.iter_mut().take(dirty) {
            let Slot::Batch(Some(stored)) = slot else {
                continue;
            };
            let header = BatchHeader::read(stored).expect("a batch");
            let before = values(stored);
            match pass.clean(&header, &stored[batch::HEADER_LEN..]).left {
                Left::AsItIs => {}
                Left::Nothing => *slot = Slot::Batch(None),
                Left::Records(header, bytes) => {
                    *stored = batch::assemble(&header, &bytes);
                    // What is left is as it was, timestamps included.
                    assert!(values(stored).iter().all(|record| before.contains(record)));
                }
            }
        }
        node.clean = node.clean.max(dirty);
    }

    fn state<'a>(log: impl Iterator<Item = &'a Slot>) -> BTreeMap<Vec<u8>, u8> {
        let mut state = BTreeMap::new();
        for slot in log {
            let Slot::Batch(Some(stored)) = slot else {
                continue;
            };
            for (_, key, value, _) in values(stored) {
                match value {
                    Some(value) => _ = state.insert(key, value),
                    None => _ = state.remove(&key),
                }
            }
        }
        state
    }

    fn check(&self) {
        let expected = World::state(self.truth.iter().map(|(slot, _)| slot));
        let whole = |node: &&Node| node.log.len() == self.truth.len();
        for node in self.nodes.iter().filter(whole) {
            assert_eq!(World::state(node.log.iter()), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_newest_value_of_each_key_survives(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in any::<i32>()) {
        let header = BatchHeader { record_count: count, ..header(5, 1) };
        for record in records(&header, &bytes) {
            let _ = record;
        }
        let mut keys = Keys::new((0, 0), 1 << 20);
        let _ = survey(&header, &bytes, &mut keys);
        let pass = Pass { keys, now_ms: 0, delete_retention_ms: 0, tombstones_below: 0 };
        pass.clean(&header, &bytes);
    }

    #[test]
    fn keys_are_found_as_long_as_they_fit(puts in prop::collection::vec((any::<u16>(), 0i64..9999), 0..3000)) {
        let mut keys = Keys::new((3, 4), 24 * 2048);
        let mut expected = BTreeMap::new();
        for (key, offset) in puts {
            if keys.put(&key.to_be_bytes(), offset).is_ok() {
                expected.insert(key, offset);
            }
        }
        prop_assert_eq!(keys.len(), expected.len());
        for (key, offset) in expected {
            prop_assert_eq!(keys.newest(&key.to_be_bytes()), Some(offset));
        }
    }
}

#[test]
fn a_tombstone_goes_in_a_later_pass_and_when_nothing_is_hidden() {
    let mut bytes = Vec::new();
    record(0, Some(b"k"), None, &mut bytes);
    let first = header(10, 1);
    let mut pass = Pass {
        keys: Keys::new((0, 0), 1 << 10),
        now_ms: 5_000,
        delete_retention_ms: 100,
        tombstones_below: 100,
    };
    let outcome = pass.clean(&first, &bytes);
    assert_eq!(outcome.tombstones_until_ms, Some(5_100));
    let Left::Records(marked, bytes) = outcome.left else {
        panic!("its horizon is written down")
    };
    assert_eq!(marked.delete_horizon_ms(), Some(5_100));
    assert_eq!(values(&batch::assemble(&marked, &bytes))[0].3, 1_007);
    for (now_ms, tombstones_below, left) in [
        (5_099, 100, Left::AsItIs),
        (5_100, 10, Left::AsItIs),
        (5_100, 11, Left::Nothing),
    ] {
        pass.now_ms = now_ms;
        pass.tombstones_below = tombstones_below;
        assert_eq!(pass.clean(&marked, &bytes).left, left);
    }
}

#[test]
fn a_pass_is_due_when_enough_is_new_or_old_enough() {
    let piece = |number: u64, max_timestamp: i64, is_clean: bool| Piece {
        first_index: number * 10,
        last_index: number * 10 + 9,
        next_offset: number as i64 * 10 + 10,
        bytes: 100,
        max_timestamp,
        is_clean,
    };
    let cleaning = Cleaning {
        dirty_ratio: 0.5,
        least_lag_ms: 50,
        most_lag_ms: 1_000,
        delete_retention_ms: 0,
    };
    let next = |pieces: &[Piece], committed, now_ms| {
        let found = next_pass(pieces, committed, &cleaning, now_ms, false);
        found.map(|found| (found.dirty_from, found.last_index))
    };
    let half = [piece(0, 0, true), piece(1, 100, false)];
    assert_eq!(next(&half, 99, 200), Some((10, 19)));
    // Too young, or not committed.
    assert_eq!(next(&half, 99, 149), None);
    assert_eq!(next(&half, 18, 200), None);
    let third = [piece(0, 0, true), piece(1, 0, true), piece(2, 100, false)];
    assert_eq!(next(&third, 99, 200), None);
    assert_eq!(next(&third, 99, 1_101), Some((20, 29)));
    assert_eq!(next(&half[..1], 99, 9_999), None);
    let found = next_pass(&half[..1], 99, &cleaning, 9_999, true);
    assert_eq!(
        found.map(|found| (found.dirty_from, found.last_index)),
        Some((10, 9))
    );
}
