//! The fixed fields in front of every request, read by hand because they come before any version is known.

use super::wire::{WireError, WireReader};

/// What a client says about itself and its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Box<str>>,
}

/// The three numbers that every version of every request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl Opening {
    pub(super) const LEN: usize = 8;

    pub(super) fn read(frame: &[u8]) -> Result<Opening, WireError> {
        let mut input = WireReader::new(frame, false);
        Ok(Opening {
            key: input.i16()?,
            version: input.i16()?,
            correlation_id: input.i32()?,
        })
    }

    /// Reads the rest of the header; returns how many bytes it takes altogether.
    pub(super) fn complete(
        self,
        frame: &[u8],
        flexible: bool,
    ) -> Result<(Header, usize), WireError> {
        let rest = &frame[Opening::LEN..];
        // The client id keeps its old encoding in flexible headers; only tagged fields come after it.
        let mut input = WireReader::new(rest, false);
        let client_id = input.nullable_text()?.map(Box::from);
        let mut tags = WireReader::new(&rest[rest.len() - input.remaining()..], flexible);
        tags.skip_tags()?;
        let Opening {
            key,
            version,
            correlation_id,
        } = self;
        Ok((
            Header {
                key,
                version,
                correlation_id,
                client_id,
            },
            frame.len() - tags.remaining(),
        ))
    }
}
