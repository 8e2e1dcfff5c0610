//! The hand-written fetch messages against the generated codec, in every version.

use bytes::{Bytes, BytesMut};
use chronik_core::ids::TopicId;
use kafka_protocol::messages::fetch_request::{self, ForgottenTopic};
use kafka_protocol::messages::{self, BrokerId, FetchResponse, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use uuid::Uuid;

use super::request::{FetchRequest, TopicKey};
use super::response::{PartitionAnswer, TopicAnswer, encode};
use crate::kafka::api::redirect::{Endpoint, LeaderHint};
use crate::kafka::error_code::ErrorCode;
use crate::kafka::header::Header;

const VERSIONS: std::ops::RangeInclusive<i16> = 4..=17;
const FLEXIBLE_FROM: i16 = 12;
const IDS_FROM: i16 = 13;
const ID: [u8; 16] = [5; 16];

#[test]
fn requests_are_read_in_every_version() {
    for version in VERSIONS {
        let mut frame = BytesMut::new();
        generated(version).encode(&mut frame, version).unwrap();
        let request = FetchRequest::decode(version, version >= FLEXIBLE_FROM, &frame).unwrap();
        assert_eq!(
            (request.max_wait_ms, request.min_bytes, request.max_bytes),
            (500, 1, 1 << 20)
        );
        assert!(request.read_committed);
        let session = if version >= 7 { (11, 12) } else { (0, -1) };
        assert_eq!((request.session_id, request.session_epoch), session);
        let topic = &request.topics[0];
        assert_eq!(topic.topic, key(version));
        let partition = &topic.partitions[0];
        assert_eq!(
            (partition.index, partition.fetch_offset, partition.max_bytes),
            (3, 1234, 4096)
        );
        assert_eq!(
            partition.current_leader_epoch,
            if version >= 9 { 6 } else { -1 }
        );
    }
}

#[test]
fn answers_are_what_the_generated_codec_reads() {
    for version in VERSIONS {
        let header = Header {
            key: 1,
            version,
            correlation_id: 9,
            client_id: None,
        };
        let response = encode(
            &header,
            ErrorCode::None,
            version % 2 == 0,
            answers(version),
            &[endpoint()],
        );
        let mut bytes: Bytes = response.chunks.concat().into();
        let prefix = bytes.split_to(if version >= FLEXIBLE_FROM { 9 } else { 8 });
        assert_eq!(
            prefix[..4],
            (bytes.len() as i32 + prefix.len() as i32 - 4).to_be_bytes()
        );
        let read = FetchResponse::decode(&mut bytes, version).unwrap();
        assert!(
            bytes.is_empty(),
            "version {version} leaves {} bytes",
            bytes.len()
        );
        let rows = &read.responses[0].partitions;
        assert_eq!(
            (
                rows[0].partition_index,
                rows[0].high_watermark,
                rows[0].last_stable_offset
            ),
            (3, 50, 50)
        );
        assert_eq!(rows[0].records.as_deref(), Some(&b"one, two"[..]));
        assert_eq!(rows[0].aborted_transactions.is_some(), version % 2 == 0);
        assert_eq!(
            rows[1].records.as_deref(),
            Some(&b""[..]),
            "empty, never null"
        );
        assert_eq!(rows[1].error_code, 6);
        if version >= 12 {
            assert_eq!(
                (
                    rows[1].current_leader.leader_id.0,
                    rows[1].current_leader.leader_epoch
                ),
                (2, 7)
            );
        }
        match version >= IDS_FROM {
            true => assert_eq!(read.responses[0].topic_id, Uuid::from_bytes(ID)),
            false => assert_eq!(read.responses[0].topic.as_str(), "topic"),
        }
        assert_eq!(read.node_endpoints.len(), usize::from(version >= 16));
    }
}

#[test]
fn records_are_chained_and_not_copied() {
    let header = Header {
        key: 1,
        version: 11,
        correlation_id: 9,
        client_id: None,
    };
    let answers = answers(11);
    let stored = answers[0].partitions[0].records.clone();
    let response = encode(&header, ErrorCode::None, false, answers, &[]);
    for batch in stored {
        assert!(
            response
                .chunks
                .iter()
                .any(|chunk| chunk.as_ptr() == batch.as_ptr())
        );
    }
}

fn generated(version: i16) -> messages::FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_partition(3)
        .with_fetch_offset(1234)
        .with_partition_max_bytes(4096)
        .with_current_leader_epoch(if version >= 9 { 6 } else { -1 });
    let name = || TopicName(StrBytes::from_static_str("topic"));
    let mut topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    let mut forgotten = ForgottenTopic::default().with_partitions(vec![1, 2]);
    match version >= IDS_FROM {
        true => {
            (topic, forgotten) = (
                topic.with_topic_id(Uuid::from_bytes(ID)),
                forgotten.with_topic_id(Uuid::from_bytes(ID)),
            )
        }
        false => (topic, forgotten) = (topic.with_topic(name()), forgotten.with_topic(name())),
    }
    let request = messages::FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(1)
        .with_topics(vec![topic]);
    match version >= 7 {
        true => request
            .with_session_id(11)
            .with_session_epoch(12)
            .with_forgotten_topics_data(vec![forgotten]),
        false => request,
    }
}

fn answers(version: i16) -> Vec<TopicAnswer> {
    let full = PartitionAnswer {
        high_watermark: 50,
        log_start_offset: 4,
        records: vec![Bytes::from_static(b"one, "), Bytes::from_static(b"two")],
        ..PartitionAnswer::failed(3, ErrorCode::None)
    };
    let moved = PartitionAnswer {
        leader: Some(LeaderHint { node: 2, epoch: 7 }),
        ..PartitionAnswer::failed(1, ErrorCode::NotLeaderOrFollower)
    };
    vec![TopicAnswer {
        topic: key(version),
        partitions: vec![full, moved],
    }]
}

fn key(version: i16) -> TopicKey {
    match version >= IDS_FROM {
        true => TopicKey::Id(TopicId(ID)),
        false => TopicKey::Name("topic".into()),
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        node: 2,
        host: "there".to_owned(),
        port: 9092,
        rack: Some("r".to_owned()),
    }
}
