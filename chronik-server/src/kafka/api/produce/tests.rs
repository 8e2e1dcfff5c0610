//! The hand-written produce messages against the generated codec, in every version.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{self, ProduceResponse, TopicName, TransactionalId};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::request::ProduceRequest;
use super::response::{PartitionAnswer, TopicAnswer, encode};
use crate::kafka::api::redirect::{Endpoint, LeaderHint};
use crate::kafka::error_code::ErrorCode;
use crate::kafka::header::Header;

const VERSIONS: std::ops::RangeInclusive<i16> = 3..=12;
const FLEXIBLE_FROM: i16 = 9;

#[test]
fn requests_are_cut_into_buffers_of_their_own() {
    for version in VERSIONS {
        let mut frame = BytesMut::new();
        generated().encode(&mut frame, version).unwrap();
        let request = ProduceRequest::decode(version >= FLEXIBLE_FROM, &mut frame).unwrap();
        assert_eq!(request.transactional_id.as_deref(), Some("t"));
        assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
        let mut topics = request.topics.into_iter();
        let first = topics.next().unwrap();
        assert_eq!(&*first.name, "first");
        let records: Vec<(i32, Option<BytesMut>)> = first
            .partitions
            .into_iter()
            .map(|data| (data.index, data.records))
            .collect();
        let expected = [
            (4, Some(&b"four"[..])),
            (0, None),
            (2, Some(&[7; 5000][..])),
        ];
        for ((index, records), (expected_index, expected)) in records.iter().zip(expected) {
            assert_eq!(
                (*index, records.as_deref()),
                (expected_index, expected),
                "version {version}"
            );
        }
        let second = topics.next().unwrap();
        assert_eq!((&*second.name, second.partitions.len()), ("second", 0));
        assert!(topics.next().is_none());
    }
}

#[test]
fn answers_are_what_the_generated_codec_reads() {
    for version in VERSIONS {
        let header = Header {
            key: 0,
            version,
            correlation_id: 9,
            client_id: None,
        };
        let response = encode(&header, &answers(), &[endpoint()]);
        let mut bytes: Bytes = response.chunks.concat().into();
        let prefix = bytes.split_to(if version >= FLEXIBLE_FROM { 9 } else { 8 });
        assert_eq!(
            prefix[..4],
            (bytes.len() as i32 + prefix.len() as i32 - 4).to_be_bytes()
        );
        let read = ProduceResponse::decode(&mut bytes, version).unwrap();
        assert!(
            bytes.is_empty(),
            "version {version} leaves {} bytes",
            bytes.len()
        );
        let rows = &read.responses[0].partition_responses;
        assert_eq!(read.responses[0].name.as_str(), "first");
        assert_eq!(
            (rows[0].index, rows[0].error_code, rows[0].base_offset),
            (4, 0, 1000)
        );
        assert_eq!(rows[0].log_append_time_ms, 77);
        assert_eq!(rows[0].log_start_offset, if version >= 5 { 10 } else { -1 });
        assert_eq!(
            (rows[1].index, rows[1].error_code, rows[1].base_offset),
            (2, 6, -1)
        );
        if version >= 8 {
            assert_eq!(rows[1].error_message.as_deref(), Some("elsewhere"));
            assert_eq!(rows[2].record_errors[0].batch_index, 3);
        }
        if version >= 10 {
            assert_eq!(
                (
                    rows[1].current_leader.leader_id.0,
                    rows[1].current_leader.leader_epoch
                ),
                (3, 8)
            );
            assert_eq!(read.node_endpoints[0].host.as_str(), "there");
        }
    }
}

fn generated() -> messages::ProduceRequest {
    let data = |index: i32, records: Option<&[u8]>| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(records.map(Bytes::copy_from_slice))
    };
    let topic = |name: &'static str, data: Vec<PartitionProduceData>| {
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_partition_data(data)
    };
    messages::ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("t"))))
        .with_acks(-1)
        .with_timeout_ms(1500)
        .with_topic_data(vec![
            topic(
                "first",
                vec![
                    data(4, Some(b"four")),
                    data(0, None),
                    data(2, Some(&[7; 5000])),
                ],
            ),
            topic("second", Vec::new()),
        ])
}

fn answers() -> Vec<TopicAnswer> {
    let accepted = PartitionAnswer {
        base_offset: 1000,
        log_append_time_ms: 77,
        log_start_offset: 10,
        ..PartitionAnswer::failed(4, ErrorCode::None, None)
    };
    let moved = PartitionAnswer {
        leader: Some(LeaderHint { node: 3, epoch: 8 }),
        ..PartitionAnswer::failed(
            2,
            ErrorCode::NotLeaderOrFollower,
            Some("elsewhere".to_owned()),
        )
    };
    let invalid = PartitionAnswer {
        bad_record: Some(3),
        ..PartitionAnswer::failed(1, ErrorCode::InvalidRecord, Some("no key".to_owned()))
    };
    vec![TopicAnswer {
        name: "first".into(),
        partitions: vec![accepted, moved, invalid],
    }]
}

fn endpoint() -> Endpoint {
    Endpoint {
        node: 3,
        host: "there".to_owned(),
        port: 9092,
        rack: None,
    }
}
