//! Questions about places in a partition: bounds, timestamps, epochs; and trimming it.

use bytes::Bytes;
use chronik_core::ids::GroupUid;
use chronik_core::partition::producers::Producer;
use tokio::sync::oneshot;

use super::{
    Bounds, Broker, Description, GroupError, KeptState, ReadError, Sought, Source, TrimError,
};
use crate::raft::event::{Event, Find, Position};

/// The batch that holds the answer to a question about time.
#[derive(Debug)]
pub struct BatchFound {
    pub bounds: Bounds,
    /// Whole batches, the first matching one among them; none if no record matches.
    pub batch: Option<Bytes>,
}

/// An epoch and the offset after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: i32,
    pub end_offset: i64,
}

impl Broker {
    pub async fn bounds(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
    ) -> Result<Bounds, ReadError> {
        match self.find(group, expected_epoch, Sought::Bounds).await? {
            Position::Bounds(bounds) => Ok(bounds),
            other => unreachable!("bounds were asked for, not {other:?}"),
        }
    }

    /// The batch with the first record at or after `timestamp`.
    pub async fn batch_at(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        timestamp: i64,
    ) -> Result<BatchFound, ReadError> {
        self.find_batch(group, expected_epoch, Sought::Timestamp(timestamp))
            .await
    }

    /// The batch with the record of the largest timestamp.
    pub async fn batch_of_max_timestamp(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
    ) -> Result<BatchFound, ReadError> {
        self.find_batch(group, expected_epoch, Sought::MaxTimestamp)
            .await
    }

    /// The largest epoch at or below `epoch` and its end; none beyond the newest.
    pub async fn epoch_end(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        epoch: i32,
    ) -> Result<Option<EpochEnd>, ReadError> {
        match self
            .find(group, expected_epoch, Sought::EpochEnd(epoch))
            .await?
        {
            Position::EpochEnd(end) => {
                Ok(end.map(|(epoch, end_offset)| EpochEnd { epoch, end_offset }))
            }
            other => unreachable!("an epoch was asked for, not {other:?}"),
        }
    }

    /// The leader epoch that the record at `offset` was written in.
    pub async fn epoch_at(&self, group: GroupUid, offset: i64) -> Result<Option<i32>, ReadError> {
        match self.find(group, None, Sought::EpochAt(offset)).await? {
            Position::Epoch(epoch) => Ok(epoch),
            other => unreachable!("an epoch was asked for, not {other:?}"),
        }
    }

    /// Drops records below `offset` (-1: all that are committed) and returns the new start of the log.
    pub async fn trim(&self, group: GroupUid, offset: i64) -> Result<i64, TrimError> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::Trim {
            group,
            offset,
            reply,
        });
        answer.await.unwrap_or(Err(GroupError::Stopping.into()))
    }

    /// What there is to say of each group, in their order; none for those that this node does not hold.
    pub async fn describe(&self, groups: Vec<GroupUid>) -> Vec<Option<Description>> {
        let (reply, answer) = oneshot::channel();
        let count = groups.len();
        self.shard.offer(Event::Describe { groups, reply });
        answer.await.unwrap_or_else(|_| vec![None; count])
    }

    pub async fn producers(&self, group: GroupUid) -> Result<Vec<(i64, Producer)>, GroupError> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::Producers { group, reply });
        answer.await.unwrap_or(Err(GroupError::Stopping))
    }

    /// Gives a state that stands for all records below `offset`: it enters the next checkpoint, and after that the
    /// records are trimmed. For internal topics, whose coordinator can start from it.
    pub fn keep_state(&self, group: GroupUid, offset: i64, state: Bytes) {
        self.shard.offer(Event::KeepState {
            group,
            offset,
            state,
        });
    }

    /// The state last kept, from whose offset on records have to be read.
    pub async fn kept_state(
        &self,
        group: GroupUid,
        source: Source,
    ) -> Result<KeptState, GroupError> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::KeptState {
            group,
            source,
            reply,
        });
        answer.await.unwrap_or(Err(GroupError::Stopping))
    }

    async fn find_batch(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        what: Sought,
    ) -> Result<BatchFound, ReadError> {
        let (bounds, plan) = match self.find(group, expected_epoch, what).await? {
            Position::Batch(bounds, plan) => (bounds, plan),
            other => unreachable!("a batch was asked for, not {other:?}"),
        };
        let batch = match plan {
            Some(plan) => self.read_one(plan).await?.into_iter().next(),
            None => None,
        };
        Ok(BatchFound { bounds, batch })
    }

    async fn find(
        &self,
        group: GroupUid,
        expected_epoch: Option<i32>,
        what: Sought,
    ) -> Result<Position, ReadError> {
        let (reply, answer) = oneshot::channel();
        self.shard.offer(Event::Find(Find {
            group,
            expected_epoch,
            what,
            reply,
        }));
        answer.await.unwrap_or(Err(ReadError::Stopping))
    }
}
