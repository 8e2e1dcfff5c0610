//! Entries without records: orders that every replica of a partition carries out once they are committed.
//!
//! A batch begins with its offset, which is never negative. That tells the two apart without another column on disk.

use bytes::Bytes;

use crate::wire::{Reader, WireError, Writer};

/// An order to all replicas of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Records below `offset` are gone.
    Trim { offset: i64 },
    /// `state` stands for all records below `offset`, which are gone.
    Keep { offset: i64, state: Bytes },
}

/// Where a batch has its offset.
const MARK: i64 = -1;
const TRIM: u8 = 1;
const KEEP: u8 = 2;

impl Control {
    /// Whether an entry's bytes are an order and not batches.
    pub fn is(data: &[u8]) -> bool {
        data.starts_with(&MARK.to_le_bytes())
    }

    /// From this offset on, records are kept.
    pub fn offset(&self) -> i64 {
        match self {
            Control::Trim { offset } | Control::Keep { offset, .. } => *offset,
        }
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.i64(MARK);
        match self {
            Control::Trim { offset } => out.u8(TRIM).i64(*offset),
            Control::Keep { offset, state } => out.u8(KEEP).i64(*offset).blob(state),
        };
        out.finish()
    }

    pub fn decode(data: &[u8]) -> Result<Control, WireError> {
        let mut input = Reader::new(data);
        match input.i64()? {
            MARK => {}
            other => return Err(input.unknown("mark of an order", other as u64)),
        }
        let control = match input.u8()? {
            TRIM => Control::Trim {
                offset: input.i64()?,
            },
            KEEP => Control::Keep {
                offset: input.i64()?,
                state: Bytes::copy_from_slice(input.blob()?),
            },
            other => return Err(input.unknown("order to a partition", other.into())),
        };
        input.end()?;
        Ok(control)
    }
}
