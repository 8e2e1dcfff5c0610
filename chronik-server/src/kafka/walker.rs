//! Walks a request's bytes along its schema before any decoder sees them.
//!
//! The generated decoders reserve memory from counts on the wire. A walk proves first that every count is backed by
//! bytes that are really there, and that the decoded form costs no more than the frame can justify.

use super::schema::REQUESTS;

/// What the decoded form may cost: this often the frame's length plus [`DECODED_SLACK_BYTES`].
const DECODED_FACTOR: u64 = 2;
/// Small frames may cost this much whatever their length.
const DECODED_SLACK_BYTES: u64 = 4 << 20;
/// What one tagged field that no schema knows costs inside the decoder's map.
const UNKNOWN_TAG_BYTES: u64 = 96;
/// The upper end of version ranges without one.
pub(super) const NEWEST: i16 = i16::MAX;

/// Why a request's bytes were refused before decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WalkError {
    #[error("{needed} bytes were announced, {left} are left")]
    Short { needed: u64, left: u64 },
    #[error("a value that must be present is null")]
    Null,
    #[error("a variable-length number is longer than five bytes")]
    Varint,
    #[error("a tagged field is longer or shorter than announced")]
    TagLength,
    #[error("the decoded request would take more than {allowed} bytes")]
    Memory { allowed: u64 },
    #[error("no schema for this request")]
    NoSchema,
}

/// One request's layout.
pub(super) struct RequestSchema {
    pub(super) key: i16,
    pub(super) flexible_from: i16,
    pub(super) body: &'static Struct,
}

/// A row of fields.
pub(super) struct Struct {
    pub(super) fields: &'static [Field],
}

/// One field, the versions that carry it, and how.
#[derive(Clone, Copy)]
pub(super) struct Field {
    present: Versions,
    nullable: Versions,
    tagged: Versions,
    tag: u32,
    kind: Kind,
}

/// An inclusive range of versions.
#[derive(Clone, Copy)]
pub(super) struct Versions {
    min: i16,
    max: i16,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A number of bytes that never changes.
    Fixed(usize),
    String,
    Bytes,
    /// Elements of a kind, each taking so much memory when decoded.
    Array(&'static Kind, u64),
    Struct(&'static Struct),
}

pub(super) const fn between(min: i16, max: i16) -> Versions {
    Versions { min, max }
}

pub(super) const fn field(present: Versions, kind: Kind) -> Field {
    const NEVER: Versions = between(1, 0);
    Field {
        present,
        nullable: NEVER,
        tagged: NEVER,
        tag: 0,
        kind,
    }
}

impl Field {
    pub(super) const fn nullable(mut self, versions: Versions) -> Field {
        self.nullable = versions;
        self
    }

    pub(super) const fn tagged(mut self, versions: Versions, tag: u32) -> Field {
        self.tagged = versions;
        self.tag = tag;
        self
    }
}

impl Versions {
    const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

pub(super) fn schema(key: i16) -> Option<&'static RequestSchema> {
    let row = REQUESTS
        .binary_search_by_key(&key, |request| request.key)
        .ok()?;
    Some(&REQUESTS[row])
}

/// Checks a request body; returns how many bytes the schema accounts for.
pub(super) fn walk(key: i16, version: i16, body: &[u8]) -> Result<usize, WalkError> {
    let request = schema(key).ok_or(WalkError::NoSchema)?;
    let allowed = DECODED_FACTOR * body.len() as u64 + DECODED_SLACK_BYTES;
    let flexible = version >= request.flexible_from;
    let mut walk = Walk {
        rest: body,
        version,
        flexible,
        allowed,
        memory_left: allowed,
    };
    walk.fields(request.body)?;
    Ok(body.len() - walk.rest.len())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    allowed: u64,
    memory_left: u64,
}

impl Walk<'_> {
    fn fields(&mut self, layout: &'static Struct) -> Result<(), WalkError> {
        for field in layout.fields {
            if field.present.contains(self.version) && !field.tagged.contains(self.version) {
                self.value(field.kind, field.nullable.contains(self.version))?;
            }
        }
        if self.flexible {
            self.tags(layout)
        } else {
            Ok(())
        }
    }

    fn tags(&mut self, layout: &'static Struct) -> Result<(), WalkError> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let len = u64::from(self.varint()?);
            self.need(len)?;
            let known = layout
                .fields
                .iter()
                .find(|field| field.tag == tag && field.tagged.contains(self.version));
            match known {
                Some(field) => {
                    let left_before = self.rest.len() as u64;
                    self.value(field.kind, field.nullable.contains(self.version))?;
                    if left_before - self.rest.len() as u64 != len {
                        return Err(WalkError::TagLength);
                    }
                }
                None => {
                    self.charge(UNKNOWN_TAG_BYTES)?;
                    self.skip(len)?;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, nullable: bool) -> Result<(), WalkError> {
        match kind {
            Kind::Fixed(len) => self.skip(len as u64),
            Kind::Struct(layout) => self.fields(layout),
            Kind::String => {
                let len = if self.flexible {
                    self.compact_len()?
                } else {
                    self.int16_len()?
                };
                self.slice(len, nullable)
            }
            Kind::Bytes => {
                let len = if self.flexible {
                    self.compact_len()?
                } else {
                    self.int32_len()?
                };
                self.slice(len, nullable)
            }
            Kind::Array(element, memory) => {
                let count = if self.flexible {
                    self.compact_len()?
                } else {
                    self.int32_len()?
                };
                self.array(count, nullable, *element, memory)
            }
        }
    }

    fn slice(&mut self, len: Option<u64>, nullable: bool) -> Result<(), WalkError> {
        match len {
            Some(len) => self.skip(len),
            None if nullable => Ok(()),
            None => Err(WalkError::Null),
        }
    }

    fn array(
        &mut self,
        count: Option<u64>,
        nullable: bool,
        element: Kind,
        memory: u64,
    ) -> Result<(), WalkError> {
        let Some(count) = count else {
            return if nullable {
                Ok(())
            } else {
                Err(WalkError::Null)
            };
        };
        // Every element takes at least a byte, and the decoder reserves for all of them at once.
        self.need(count)?;
        self.charge(count.saturating_mul(memory))?;
        for _ in 0..count {
            self.value(element, false)?;
        }
        Ok(())
    }

    fn compact_len(&mut self) -> Result<Option<u64>, WalkError> {
        Ok(u64::from(self.varint()?).checked_sub(1))
    }

    fn int16_len(&mut self) -> Result<Option<u64>, WalkError> {
        let bytes = self.take::<2>()?;
        negative_is_null(i16::from_be_bytes(bytes).into())
    }

    fn int32_len(&mut self) -> Result<Option<u64>, WalkError> {
        let bytes = self.take::<4>()?;
        negative_is_null(i32::from_be_bytes(bytes).into())
    }

    fn varint(&mut self) -> Result<u32, WalkError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WalkError::Varint)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WalkError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(WalkError::Short {
            needed: N as u64,
            left: self.rest.len() as u64,
        })?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn skip(&mut self, len: u64) -> Result<(), WalkError> {
        self.need(len)?;
        self.rest = &self.rest[len as usize..];
        Ok(())
    }

    fn need(&self, needed: u64) -> Result<(), WalkError> {
        let left = self.rest.len() as u64;
        if needed > left {
            Err(WalkError::Short { needed, left })
        } else {
            Ok(())
        }
    }

    fn charge(&mut self, memory: u64) -> Result<(), WalkError> {
        let left = self.memory_left.checked_sub(memory);
        self.memory_left = left.ok_or(WalkError::Memory {
            allowed: self.allowed,
        })?;
        Ok(())
    }
}

fn negative_is_null(len: i64) -> Result<Option<u64>, WalkError> {
    match len {
        -1 => Ok(None),
        len => u64::try_from(len).map(Some).map_err(|_| WalkError::Null),
    }
}
