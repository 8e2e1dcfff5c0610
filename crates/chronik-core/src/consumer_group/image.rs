//! What the log says about every group: the durable half of a coordinator, rebuilt from records alone.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::records::{GroupMetadata, OffsetKey, OffsetValue, Record, RecordError};
use crate::wire::{Reader, WireError, Writer};

/// All groups of one partition of `__consumer_offsets`, as of the records applied so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    groups: BTreeMap<String, GroupImage>,
}

/// One group as the log knows it. A group that only commits offsets has no metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupImage {
    pub metadata: Option<GroupMetadata>,
    pub offsets: Offsets,
}

/// Committed offsets by topic and partition.
pub type Offsets = BTreeMap<String, BTreeMap<i32, OffsetValue>>;

/// Why a snapshot could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the snapshot is damaged")]
    Wire(#[from] WireError),
    #[error("the snapshot holds a record that is damaged")]
    Record(#[from] RecordError),
}

const SNAPSHOT_VERSION: u8 = 1;
/// A key and the mark of its value take at least this much.
const SNAPSHOT_RECORD_BYTES_MIN: usize = 5;

impl Image {
    /// Takes the next record of the log, tombstones included.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        self.apply(Record::decode(key, value)?);
        Ok(())
    }

    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Offset {
                key,
                value: Some(value),
            } => self.set_offset(key, value),
            Record::Offset { key, value: None } => self.clear_offset(&key),
            Record::Group {
                group,
                value: Some(value),
            } => self.groups.entry(group).or_default().metadata = Some(value),
            Record::Group { group, value: None } => {
                if let Some(image) = self.groups.get_mut(&group) {
                    image.metadata = None;
                }
                self.drop_if_blank(&group);
            }
        }
    }

    pub fn group(&self, group: &str) -> Option<&GroupImage> {
        self.groups.get(group)
    }

    pub fn groups(&self) -> impl Iterator<Item = (&str, &GroupImage)> {
        self.groups.iter().map(|(id, image)| (id.as_str(), image))
    }

    /// The whole image as bytes: a version, then records in the format of the log.
    pub fn snapshot(&self) -> Bytes {
        let records: Vec<Record> = self.records().collect();
        let mut out = Writer::new();
        out.u8(SNAPSHOT_VERSION).count(records.len());
        for raw in records.iter().map(Record::encode) {
            out.blob(&raw.key);
            match raw.value {
                Some(value) => out.u8(1).blob(&value),
                None => out.u8(0),
            };
        }
        out.finish()
    }

    pub fn restore(bytes: &[u8]) -> Result<Image, RestoreError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            SNAPSHOT_VERSION => {}
            other => return Err(input.unknown("snapshot version", other.into()).into()),
        }
        let mut image = Image::default();
        for _ in 0..input.count(SNAPSHOT_RECORD_BYTES_MIN)? {
            let key = input.blob()?;
            let value = if input.u8()? == 0 {
                None
            } else {
                Some(input.blob()?)
            };
            image.replay(key, value)?;
        }
        input.end()?;
        Ok(image)
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        self.groups.iter().flat_map(|(group, image)| {
            let metadata = image.metadata.clone().map(|value| Record::Group {
                group: group.clone(),
                value: Some(value),
            });
            metadata.into_iter().chain(image.keys_and_values(group))
        })
    }

    fn set_offset(&mut self, key: OffsetKey, value: OffsetValue) {
        let offsets = &mut self.groups.entry(key.group).or_default().offsets;
        offsets
            .entry(key.topic)
            .or_default()
            .insert(key.partition, value);
    }

    fn clear_offset(&mut self, key: &OffsetKey) {
        let Some(image) = self.groups.get_mut(&key.group) else {
            return;
        };
        if let Some(partitions) = image.offsets.get_mut(&key.topic) {
            partitions.remove(&key.partition);
            if partitions.is_empty() {
                image.offsets.remove(&key.topic);
            }
        }
        self.drop_if_blank(&key.group);
    }

    fn drop_if_blank(&mut self, group: &str) {
        if self
            .groups
            .get(group)
            .is_some_and(|image| image.metadata.is_none() && image.offsets.is_empty())
        {
            self.groups.remove(group);
        }
    }
}

impl GroupImage {
    pub fn offset(&self, topic: &str, partition: i32) -> Option<&OffsetValue> {
        self.offsets.get(topic)?.get(&partition)
    }

    /// Every committed offset as (topic, partition, value).
    pub fn offsets(&self) -> impl Iterator<Item = (&str, i32, &OffsetValue)> {
        self.offsets.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, value)| (topic.as_str(), *partition, value))
        })
    }

    fn keys_and_values(&self, group: &str) -> impl Iterator<Item = Record> {
        self.offsets()
            .map(move |(topic, partition, value)| Record::Offset {
                key: OffsetKey {
                    group: group.to_owned(),
                    topic: topic.to_owned(),
                    partition,
                },
                value: Some(value.clone()),
            })
    }
}
