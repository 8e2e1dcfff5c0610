//! KIP-951: the tagged fields that send a client to the leader without a metadata round trip.

use bytes::BytesMut;
use chronik_core::ids::NodeId;

use crate::broker::Hint;
use crate::kafka::call::Call;
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

/// What a client is told of a leader; nothing if nobody is known to lead.
pub(super) fn hint(hint: Hint) -> Option<LeaderHint> {
    let node = hint.leader?.0 as i32;
    Some(LeaderHint {
        node,
        epoch: hint.epoch,
    })
}

/// Where the nodes of the hints can be reached, each once.
pub(super) fn endpoints_of(call: &Call, hints: impl Iterator<Item = LeaderHint>) -> Vec<Endpoint> {
    let mut nodes: Vec<i32> = hints.map(|hint| hint.node).collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    nodes.sort_unstable();
    nodes.dedup();
    let view = call.broker().view();
    let find = |node: i32| {
        let known = view.catalog.nodes.get(&NodeId(node as u64))?;
        let (host, port, rack) = (
            known.kafka_host.clone(),
            known.kafka_port,
            known.rack.clone(),
        );
        Some(Endpoint {
            node,
            host,
            port,
            rack,
        })
    };
    nodes.into_iter().filter_map(find).collect()
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
        out.i32(endpoint.node)
            .text(&endpoint.host)
            .i32(endpoint.port.into());
        out.nullable_text(endpoint.rack.as_deref()).no_tags();
    }
    out.into_bytes()
}
