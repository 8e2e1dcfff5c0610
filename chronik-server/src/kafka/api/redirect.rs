//! KIP-951: the tagged fields that send a client to the leader without a metadata round trip.

use bytes::BytesMut;

use crate::kafka::wire::WireWriter;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct LeaderHint {
    pub(in crate::kafka) node: i32,
    pub(in crate::kafka) epoch: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Endpoint {
    pub(in crate::kafka) node: i32,
    pub(in crate::kafka) host: String,
    pub(in crate::kafka) port: u16,
    pub(in crate::kafka) rack: Option<String>,
}

/// The content of a partition's `current_leader`.
pub(super) fn leader(hint: LeaderHint) -> BytesMut {
    let mut out = WireWriter::new(BytesMut::new(), true);
    out.i32(hint.node).i32(hint.epoch).no_tags();
    out.into_bytes()
}

/// The content of a response's `node_endpoints`.
pub(super) fn endpoints(endpoints: &[Endpoint]) -> BytesMut {
    let mut out = WireWriter::new(BytesMut::new(), true);
    out.count(endpoints.len());
    for endpoint in endpoints {
        out.i32(endpoint.node).text(&endpoint.host).i32(endpoint.port.into());
        out.nullable_text(endpoint.rack.as_deref()).no_tags();
    }
    out.into_bytes()
}
