//! Produce responses of versions 3 to 12, in the order of the request's topics and partitions.

use crate::kafka::api::redirect::{self, Endpoint, LeaderHint};
use crate::kafka::error_code::ErrorCode;
use crate::kafka::header::Header;
use crate::kafka::response::{Response, begin};
use crate::kafka::wire::WireWriter;

/// What a partition's row takes without a message.
const ROW_BYTES: usize = 64;

#[derive(Debug)]
pub(super) struct TopicAnswer {
    pub(super) name: Box<str>,
    pub(super) partitions: Vec<PartitionAnswer>,
}

#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) index: i32,
    pub(super) error: ErrorCode,
    pub(super) base_offset: i64,
    /// -1 unless the topic's records carry the leader's time.
    pub(super) log_append_time_ms: i64,
    pub(super) log_start_offset: i64,
    pub(super) message: Option<String>,
    /// The record that made the whole batch invalid.
    pub(super) bad_record: Option<i32>,
    /// KIP-951: where the leader really is.
    pub(super) leader: Option<LeaderHint>,
}

impl PartitionAnswer {
    pub(super) fn failed(index: i32, error: ErrorCode, message: Option<String>) -> Self {
        PartitionAnswer {
            index,
            error,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            message,
            bad_record: None,
            leader: None,
        }
    }
}

pub(super) fn encode(header: &Header, topics: &[TopicAnswer], endpoints: &[Endpoint]) -> Response {
    let (version, flexible) = (header.version, header.version >= 9);
    let rows = topics
        .iter()
        .map(|topic| topic.name.len() + ROW_BYTES * (1 + topic.partitions.len()));
    let mut out = WireWriter::new(begin(header, flexible, rows.sum()), flexible);
    out.count(topics.len());
    for topic in topics {
        out.text(&topic.name).count(topic.partitions.len());
        topic
            .partitions
            .iter()
            .for_each(|partition| write_partition(&mut out, version, partition));
        out.no_tags();
    }
    out.i32(0);
    if version >= 10 && !endpoints.is_empty() {
        out.tags(&[(0, &redirect::endpoints(endpoints))]);
    } else {
        out.no_tags();
    }
    Response::finish(out.into_bytes(), Vec::new())
}

fn write_partition(out: &mut WireWriter, version: i16, row: &PartitionAnswer) {
    out.i32(row.index)
        .i16(row.error.number())
        .i64(row.base_offset)
        .i64(row.log_append_time_ms);
    if version >= 5 {
        out.i64(row.log_start_offset);
    }
    if version >= 8 {
        out.count(row.bad_record.iter().len());
        if let Some(position) = row.bad_record {
            out.i32(position)
                .nullable_text(row.message.as_deref())
                .no_tags();
        }
        out.nullable_text(row.message.as_deref());
    }
    match row.leader {
        Some(hint) if version >= 10 => _ = out.tags(&[(0, &redirect::leader(hint))]),
        _ => _ = out.no_tags(),
    }
}
