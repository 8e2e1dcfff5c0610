//! The bytes of keys and values: big-endian numbers, i16 lengths before texts, i32 lengths before blobs, -1 for none.

use bytes::Bytes;

use super::{GroupMetadata, MemberMetadata, OffsetKey, OffsetValue, RecordError};

/// Versions 0 and 1 of a key both name an offset; 2 names a group.
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// The value version with an expiry, which later ones dropped.
const OFFSET_VALUE_EXPIRING: i16 = 1;
const OFFSET_VALUE: i16 = 3;
const GROUP_VALUE: i16 = 3;
/// What a member takes at least: three texts, two numbers, two blobs.
const MEMBER_BYTES_MIN: usize = 2 + 2 + 2 + 4 + 4 + 4;

pub(super) enum Key {
    Offset(OffsetKey),
    Group(String),
}

pub(super) fn offset_key(key: &OffsetKey) -> Bytes {
    let mut out = Writer::default();
    out.i16(OFFSET_KEY)
        .text(&key.group)
        .text(&key.topic)
        .i32(key.partition);
    out.finish()
}

pub(super) fn group_key(group: &str) -> Bytes {
    let mut out = Writer::default();
    out.i16(GROUP_KEY).text(group);
    out.finish()
}

pub(super) fn offset_value(value: &OffsetValue) -> Bytes {
    let mut out = Writer::default();
    match value.expires_at_ms {
        Some(expires_at_ms) => {
            out.i16(OFFSET_VALUE_EXPIRING)
                .i64(value.offset)
                .text(&value.metadata);
            out.i64(value.committed_at_ms).i64(expires_at_ms);
        }
        None => {
            out.i16(OFFSET_VALUE)
                .i64(value.offset)
                .i32(value.leader_epoch);
            out.text(&value.metadata).i64(value.committed_at_ms);
        }
    }
    out.finish()
}

pub(super) fn group_value(value: &GroupMetadata) -> Bytes {
    let mut out = Writer::default();
    out.i16(GROUP_VALUE)
        .text(&value.protocol_type)
        .i32(value.generation);
    out.optional_text(value.protocol_name.as_deref())
        .optional_text(value.leader.as_deref());
    out.i64(value.state_since_ms);
    out.i32(i32::try_from(value.members.len()).expect("a group has fewer than 2^31 members"));
    for member in &value.members {
        out.text(&member.member_id)
            .optional_text(member.instance_id.as_deref());
        out.text(&member.client_id).text(&member.client_host);
        out.i32(member.rebalance_timeout_ms)
            .i32(member.session_timeout_ms);
        out.blob(&member.subscription).blob(&member.assignment);
    }
    out.finish()
}

pub(super) fn read_key(bytes: &[u8]) -> Result<Key, RecordError> {
    let mut input = Reader::new(bytes);
    let key = match input.i16()? {
        0 | OFFSET_KEY => Key::Offset(OffsetKey {
            group: input.text()?,
            topic: input.text()?,
            partition: input.i32()?,
        }),
        GROUP_KEY => Key::Group(input.text()?),
        version => {
            return Err(RecordError::Version {
                what: "key",
                version,
            });
        }
    };
    input.end()?;
    Ok(key)
}

pub(super) fn read_offset_value(bytes: &[u8]) -> Result<OffsetValue, RecordError> {
    let mut input = Reader::new(bytes);
    let version = input.i16()?;
    if !(0..=OFFSET_VALUE).contains(&version) {
        return Err(RecordError::Version {
            what: "offset",
            version,
        });
    }
    let value = OffsetValue {
        offset: input.i64()?,
        leader_epoch: if version >= 3 { input.i32()? } else { -1 },
        metadata: input.text()?,
        committed_at_ms: input.i64()?,
        expires_at_ms: if version == OFFSET_VALUE_EXPIRING {
            Some(input.i64()?).filter(|at| *at >= 0)
        } else {
            None
        },
    };
    input.end()?;
    Ok(value)
}

pub(super) fn read_group_value(bytes: &[u8]) -> Result<GroupMetadata, RecordError> {
    let mut input = Reader::new(bytes);
    let version = input.i16()?;
    if !(0..=GROUP_VALUE).contains(&version) {
        return Err(RecordError::Version {
            what: "group",
            version,
        });
    }
    let value = GroupMetadata {
        protocol_type: input.text()?,
        generation: input.i32()?,
        protocol_name: input.optional_text()?,
        leader: input.optional_text()?,
        state_since_ms: if version >= 2 { input.i64()? } else { -1 },
        members: read_members(&mut input, version)?,
    };
    input.end()?;
    Ok(value)
}

fn read_members(input: &mut Reader<'_>, version: i16) -> Result<Vec<MemberMetadata>, RecordError> {
    let count = input.i32()?;
    let count = usize::try_from(count).map_err(|_| RecordError::Length(count))?;
    input.require(count.saturating_mul(MEMBER_BYTES_MIN))?;
    (0..count).map(|_| read_member(input, version)).collect()
}

fn read_member(input: &mut Reader<'_>, version: i16) -> Result<MemberMetadata, RecordError> {
    let member_id = input.text()?;
    let instance_id = if version >= 3 {
        input.optional_text()?
    } else {
        None
    };
    let (client_id, client_host) = (input.text()?, input.text()?);
    let rebalance_timeout_ms = if version >= 1 {
        Some(input.i32()?)
    } else {
        None
    };
    let session_timeout_ms = input.i32()?;
    Ok(MemberMetadata {
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription: input.blob()?,
        assignment: input.blob()?,
    })
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).expect("the coordinator refuses longer texts"));
        self.raw(text.as_bytes())
    }

    fn optional_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.i16(-1),
        }
    }

    fn blob(&mut self, blob: &[u8]) -> &mut Self {
        self.i32(i32::try_from(blob.len()).expect("a blob came in a frame, which is smaller"));
        self.raw(blob)
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn finish(self) -> Bytes {
        Bytes::from(self.bytes)
    }
}

/// Never allocates for a length that the bytes at hand do not cover.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    fn i16(&mut self) -> Result<i16, RecordError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, RecordError> {
        self.optional_text()?.ok_or(RecordError::Length(-1))
    }

    fn optional_text(&mut self) -> Result<Option<String>, RecordError> {
        let len = self.i16()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| RecordError::Length(len.into()))?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| RecordError::NotText)?;
        Ok(Some(text.to_owned()))
    }

    fn blob(&mut self) -> Result<Bytes, RecordError> {
        let len = self.i32()?;
        let len = usize::try_from(len).map_err(|_| RecordError::Length(len))?;
        Ok(Bytes::copy_from_slice(self.take(len)?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take returns exactly N bytes"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        self.require(len)?;
        let (taken, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        Ok(taken)
    }

    fn require(&self, needed: usize) -> Result<(), RecordError> {
        let left = self.bytes.len();
        if needed > left {
            Err(RecordError::Short { needed, left })
        } else {
            Ok(())
        }
    }

    fn end(&self) -> Result<(), RecordError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(RecordError::Trailing(left)),
        }
    }
}
