//! Fetch responses of versions 4 to 17: a skeleton of fields with the stored batches chained in between, uncopied.

use bytes::{Bytes, BytesMut};

use super::request::TopicKey;
use crate::kafka::api::redirect::{self, Endpoint, LeaderHint};
use crate::kafka::error_code::ErrorCode;
use crate::kafka::header::Header;
use crate::kafka::response::{Response, begin};
use crate::kafka::wire::WireWriter;

/// What a partition's row takes without its records.
const ROW_BYTES: usize = 64;
/// The one who was asked is as good as any other.
const NO_PREFERRED_REPLICA: i32 = -1;

#[derive(Debug)]
pub(super) struct TopicAnswer {
    pub(super) topic: TopicKey,
    pub(super) partitions: Vec<PartitionAnswer>,
}

#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) index: i32,
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) log_start_offset: i64,
    /// Whole batches in the order of their offsets.
    pub(super) records: Vec<Bytes>,
    pub(super) leader: Option<LeaderHint>,
    /// Another replica that is nearer to the client.
    pub(super) preferred: Option<i32>,
}

impl PartitionAnswer {
    pub(super) fn failed(index: i32, error: ErrorCode) -> Self {
        let records = Vec::new();
        PartitionAnswer {
            index,
            error,
            high_watermark: -1,
            log_start_offset: -1,
            records,
            leader: None,
            preferred: None,
        }
    }

    /// Nothing from here: another replica is nearer.
    pub(super) fn elsewhere(index: i32, preferred: i32) -> Self {
        PartitionAnswer {
            preferred: Some(preferred),
            ..PartitionAnswer::failed(index, ErrorCode::None)
        }
    }

    pub(super) fn record_bytes(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

pub(super) fn encode(
    header: &Header,
    error: ErrorCode,
    read_committed: bool,
    topics: Vec<TopicAnswer>,
    endpoints: &[Endpoint],
) -> Response {
    let (version, flexible) = (header.version, header.version >= 12);
    let skeleton_bytes = topics
        .iter()
        .map(|topic| ROW_BYTES * (4 + topic.partitions.len()))
        .sum();
    let mut out = Skeleton::new(WireWriter::new(
        begin(header, flexible, skeleton_bytes),
        flexible,
    ));
    out.fields.i32(0);
    if version >= 7 {
        out.fields.i16(error.number()).i32(0);
    }
    out.fields.count(topics.len());
    for topic in topics {
        match topic.topic {
            TopicKey::Name(name) => _ = out.fields.text(&name),
            TopicKey::Id(id) => _ = out.fields.uuid(id.0),
        }
        out.fields.count(topic.partitions.len());
        topic
            .partitions
            .into_iter()
            .for_each(|row| write_partition(&mut out, version, read_committed, row));
        out.fields.no_tags();
    }
    if version >= 16 && !endpoints.is_empty() {
        out.fields.tags(&[(0, &redirect::endpoints(endpoints))]);
    } else {
        out.fields.no_tags();
    }
    out.finish()
}

fn write_partition(out: &mut Skeleton, version: i16, read_committed: bool, row: PartitionAnswer) {
    let fields = &mut out.fields;
    // Without transactions the last stable offset is the high watermark.
    fields
        .i32(row.index)
        .i16(row.error.number())
        .i64(row.high_watermark)
        .i64(row.high_watermark);
    if version >= 5 {
        fields.i64(row.log_start_offset);
    }
    if read_committed {
        fields.count(0)
    } else {
        fields.null_array()
    };
    if version >= 11 {
        fields.i32(row.preferred.unwrap_or(NO_PREFERRED_REPLICA));
    }
    // Zero length where there is nothing: null would be a protocol error for librdkafka.
    fields.count(row.record_bytes());
    out.chain(row.records);
    match row.leader {
        Some(hint) if version >= 12 => _ = out.fields.tags(&[(1, &redirect::leader(hint))]),
        _ => _ = out.fields.no_tags(),
    }
}

/// Fields written so far, and the chunks that are complete.
struct Skeleton {
    fields: WireWriter,
    first: Option<BytesMut>,
    rest: Vec<Bytes>,
}

impl Skeleton {
    fn new(fields: WireWriter) -> Self {
        Skeleton {
            fields,
            first: None,
            rest: Vec::new(),
        }
    }

    fn chain(&mut self, records: Vec<Bytes>) {
        if records.is_empty() {
            return;
        }
        self.close_chunk();
        self.rest.extend(records);
    }

    fn close_chunk(&mut self) {
        let chunk = self.fields.split();
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.rest.push(chunk.freeze()),
        }
    }

    fn finish(mut self) -> Response {
        self.close_chunk();
        let first = self.first.expect("a response has at least its length");
        Response::finish(first, self.rest)
    }
}
