//! Loading: the kept state, then every record after it, until the high watermark is reached.

use std::time::Duration;

use chronik_core::consumer_group::{Image, RestoreError};
use chronik_core::ids::GroupUid;
use chronik_core::partition::batch as batches;

use super::batch;
use crate::broker::{Broker, FetchLimits, Fetched, GroupError, ReadError, ReadPartition, Source};

const READ_BYTES: usize = 4 << 20;
/// Between two attempts on a partition whose leader is not ready. Nobody tells when it is.
const EARLY_PAUSE: Duration = Duration::from_millis(10);
/// How often the records after a kept state may go before they were read.
const ATTEMPTS: usize = 3;

/// A partition's groups as the log tells them, up to `next_offset`.
pub(super) struct Loaded {
    pub(super) image: Image,
    pub(super) next_offset: i64,
}

/// Why a partition cannot serve yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("the kept state cannot be used: {0}")]
    State(#[from] RestoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("nothing was read at offset {0} although records follow")]
    Stuck(i64),
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
}

/// From which replica a partition is read, and in which epoch.
#[derive(Clone, Copy)]
struct Reading {
    source: Source,
    epoch: Option<i32>,
}

/// What the replica here knows of a partition's groups, whoever leads it.
pub(crate) async fn image(broker: &Broker, group: GroupUid) -> Result<Image, LoadError> {
    let reading = Reading {
        source: Source::Own,
        epoch: None,
    };
    let mut attempts = 1;
    loop {
        match read_all(broker, group, reading).await {
            // A newer state was kept meanwhile, and what was to be read is gone.
            Err(LoadError::Read(ReadError::OutOfRange(_))) if attempts < ATTEMPTS => attempts += 1,
            loaded => return Ok(loaded?.image),
        }
    }
}

/// Reads one partition; `epoch` is the one this node leads it in.
pub(super) async fn load(
    broker: Broker,
    group: GroupUid,
    epoch: i32,
    timeout: Duration,
) -> Result<Loaded, LoadError> {
    match tokio::time::timeout(timeout, read_when_ready(&broker, group, epoch)).await {
        Ok(loaded) => loaded,
        Err(_) => Err(LoadError::TimedOut(timeout)),
    }
}

/// A new leader shows itself before its term is committed, and only then may its log be read.
async fn read_when_ready(
    broker: &Broker,
    group: GroupUid,
    epoch: i32,
) -> Result<Loaded, LoadError> {
    let reading = Reading {
        source: Source::Leader,
        epoch: Some(epoch),
    };
    loop {
        match read_all(broker, group, reading).await {
            Err(error) if error.is_early() => tokio::time::sleep(EARLY_PAUSE).await,
            result => return result,
        }
    }
}

async fn read_all(broker: &Broker, group: GroupUid, reading: Reading) -> Result<Loaded, LoadError> {
    let kept = broker.kept_state(group, reading.source).await?;
    let image = kept
        .state
        .as_deref()
        .map(Image::restore)
        .transpose()?
        .unwrap_or_default();
    let mut loaded = Loaded {
        image,
        next_offset: kept.offset,
    };
    loop {
        let fetched = read(broker, group, reading, loaded.next_offset).await?;
        if loaded.next_offset >= fetched.bounds.high_watermark {
            return Ok(loaded);
        }
        let before = loaded.next_offset;
        loaded.replay(group, &fetched);
        if loaded.next_offset == before {
            return Err(LoadError::Stuck(before));
        }
    }
}

async fn read(
    broker: &Broker,
    group: GroupUid,
    reading: Reading,
    offset: i64,
) -> Result<Fetched, ReadError> {
    let partition = ReadPartition {
        group,
        offset,
        max_bytes: READ_BYTES,
        expected_epoch: reading.epoch,
    };
    let limits = FetchLimits {
        source: reading.source,
        min_bytes: 0,
        max_bytes: READ_BYTES,
        max_wait: Duration::ZERO,
    };
    broker
        .fetch(vec![partition], limits)
        .await
        .pop()
        .expect("one answer for one partition")
}

impl LoadError {
    /// Whether it goes away by itself.
    fn is_early(&self) -> bool {
        use GroupError as Group;
        use ReadError as Read;
        matches!(
            self,
            LoadError::Group(Group::NotLeader(_) | Group::Unknown)
                | LoadError::Read(
                    Read::NotLeader(_)
                        | Read::NotReady
                        | Read::UnknownGroup
                        | Read::UnknownEpoch(_)
                )
        )
    }
}

impl Loaded {
    fn replay(&mut self, group: GroupUid, fetched: &Fetched) {
        for bytes in &fetched.batches {
            for (header, batch) in batches::each(bytes).map_while(Result::ok) {
                if header.next_offset() <= self.next_offset {
                    continue;
                }
                self.next_offset = header.next_offset();
                match batch::decode(&header, batch) {
                    Ok(records) => records
                        .iter()
                        .for_each(|(key, value)| self.apply(group, key, value.as_deref())),
                    Err(error) => {
                        tracing::warn!(%group, offset = header.base_offset, %error, "a batch of group state is passed over");
                    }
                }
            }
        }
    }

    /// Anyone may write to the topic: what we do not understand is not ours.
    fn apply(&mut self, group: GroupUid, key: &[u8], value: Option<&[u8]>) {
        if let Err(error) = self.image.replay(key, value) {
            tracing::warn!(%group, offset = self.next_offset, %error, "a record of group state is passed over");
        }
    }
}
