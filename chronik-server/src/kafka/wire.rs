//! Kafka's primitive types, bounded: what the two hand-written messages (produce and fetch) are made of.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

/// Why hand-decoded bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("{needed} bytes were announced, {left} are left")]
    Short { needed: usize, left: usize },
    #[error("a length or count is negative")]
    Negative,
    #[error("a variable-length number is too long")]
    Varint,
    #[error("text is not UTF-8")]
    NotText,
    #[error("a value that must be present is null")]
    Null,
}

/// Reads big-endian values in either encoding: `flexible` means compact lengths and tagged fields.
pub(super) struct WireReader<'a> {
    bytes: &'a [u8],
    position: usize,
    flexible: bool,
}

impl<'a> WireReader<'a> {
    pub(super) fn new(bytes: &'a [u8], flexible: bool) -> Self {
        WireReader {
            bytes,
            position: 0,
            flexible,
        }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(super) fn i8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn uuid(&mut self) -> Result<[u8; 16], WireError> {
        self.array()
    }

    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        self.nullable_text()?.ok_or(WireError::Null)
    }

    pub(super) fn nullable_text(&mut self) -> Result<Option<&'a str>, WireError> {
        let len = if self.flexible {
            self.compact_len()?
        } else {
            plain_len(self.i16()?.into())?
        };
        let Some(len) = len else { return Ok(None) };
        let bytes = &self.bytes[self.range(len)?];
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| WireError::NotText)
    }

    /// Where a byte array lies inside the bytes this reader was made from.
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<Range<usize>>, WireError> {
        match self.int32_len()? {
            Some(len) => self.range(len).map(Some),
            None => Ok(None),
        }
    }

    /// A count of elements that take at least `least_bytes` each: what a caller may safely reserve.
    pub(super) fn count(&mut self, least_bytes: usize) -> Result<usize, WireError> {
        let count = self.int32_len()?.ok_or(WireError::Null)?;
        let needed = count.saturating_mul(least_bytes);
        if needed > self.remaining() {
            return Err(WireError::Short {
                needed,
                left: self.remaining(),
            });
        }
        Ok(count)
    }

    /// Hands every tagged field to `each`; does nothing before flexible versions.
    pub(super) fn tags(&mut self, mut each: impl FnMut(u32, &'a [u8])) -> Result<(), WireError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let len = self.varint()? as usize;
            let range = self.range(len)?;
            each(tag, &self.bytes[range]);
        }
        Ok(())
    }

    pub(super) fn skip_tags(&mut self) -> Result<(), WireError> {
        self.tags(|_, _| ())
    }

    fn int32_len(&mut self) -> Result<Option<usize>, WireError> {
        if self.flexible {
            self.compact_len()
        } else {
            plain_len(self.i32()?.into())
        }
    }

    fn compact_len(&mut self) -> Result<Option<usize>, WireError> {
        Ok((self.varint()? as usize).checked_sub(1))
    }

    fn varint(&mut self) -> Result<u32, WireError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let range = self.range(N)?;
        Ok(self.bytes[range]
            .try_into()
            .expect("a range of N bytes is an array of N"))
    }

    fn range(&mut self, len: usize) -> Result<Range<usize>, WireError> {
        if len > self.remaining() {
            return Err(WireError::Short {
                needed: len,
                left: self.remaining(),
            });
        }
        let start = self.position;
        self.position += len;
        Ok(start..self.position)
    }
}

/// Writes big-endian values in either encoding.
pub(super) struct WireWriter {
    bytes: BytesMut,
    flexible: bool,
}

impl WireWriter {
    pub(super) fn new(bytes: BytesMut, flexible: bool) -> Self {
        WireWriter { bytes, flexible }
    }

    pub(super) fn into_bytes(self) -> BytesMut {
        self.bytes
    }

    /// Takes what has been written so far; later values go to the rest of the same allocation.
    pub(super) fn split(&mut self) -> BytesMut {
        self.bytes.split()
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes.put_i16(value);
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.put_i32(value);
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.put_i64(value);
        self
    }

    pub(super) fn uuid(&mut self, value: [u8; 16]) -> &mut Self {
        self.bytes.put_slice(&value);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.nullable_text(Some(text))
    }

    pub(super) fn nullable_text(&mut self, text: Option<&str>) -> &mut Self {
        match (text, self.flexible) {
            (Some(text), true) => self.varint(compact(text.len())),
            (Some(text), false) => {
                self.i16(i16::try_from(text.len()).expect("texts we answer are short"))
            }
            (None, true) => self.varint(0),
            (None, false) => self.i16(-1),
        };
        self.bytes.put_slice(text.unwrap_or_default().as_bytes());
        self
    }

    /// The length in front of an array or of a byte string that the caller appends himself.
    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        if self.flexible {
            self.varint(compact(count))
        } else {
            self.i32(i32::try_from(count).expect("responses stay below 2 GiB"))
        }
    }

    pub(super) fn null_array(&mut self) -> &mut Self {
        if self.flexible {
            self.varint(0)
        } else {
            self.i32(-1)
        }
    }

    /// The end of a structure without tagged fields.
    pub(super) fn no_tags(&mut self) -> &mut Self {
        if self.flexible { self.varint(0) } else { self }
    }

    /// The end of a structure with the given tagged fields, in ascending order of their tags.
    pub(super) fn tags(&mut self, tags: &[(u32, &[u8])]) -> &mut Self {
        self.varint(tags.len() as u32);
        for (tag, bytes) in tags {
            self.varint(*tag).varint(bytes.len() as u32);
            self.bytes.put_slice(bytes);
        }
        self
    }

    pub(super) fn varint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
        self
    }
}

fn plain_len(len: i64) -> Result<Option<usize>, WireError> {
    match len {
        -1 => Ok(None),
        len => usize::try_from(len)
            .map(Some)
            .map_err(|_| WireError::Negative),
    }
}

fn compact(len: usize) -> u32 {
    u32::try_from(len + 1).expect("responses stay below 2 GiB")
}
