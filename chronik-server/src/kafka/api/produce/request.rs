//! Produce requests, decoded without copying a record: every batch is cut out of the frame as its own buffer.

use std::ops::Range;

use bytes::{Buf, BytesMut};

use crate::kafka::wire::{WireError, WireReader};

#[derive(Debug)]
pub(in crate::kafka) struct ProduceRequest {
    pub(super) transactional_id: Option<Box<str>>,
    pub(super) acks: i16,
    pub(super) timeout_ms: i32,
    pub(super) topics: Vec<TopicData>,
}

#[derive(Debug)]
pub(super) struct TopicData {
    pub(super) name: Box<str>,
    pub(super) partitions: Vec<PartitionData>,
}

#[derive(Debug)]
pub(super) struct PartitionData {
    pub(super) index: i32,
    /// Nobody else refers to these bytes: they may be patched in place.
    pub(super) records: Option<BytesMut>,
}

/// Where a partition's records lie in the frame.
type Place = (i32, Option<Range<usize>>);

impl ProduceRequest {
    pub(in crate::kafka) fn decode(
        flexible: bool,
        frame: &mut BytesMut,
    ) -> Result<Self, WireError> {
        let mut input = WireReader::new(frame, flexible);
        let transactional_id = input.nullable_text()?.map(Box::from);
        let (acks, timeout_ms) = (input.i16()?, input.i32()?);
        let mut places = Vec::new();
        for _ in 0..input.count(1)? {
            places.push((Box::from(input.text()?), partitions(&mut input)?));
            input.skip_tags()?;
        }
        input.skip_tags()?;
        let topics = cut(frame, places);
        Ok(ProduceRequest {
            transactional_id,
            acks,
            timeout_ms,
            topics,
        })
    }
}

fn partitions(input: &mut WireReader<'_>) -> Result<Vec<Place>, WireError> {
    let mut places = Vec::new();
    for _ in 0..input.count(1)? {
        places.push((input.i32()?, input.nullable_bytes()?));
        input.skip_tags()?;
    }
    Ok(places)
}

/// The places are ascending, so that each cut leaves the later ones in the frame.
fn cut(frame: &mut BytesMut, places: Vec<(Box<str>, Vec<Place>)>) -> Vec<TopicData> {
    let mut gone = 0;
    let mut records = |range: Range<usize>| {
        frame.advance(range.start - gone);
        gone = range.end;
        frame.split_to(range.len())
    };
    let mut partition = |(index, place): Place| PartitionData {
        index,
        records: place.map(&mut records),
    };
    let topic = |(name, partitions): (Box<str>, Vec<Place>)| TopicData {
        name,
        partitions: partitions.into_iter().map(&mut partition).collect(),
    };
    places.into_iter().map(topic).collect()
}
