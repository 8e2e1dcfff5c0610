//! What an owner leaves of sealed entries is what is read, at the same indexes and offsets, whatever else happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chronik_wal::{From, GroupUid, Rewrite, RewriteOrder, Rewritten, Row, Trim};
use proptest::prelude::*;

use super::support::{Log, create, entry, tiny_options, trim};

const GROUPS: u64 = 3;

/// Erases the entries whose index is a multiple of the first number, and shortens those of the second.
#[derive(Debug)]
struct Sieve {
    erased: u64,
    shortened: u64,
}

impl Sieve {
    fn apply(&self, index: u64, body: &[u8]) -> Option<Vec<u8>> {
        match index {
            index if index.is_multiple_of(self.erased) => None,
            index if index.is_multiple_of(self.shortened) => Some(body[..body.len() / 2].to_vec()),
            _ => Some(body.to_vec()),
        }
    }
}

impl Rewrite for Sieve {
    fn rewrite(&self, row: &Row, stored: &[u8]) -> Rewritten {
        match self.apply(row.index, stored) {
            None => Rewritten::Erased,
            Some(body) if body == stored => Rewritten::AsItIs,
            Some(body) => Rewritten::As {
                bytes: Bytes::from(body),
                max_ts: 0,
            },
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Entries of this size for every group.
    Append {
        count: u64,
        bytes: usize,
    },
    Rewrite {
        group: GroupUid,
        erased: u64,
        shortened: u64,
    },
    /// Drops the older half of a group.
    Trim {
        group: GroupUid,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let group = 1..=GROUPS;
    prop_oneof![
        4 => (1u64..12, 1usize..9000).prop_map(|(count, bytes)| Step::Append { count, bytes }),
        3 => (group.clone(), 2u64..5, 2u64..5)
            .prop_map(|(group, erased, shortened)| Step::Rewrite { group, erased, shortened }),
        1 => group.prop_map(|group| Step::Trim { group }),
        2 => Just(Step::Reopen),
    ]
}

/// What a group holds, by index; none where nothing is left.
#[derive(Default)]
struct Expected {
    trimmed: u64,
    last: u64,
    bodies: BTreeMap<u64, Option<Vec<u8>>>,
}

struct Run {
    log: Log,
    options: chronik_wal::Options,
    groups: BTreeMap<GroupUid, Expected>,
}

impl Run {
    fn append(&mut self, count: u64, bytes: usize) {
        for _ in 0..count {
            let mut records = Vec::new();
            for (group, expected) in &mut self.groups {
                expected.last += 1;
                let body = vec![u8::try_from(expected.last % 251).expect("small"); bytes];
                expected.bodies.insert(expected.last, Some(body.clone()));
                records.push(entry(*group, expected.last, 1, expected.last - 1, body));
            }
            self.log.append(records);
        }
    }

    fn rewrite(&mut self, group: GroupUid, sieve: Sieve) {
        self.log
            .wait(|log| log.writer.stats().segments_unsealed == 1);
        let last_index = self
            .log
            .index
            .sealed(group)
            .map(|piece| piece.last_index)
            .max();
        let sieve = Arc::new(sieve);
        let order = RewriteOrder {
            group,
            first_index: 0,
            last_index: last_index.unwrap_or(0),
            rewrite: sieve.clone(),
        };
        let before = self.log.rewritten.len();
        self.log.writer.rewrite(order).expect("the queue has room");
        // A copy that is on its way comes first, and then it takes another checkpoint.
        while self.log.rewritten.len() == before {
            self.log.checkpoint(vec![]);
        }
        let Some(Some(reached)) = self.log.rewritten.last().copied() else {
            assert!(
                last_index.is_none(),
                "what is sealed and covered is rewritten"
            );
            return;
        };
        let expected = self.groups.get_mut(&group).expect("a group of the test");
        for (index, body) in expected.bodies.range_mut(..=reached) {
            *body = body.take().and_then(|body| sieve.apply(*index, &body));
        }
        let pieces = self.log.index.sealed(group);
        let done: Vec<_> = pieces.filter(|piece| piece.last_index <= reached).collect();
        assert!(done.iter().all(|piece| piece.is_rewritten));
    }

    fn trim(&mut self, group: GroupUid) {
        let expected = self.groups.get_mut(&group).expect("a group of the test");
        let index = expected.trimmed + (expected.last - expected.trimmed) / 2;
        if index == expected.trimmed {
            return;
        }
        expected.trimmed = index;
        expected.bodies = expected.bodies.split_off(&(index + 1));
        let place = Trim {
            index,
            term: 1,
            offset: index,
        };
        self.log.append(vec![trim(group, place)]);
    }

    fn reopen(self) -> Run {
        let Run {
            log,
            options,
            groups,
        } = self;
        log.close();
        let log = Log::open(&options).expect("what was written");
        Run {
            log,
            options,
            groups,
        }
    }

    fn check(&self) {
        for (group, expected) in &self.groups {
            let read = self.log.read_all(*group);
            let found: Vec<(u64, &[u8])> =
                read.iter().map(|e| (e.row.index, &e.bytes[..])).collect();
            let all = expected.bodies.iter();
            let wanted: Vec<(u64, &[u8])> = all
                .map(|(index, body)| (*index, body.as_deref().unwrap_or_default()))
                .collect();
            assert_eq!(found, wanted, "group {group}");
            // From every offset on, the next bytes that are left are found, however little is asked for.
            for index in expected.bodies.keys() {
                let next = expected
                    .bodies
                    .range(index..)
                    .find_map(|(_, body)| body.as_ref());
                let read = self.log.read(*group, From::Offset(index - 1), 1);
                let found = read.iter().find(|entry| !entry.bytes.is_empty());
                assert_eq!(found.map(|entry| &entry.bytes[..]), next.map(Vec::as_slice));
            }
        }
        self.log.expect_alive();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_left_is_read(steps in prop::collection::vec(step(), 4..24)) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = tiny_options(dir.path());
        let mut log = Log::open(&options).expect("an empty directory");
        log.append((1..=GROUPS).map(create).collect());
        let groups = (1..=GROUPS).map(|group| (group, Expected::default())).collect();
        let mut run = Run { log, options, groups };
        for step in steps {
            match step {
                Step::Append { count, bytes } => run.append(count, bytes),
                Step::Rewrite { group, erased, shortened } => {
                    run.rewrite(group, Sieve { erased, shortened });
                }
                Step::Trim { group } => run.trim(group),
                Step::Reopen => run = run.reopen(),
            }
            run.check();
        }
        run.log.close();
    }
}
