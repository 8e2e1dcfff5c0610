//! Kafka's primitive types, written and read; every length from the network is held against the bytes that are there.

/// Why bytes from a broker are not the answer they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireFault {
    #[error("the answer ends in the middle of a field")]
    Truncated,
    #[error("a length of {0} makes no sense")]
    Length(i64),
    #[error("text is not UTF-8")]
    Text,
    #[error("the checksum of a batch is wrong")]
    Checksum,
    #[error("record batches of version {0} are not known")]
    BatchVersion(i8),
    #[error("a compressed batch came back, none was sent")]
    Compressed,
}

/// Appends fields to a request.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn i8(&mut self, value: i8) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn len(&mut self, len: usize) -> &mut Self {
        self.i32(i32::try_from(len).expect("our own requests are small"))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).expect("our own names are short"));
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn no_text(&mut self) -> &mut Self {
        self.i16(-1)
    }

    pub(crate) fn blob(&mut self, blob: &[u8]) -> &mut Self {
        self.len(blob.len());
        self.bytes.extend_from_slice(blob);
        self
    }

    /// A signed number as records hold it: zigzag, seven bits a byte.
    pub(crate) fn varint(&mut self, value: i64) -> &mut Self {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }
}

/// Takes fields from an answer.
#[derive(Clone, Debug)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], WireFault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireFault> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, WireFault> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, WireFault> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireFault> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, WireFault> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireFault> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, WireFault> {
        let len = self.i16()?;
        let len = usize::try_from(len).map_err(|_| WireFault::Length(len.into()))?;
        std::str::from_utf8(self.take(len)?).map_err(|_| WireFault::Text)
    }

    pub(crate) fn nullable_text(&mut self) -> Result<Option<&'a str>, WireFault> {
        if self.rest.starts_with(&[0xff, 0xff]) {
            self.rest = &self.rest[2..];
            return Ok(None);
        }
        self.text().map(Some)
    }

    /// Bytes; null is as good as empty.
    pub(crate) fn blob(&mut self) -> Result<&'a [u8], WireFault> {
        match self.i32()? {
            -1 => Ok(&[]),
            len => {
                let len = usize::try_from(len).map_err(|_| WireFault::Length(len.into()))?;
                self.take(len)
            }
        }
    }

    /// The elements of an array; null is as good as empty.
    pub(crate) fn array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, WireFault>,
    ) -> Result<Vec<T>, WireFault> {
        let len = match self.i32()? {
            -1 => 0,
            len => usize::try_from(len).map_err(|_| WireFault::Length(len.into()))?,
        };
        // Every element has at least one byte, so a larger number cannot be true.
        if len > self.rest.len() {
            return Err(WireFault::Length(len as i64));
        }
        (0..len).map(|_| element(self)).collect()
    }

    pub(crate) fn varint(&mut self) -> Result<i64, WireFault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(WireFault::Length(-1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            let mut encoder = Encoder::default();
            encoder.varint(value).i64(value);
            let mut decoder = Decoder::new(&encoder.bytes);
            prop_assert_eq!(decoder.varint(), Ok(value));
            prop_assert_eq!(decoder.i64(), Ok(value));
            prop_assert_eq!(decoder.remaining(), 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(&bytes);
            let _ = decoder.array(|element| Ok((element.text()?.len(), element.blob()?.len(), element.varint()?)));
            let _ = decoder.nullable_text();
        }
    }
}
