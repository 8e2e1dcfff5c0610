//! What a snapshot holds of one group: its boundaries, and what a replica can begin from.

use bytes::Bytes;
use chronik_core::group::Install;
use chronik_core::ids::GroupUid;
use chronik_core::partition::EpochStart;
use chronik_core::wire::{Reader, WireError, Writer};

/// One group, as one of its replicas knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub group: GroupUid,
    /// The newest term that the replica had heard of.
    pub term: u64,
    /// Everything here is as of this entry, which is committed.
    pub committed: u64,
    pub committed_term: u64,
    /// Where the records begin that the group has.
    pub start_offset: i64,
    /// Where those end that are committed.
    pub high_watermark: i64,
    /// Where leader epochs began.
    pub epochs: Vec<EpochStart>,
    /// What a leader would send to a replica that has nothing.
    pub install: Install,
    /// The consumer groups that this partition keeps, as of its last record.
    pub consumer_groups: Option<Bytes>,
}

/// What a part takes at the least.
const LEAST_BYTES: usize = 8 * 6 + 4 + 4 + 1;
const EPOCH_BYTES: usize = 12;

impl Part {
    /// About how much of a file it will be, before it is compressed.
    pub(crate) fn weight_bytes(&self) -> usize {
        let groups = self.consumer_groups.as_ref().map_or(0, Bytes::len);
        LEAST_BYTES + self.epochs.len() * EPOCH_BYTES + self.install.state.len() + groups
    }

    fn write(&self, out: &mut Writer) {
        out.u64(self.group.0)
            .u64(self.term)
            .u64(self.committed)
            .u64(self.committed_term)
            .i64(self.start_offset)
            .i64(self.high_watermark)
            .count(self.epochs.len());
        for start in &self.epochs {
            out.i32(start.epoch).i64(start.offset);
        }
        out.blob(&self.install.encode());
        match &self.consumer_groups {
            Some(image) => out.u8(1).blob(image),
            None => out.u8(0),
        };
    }

    fn read(input: &mut Reader<'_>) -> Result<Part, WireError> {
        Ok(Part {
            group: GroupUid(input.u64()?),
            term: input.u64()?,
            committed: input.u64()?,
            committed_term: input.u64()?,
            start_offset: input.i64()?,
            high_watermark: input.i64()?,
            epochs: (0..input.count(EPOCH_BYTES)?)
                .map(|_| {
                    Ok(EpochStart {
                        epoch: input.i32()?,
                        offset: input.i64()?,
                    })
                })
                .collect::<Result<_, _>>()?,
            install: Install::decode(input.blob()?)?,
            consumer_groups: match input.u8()? {
                0 => None,
                1 => Some(Bytes::copy_from_slice(input.blob()?)),
                other => return Err(input.unknown("mark of consumer groups", other.into())),
            },
        })
    }
}

/// The parts of one section.
pub(super) fn write_all(parts: &[Part]) -> Bytes {
    let mut out = Writer::new();
    out.count(parts.len());
    parts.iter().for_each(|part| part.write(&mut out));
    out.finish()
}

pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Part>, WireError> {
    let mut input = Reader::new(bytes);
    let parts = (0..input.count(LEAST_BYTES)?)
        .map(|_| Part::read(&mut input))
        .collect::<Result<_, _>>()?;
    input.end()?;
    Ok(parts)
}
