//! Reads at followers: what was acknowledged when somebody asked is shown, whoever acknowledged it.
//!
//! A follower learns of a commit a moment after its leader. A read at the end of what it knows therefore waits until
//! the leader, and a majority that still takes it for the leader, has said what is committed. All reads of a partition
//! that come while one such question is on its way share the next one. Reads further back need nobody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chronik_core::ids::GroupUid;

use super::event::{Read, ReadPartition, Source};
use super::replica::{Replica, State};
use super::shard::Shard;

/// Reads that wait to be confirmed. Each connection has one at most.
#[derive(Default)]
pub(super) struct Confirming {
    next_number: u64,
    reads: BTreeMap<u64, Waiting>,
}

struct Waiting {
    read: Box<Read>,
    /// Partitions that are not confirmed yet.
    missing: usize,
    until: Instant,
}

/// A question takes two ways between nodes. After this the leader is gone, and the reader should look for another.
const PATIENCE: Duration = Duration::from_secs(1);

impl Shard {
    /// The read itself, if it can be answered now; else it is kept until it can be.
    pub(super) fn confirm_first(&mut self, mut read: Box<Read>) -> Option<Box<Read>> {
        if read.source != Source::AnyReplica {
            return Some(read);
        }
        let number = self.confirming.next_number;
        let mut missing = 0;
        for partition in &read.partitions {
            let Some(replica) = self.replicas.get_mut(&partition.group) else {
                continue;
            };
            if !is_behind(replica, partition) {
                continue;
            }
            let round = replica.read_index();
            if let Some(records) = replica.records() {
                records.confirming.push_back((round, number));
            }
            missing += 1;
            self.touch(partition.group);
        }
        read.source = Source::Confirmed;
        if missing == 0 {
            return Some(read);
        }
        self.confirming.next_number += 1;
        let until = Instant::now() + PATIENCE;
        let waiting = Waiting {
            read,
            missing,
            until,
        };
        self.confirming.reads.insert(number, waiting);
        None
    }

    /// Everything that was asked up to this round is visible here.
    pub(super) fn confirmed(&mut self, group: GroupUid, round: u64) {
        while let Some(number) = self.next_confirmed(group, round) {
            let reads = &mut self.confirming.reads;
            let Some(waiting) = reads.get_mut(&number) else {
                continue;
            };
            waiting.missing -= 1;
            if waiting.missing == 0
                && let Some(waiting) = reads.remove(&number)
            {
                self.answer_read(*waiting.read);
            }
        }
    }

    /// Whoever waited for too long is sent to the leader, if one is known.
    pub(super) fn give_up_confirming(&mut self) {
        let now = Instant::now();
        let late = |_: &u64, waiting: &mut Waiting| waiting.until <= now;
        let late: Vec<Waiting> = self
            .confirming
            .reads
            .extract_if(.., late)
            .map(|(_, waiting)| waiting)
            .collect();
        for mut waiting in late {
            waiting.read.source = Source::Leader;
            self.answer_read(*waiting.read);
        }
    }

    fn next_confirmed(&mut self, group: GroupUid, round: u64) -> Option<u64> {
        let records = self.replicas.get_mut(&group)?.records()?;
        let (_, number) = records
            .confirming
            .pop_front_if(|(asked, _)| *asked <= round)?;
        Some(number)
    }
}

/// Whether a replica that follows may not know yet of what the reader could have been told of.
fn is_behind(replica: &Replica, partition: &ReadPartition) -> bool {
    let State::Records(records) = &replica.state else {
        return false;
    };
    let group = replica.group();
    !group.is_leader()
        && group.leadership().leader != 0
        && partition.offset >= records.log().high_watermark()
}
