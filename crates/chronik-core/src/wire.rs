//! The small bounded reader and writer under every format that the core itself puts on disk.
//!
//! Numbers are little-endian, lengths come before what they count. A reader never allocates for a length that the
//! remaining bytes cannot justify.

use bytes::Bytes;

/// Why bytes from disk or from a peer were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{needed} bytes were needed at position {position}, {left} are left")]
    Short {
        position: usize,
        needed: usize,
        left: usize,
    },
    #[error("{what} at position {position} has the unknown value {value}")]
    Unknown {
        what: &'static str,
        position: usize,
        value: u64,
    },
    #[error("text at position {position} is not UTF-8")]
    NotText { position: usize },
    #[error("{left} bytes follow the end")]
    Trailing { left: usize },
}

/// Reads what [`Writer`] wrote.
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// Collects one encoded value.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, position: 0 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_le_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("take returns exactly N bytes"))
    }

    pub fn blob(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<String, WireError> {
        let position = self.position;
        let bytes = self.blob()?;
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::NotText { position })?;
        Ok(text.to_owned())
    }

    /// A count of elements that take at least `least_bytes` each, so that it bounds what a caller may reserve.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, WireError> {
        let count = self.u32()? as usize;
        let needed = count.saturating_mul(least_bytes.max(1));
        if needed > self.remaining() {
            return Err(WireError::Short {
                position: self.position,
                needed,
                left: self.remaining(),
            });
        }
        Ok(count)
    }

    /// Everything must have been read: trailing bytes are a sign of another format.
    pub fn end(self) -> Result<(), WireError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(WireError::Trailing { left }),
        }
    }

    pub fn unknown(&self, what: &'static str, value: u64) -> WireError {
        WireError::Unknown {
            what,
            position: self.position,
            value,
        }
    }

    fn take(&mut self, needed: usize) -> Result<&'a [u8], WireError> {
        let left = self.remaining();
        if needed > left {
            return Err(WireError::Short {
                position: self.position,
                needed,
                left,
            });
        }
        let bytes = &self.bytes[self.position..self.position + needed];
        self.position += needed;
        Ok(bytes)
    }
}

impl Writer {
    pub fn new() -> Self {
        Writer::default()
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.raw(bytes)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.blob(text.as_bytes())
    }

    pub fn count(&mut self, count: usize) -> &mut Self {
        self.u32(u32::try_from(count).expect("a value on disk has fewer than 2^32 elements"))
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn finish(self) -> Bytes {
        Bytes::from(self.bytes)
    }
}
