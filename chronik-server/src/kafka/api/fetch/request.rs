//! Fetch requests of versions 4 to 17.

use chronik_core::ids::TopicId;

use crate::kafka::wire::{WireError, WireReader};

#[derive(Debug)]
pub(in crate::kafka) struct FetchRequest {
    pub(super) max_wait_ms: i32,
    pub(super) min_bytes: i32,
    pub(super) max_bytes: i32,
    pub(super) read_committed: bool,
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// Where the client is, if it says so.
    pub(super) rack: Option<Box<str>>,
    pub(super) topics: Vec<FetchTopic>,
}

#[derive(Debug)]
pub(super) struct FetchTopic {
    pub(super) topic: TopicKey,
    pub(super) partitions: Vec<FetchPartition>,
}

/// Topics are named until version 12 and identified from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicKey {
    Name(Box<str>),
    Id(TopicId),
}

#[derive(Debug)]
pub(super) struct FetchPartition {
    pub(super) index: i32,
    /// -1: the client does not know an epoch.
    pub(super) current_leader_epoch: i32,
    pub(super) fetch_offset: i64,
    pub(super) max_bytes: i32,
}

impl FetchRequest {
    pub(in crate::kafka) fn decode(
        version: i16,
        flexible: bool,
        frame: &[u8],
    ) -> Result<Self, WireError> {
        let mut input = WireReader::new(frame, flexible);
        if version < 15 {
            let _replica_id = input.i32()?;
        }
        let (max_wait_ms, min_bytes, max_bytes) = (input.i32()?, input.i32()?, input.i32()?);
        let read_committed = input.i8()? == 1;
        let (session_id, session_epoch) = if version >= 7 {
            (input.i32()?, input.i32()?)
        } else {
            (0, -1)
        };
        let mut topics = Vec::new();
        for _ in 0..input.count(1)? {
            topics.push(topic(&mut input, version)?);
        }
        if version >= 7 {
            forgotten_topics(&mut input, version)?;
        }
        let rack = match version {
            11.. => Some(input.text()?).filter(|rack| !rack.is_empty()),
            _ => None,
        };
        input.skip_tags()?;
        Ok(FetchRequest {
            max_wait_ms,
            min_bytes,
            max_bytes,
            read_committed,
            session_id,
            session_epoch,
            rack: rack.map(Into::into),
            topics,
        })
    }
}

fn topic(input: &mut WireReader<'_>, version: i16) -> Result<FetchTopic, WireError> {
    let topic = topic_key(input, version)?;
    let mut partitions = Vec::new();
    for _ in 0..input.count(1)? {
        partitions.push(partition(input, version)?);
    }
    input.skip_tags()?;
    Ok(FetchTopic { topic, partitions })
}

fn topic_key(input: &mut WireReader<'_>, version: i16) -> Result<TopicKey, WireError> {
    match version {
        ..13 => Ok(TopicKey::Name(input.text()?.into())),
        13.. => Ok(TopicKey::Id(TopicId(input.uuid()?))),
    }
}

fn partition(input: &mut WireReader<'_>, version: i16) -> Result<FetchPartition, WireError> {
    let index = input.i32()?;
    let current_leader_epoch = if version >= 9 { input.i32()? } else { -1 };
    let fetch_offset = input.i64()?;
    if version >= 12 {
        let _last_fetched_epoch = input.i32()?;
    }
    if version >= 5 {
        let _follower_log_start_offset = input.i64()?;
    }
    let max_bytes = input.i32()?;
    input.skip_tags()?;
    Ok(FetchPartition {
        index,
        current_leader_epoch,
        fetch_offset,
        max_bytes,
    })
}

/// Read for their length only: without sessions there is nothing to forget.
fn forgotten_topics(input: &mut WireReader<'_>, version: i16) -> Result<(), WireError> {
    for _ in 0..input.count(1)? {
        topic_key(input, version)?;
        for _ in 0..input.count(4)? {
            input.i32()?;
        }
        input.skip_tags()?;
    }
    Ok(())
}
