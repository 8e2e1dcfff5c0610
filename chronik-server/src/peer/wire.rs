//! The bounded reader under every format between nodes. Numbers are little-endian; payloads are cut out, not copied.

use bytes::Bytes;

/// Why bytes of another node were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{needed} bytes were needed at position {position}, {left} are left")]
    Short {
        position: usize,
        needed: usize,
        left: usize,
    },
    #[error("{what} before position {position} has the value {value}, which is not allowed")]
    Value {
        what: &'static str,
        position: usize,
        value: u64,
    },
    #[error("{left} bytes follow the end")]
    Trailing { left: usize },
}

/// Reads one frame from its begin to its end.
pub(super) struct Reader {
    bytes: Bytes,
    position: usize,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn bool(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.refuse(what, u64::from(other))),
        }
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Result<Bytes, WireError> {
        let len = self.len()?;
        self.cut(len)
    }

    /// So many bytes, sharing the memory of the frame.
    pub(super) fn cut(&mut self, len: usize) -> Result<Bytes, WireError> {
        let begin = self.position;
        self.take(len)?;
        Ok(self.bytes.slice(begin..begin + len))
    }

    pub(super) fn len(&mut self) -> Result<usize, WireError> {
        self.u32()
            .map(|len| usize::try_from(len).expect("32 bits fit an address"))
    }

    /// A count of things that take at least so many bytes each: memory for them is justified by what was received.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        most: usize,
        least_bytes: usize,
    ) -> Result<usize, WireError> {
        let count = self.len()?;
        let justified = (self.bytes.len() - self.position) / least_bytes;
        if count > most.min(justified) {
            return Err(self.refuse(what, count as u64));
        }
        Ok(count)
    }

    pub(super) fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.position..);
        self.position = self.bytes.len();
        rest
    }

    pub(super) fn end(&self) -> Result<(), WireError> {
        match self.bytes.len() - self.position {
            0 => Ok(()),
            left => Err(WireError::Trailing { left }),
        }
    }

    pub(super) fn refuse(&self, what: &'static str, value: u64) -> WireError {
        WireError::Value {
            what,
            position: self.position,
            value,
        }
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], WireError> {
        let bytes = self.take(LEN)?;
        Ok(bytes.try_into().expect("as many bytes as were asked for"))
    }

    fn take(&mut self, needed: usize) -> Result<&[u8], WireError> {
        let left = self.bytes.len() - self.position;
        if needed > left {
            return Err(WireError::Short {
                position: self.position,
                needed,
                left,
            });
        }
        let begin = self.position;
        self.position += needed;
        Ok(&self.bytes[begin..self.position])
    }
}
