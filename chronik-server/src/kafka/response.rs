//! A response on its way out: length, correlation id and body as chunks that one vectored write sends.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use tokio::sync::OwnedSemaphorePermit;

use super::budget::Share;
use super::header::Header;

/// The length prefix and the correlation id.
const PREFIX_BYTES: usize = 8;

/// Everything that one request is answered with.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) chunks: Vec<Bytes>,
    pub(super) hold: Option<Hold>,
}

/// What an answer with records keeps until it is written: its connection's turn, and its part of the node's memory.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) _turn: OwnedSemaphorePermit,
    pub(super) _share: Option<Share>,
}

/// A response that the codec refused to write: a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("API {key} version {version}: {reason}")]
pub(super) struct Unencodable {
    key: i16,
    version: i16,
    reason: String,
}

impl Response {
    /// Encodes a response of the generated codec.
    pub(super) fn encode<T: Encodable + HeaderVersion>(
        header: &Header,
        body: &T,
    ) -> Result<Response, Unencodable> {
        let version = header.version;
        let encode = || -> Result<BytesMut, String> {
            let size = body
                .compute_size(version)
                .map_err(|error| format!("{error:#}"))?;
            let mut bytes = begin(header, T::header_version(version) > 0, size);
            body.encode(&mut bytes, version)
                .map_err(|error| format!("{error:#}"))?;
            Ok(bytes)
        };
        let bytes = encode().map_err(|reason| Unencodable {
            key: header.key,
            version,
            reason,
        })?;
        Ok(Response::finish(bytes, Vec::new()))
    }

    /// Completes a response that [`begin`] began; `rest` follows the first chunk as it is.
    pub(super) fn finish(mut first: BytesMut, rest: Vec<Bytes>) -> Response {
        let len = first.len() - 4 + rest.iter().map(Bytes::len).sum::<usize>();
        let len = i32::try_from(len).expect("responses stay below 2 GiB");
        first[..4].copy_from_slice(&len.to_be_bytes());
        let mut chunks = Vec::with_capacity(1 + rest.len());
        chunks.push(first.freeze());
        chunks.extend(rest);
        Response { chunks, hold: None }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// A buffer with room for `body_bytes`, beginning with the length (filled in later) and the response header.
pub(super) fn begin(header: &Header, flexible: bool, body_bytes: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + 1 + body_bytes);
    bytes.put_i32(0);
    bytes.put_i32(header.correlation_id);
    if flexible {
        bytes.put_u8(0);
    }
    bytes
}
