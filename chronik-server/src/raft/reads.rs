//! Answers questions about partitions from memory, or with a plan that the asker reads from disk.

use chronik_core::group::Peer;
use chronik_core::ids::{GroupUid, ReplicaId};
use chronik_core::partition::producers::Producer;
use chronik_wal::From;

use super::event::{
    Bounds, Data, Description, Find, Found, GroupError, KeptState, Position, Quorum, QuorumMember,
    Read, ReadError, ReadPartition, Sought, Source,
};
use super::records::Records;
use super::replica::{Replica, State};
use super::shard::Shard;

impl Shard {
    pub(super) fn read(&mut self, read: Box<Read>) {
        if let Some(read) = self.confirm_first(read) {
            self.answer_read(*read);
        }
    }

    pub(super) fn answer_read(&mut self, read: Read) {
        let mut room = Room {
            left: read.max_bytes,
            first: true,
        };
        let mut present = 0;
        let mut urgent = false;
        let mut answers = Vec::with_capacity(read.partitions.len());
        for partition in &read.partitions {
            let before = room.left;
            let answer = self.read_one(partition, read.source, &mut room);
            present += before - room.left;
            urgent |= answer.is_err();
            answers.push(answer);
        }
        if let Some(waiter) = read.waiter {
            if urgent || waiter.has_enough(present as u64) {
                waiter.wake();
            } else {
                for partition in &read.partitions {
                    if let Some(records) = self
                        .replicas
                        .get_mut(&partition.group)
                        .and_then(Replica::records)
                    {
                        records.wait(waiter.clone());
                    }
                }
            }
        }
        let _ = read.reply.send(answers);
    }

    pub(super) fn find(&mut self, find: Find) {
        let _ = find
            .reply
            .send(self.position(find.group, find.expected_epoch, find.what));
    }

    pub(super) fn describe(&self, groups: &[GroupUid]) -> Vec<Option<Description>> {
        let describe = |group: &GroupUid| {
            let replica = self.replicas.get(group)?;
            let State::Records(records) = &replica.state else {
                return None;
            };
            Some(Description {
                bounds: replica.bounds(records),
                bytes: self.index.bytes(group.0),
                leads: replica.serves(),
            })
        };
        groups.iter().map(describe).collect()
    }

    pub(super) fn quorum(&self) -> Option<Quorum> {
        let replica = self.replicas.get(&GroupUid::META)?;
        let group = replica.group();
        let members = group.members();
        let member = |peer: Peer| QuorumMember {
            node: ReplicaId(peer.replica).node(),
            votes: members.is_voter(peer.replica),
            matched: match peer.replica == group.replica() {
                true => group.last_index(),
                false => peer.matched,
            },
        };
        replica.serves().then(|| Quorum {
            leader: self.settings.node,
            epoch: replica.epoch(),
            committed: group.committed(),
            members: group.peers().into_iter().map(member).collect(),
        })
    }

    pub(super) fn producers(&self, group: GroupUid) -> Result<Vec<(i64, Producer)>, GroupError> {
        let (_, records) = self.led(group)?;
        Ok(records
            .log()
            .producers()
            .iter()
            .map(|(id, producer)| (id, producer.clone()))
            .collect())
    }

    pub(super) fn kept_state(
        &self,
        group: GroupUid,
        source: Source,
    ) -> Result<KeptState, GroupError> {
        let (replica, records) = self.held(group)?;
        if source == Source::Leader && !replica.serves() {
            return Err(GroupError::NotLeader(replica.hint()));
        }
        let bounds = Some(replica.bounds(records));
        Ok(match records.log().kept() {
            Some((offset, state)) => KeptState {
                offset: *offset,
                state: Some(state.clone()),
                bounds,
            },
            None => KeptState {
                offset: records.log().start_offset(),
                state: None,
                bounds,
            },
        })
    }

    fn read_one(
        &self,
        partition: &ReadPartition,
        source: Source,
        room: &mut Room,
    ) -> Result<Found, ReadError> {
        let (bounds, records) = self.readable(partition.group, partition.expected_epoch, source)?;
        let log = records.log();
        let offset = partition.offset;
        if offset < log.start_offset() || offset > log.end_offset() {
            return Err(ReadError::OutOfRange(bounds));
        }
        let most = partition.max_bytes.min(room.left);
        if offset >= records.visible_end() || (most == 0 && !room.first) {
            return Ok(Found {
                bounds,
                data: Data::Cached(Vec::new()),
            });
        }
        let data = match records.cached_from(offset, most, room.first) {
            Some(batches) => {
                self.metrics.fetch.cache_hits.increment();
                room.take(batches.iter().map(|batch| batch.len()).sum());
                Data::Cached(batches)
            }
            None => {
                self.metrics.fetch.cache_misses.increment();
                // What is on disk is not measured here: it counts as all that it may be.
                room.take(most.max(1));
                Data::Stored(
                    self.index
                        .plan(partition.group.0, From::Offset(offset as u64), most),
                )
            }
        };
        Ok(Found { bounds, data })
    }

    fn position(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        what: Sought,
    ) -> Result<Position, ReadError> {
        let (bounds, records) = self.readable(group, expected_epoch, Source::Leader)?;
        let log = records.log();
        Ok(match what {
            Sought::Bounds => Position::Bounds(bounds),
            Sought::Timestamp(timestamp) => Position::Batch(
                bounds,
                self.index.first_at_or_after_timestamp(group.0, timestamp),
            ),
            Sought::MaxTimestamp => Position::Batch(bounds, self.index.max_timestamp(group.0)),
            Sought::EpochEnd(epoch) => Position::EpochEnd(log.epoch_end(epoch)),
            Sought::EpochAt(offset) => Position::Epoch(log.epoch_at(offset)),
        })
    }

    /// A partition that may be read now: led here, in a term that has committed, or followed if the source allows it;
    /// and in the epoch the client knows.
    fn readable(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        source: Source,
    ) -> Result<(Bounds, &Records), ReadError> {
        let replica = self.replicas.get(&group).ok_or(ReadError::UnknownGroup)?;
        let State::Records(records) = &replica.state else {
            return Err(ReadError::UnknownGroup);
        };
        let leads = replica.group().is_leader();
        if source == Source::Own {
            return Ok((replica.bounds(records), records));
        }
        if !leads && (source == Source::Leader || replica.group().leadership().leader == 0) {
            return Err(ReadError::NotLeader(replica.hint()));
        }
        if leads && !replica.serves() {
            return Err(ReadError::NotReady);
        }
        let bounds = replica.bounds(records);
        match expected_epoch {
            Some(expected) if expected < bounds.epoch => Err(ReadError::FencedEpoch(bounds.epoch)),
            Some(expected) if expected > bounds.epoch => Err(ReadError::UnknownEpoch(bounds.epoch)),
            _ => Ok((bounds, records)),
        }
    }

    fn held(&self, group: GroupUid) -> Result<(&Replica, &Records), GroupError> {
        let replica = self.replicas.get(&group).ok_or(GroupError::Unknown)?;
        match &replica.state {
            State::Records(records) => Ok((replica, records)),
            State::Meta(_) => Err(GroupError::Unknown),
        }
    }

    fn led(&self, group: GroupUid) -> Result<(&Replica, &Records), GroupError> {
        let (replica, records) = self.held(group)?;
        match replica.serves() {
            true => Ok((replica, records)),
            false => Err(GroupError::NotLeader(replica.hint())),
        }
    }
}

/// How much of an answer may still be filled. The very first batch goes out whatever its size (KIP-74).
struct Room {
    left: usize,
    first: bool,
}

impl Room {
    fn take(&mut self, bytes: usize) {
        self.first &= bytes == 0;
        self.left = self.left.saturating_sub(bytes);
    }
}
