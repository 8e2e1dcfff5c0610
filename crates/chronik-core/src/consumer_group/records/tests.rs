//! Records survive a round trip, Kafka's own bytes are understood, and no bytes panic.

use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9äß._-]{0,24}"
}

fn blob() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn offset() -> impl Strategy<Value = Record> {
    let key = (text(), text(), any::<i32>());
    let value = (
        any::<i64>(),
        any::<i32>(),
        text(),
        any::<i64>(),
        prop::option::of(0..i64::MAX),
    );
    (key, prop::option::of(value)).prop_map(|((group, topic, partition), value)| Record::Offset {
        key: OffsetKey {
            group,
            topic,
            partition,
        },
        value: value.map(
            |(offset, epoch, metadata, committed_at_ms, expires_at_ms)| OffsetValue {
                offset,
                // The version that carries an expiry has no room for an epoch.
                leader_epoch: if expires_at_ms.is_some() { -1 } else { epoch },
                metadata,
                committed_at_ms,
                expires_at_ms,
            },
        ),
    })
}

fn member() -> impl Strategy<Value = MemberMetadata> {
    let names = (text(), prop::option::of(text()), text(), text());
    (names, any::<i32>(), any::<i32>(), blob(), blob()).prop_map(
        |(
            (member_id, instance_id, client_id, client_host),
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription,
            assignment,
        )| {
            MemberMetadata {
                member_id,
                instance_id,
                client_id,
                client_host,
                rebalance_timeout_ms,
                session_timeout_ms,
                subscription,
                assignment,
            }
        },
    )
}

fn group() -> impl Strategy<Value = Record> {
    let members = prop::collection::vec(member(), 0..5);
    let value = (
        text(),
        any::<i32>(),
        prop::option::of(text()),
        prop::option::of(text()),
        any::<i64>(),
        members,
    );
    (text(), prop::option::of(value)).prop_map(|(group, value)| Record::Group {
        group,
        value: value.map(
            |(protocol_type, generation, protocol_name, leader, state_since_ms, members)| {
                GroupMetadata {
                    protocol_type,
                    generation,
                    protocol_name,
                    leader,
                    state_since_ms,
                    members,
                }
            },
        ),
    })
}

proptest! {
    #[test]
    fn a_record_survives_the_round_trip(record in prop_oneof![offset(), group()]) {
        let raw = record.encode();
        prop_assert_eq!(Record::decode(&raw.key, raw.value.as_deref()), Ok(record));
    }

    #[test]
    fn no_bytes_panic(key in prop::collection::vec(any::<u8>(), 0..64), value in prop::collection::vec(any::<u8>(), 0..256)) {
        _ = Record::decode(&key, Some(&value));
        _ = codec::read_offset_value(&value);
        _ = codec::read_group_value(&value);
    }

    #[test]
    fn a_damaged_record_is_an_error_or_another_record(record in prop_oneof![offset(), group()], at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let raw = record.encode();
        let mut value = raw.value.unwrap_or_default().to_vec();
        if !value.is_empty() {
            let at = at.index(value.len());
            value[at] = with;
            value.truncate(value.len() - usize::from(with % 3 == 0));
        }
        _ = Record::decode(&raw.key, Some(&value));
    }
}

/// Written down from the message definitions of Kafka: `OffsetCommitKey` 1, `OffsetCommitValue` 3.
#[test]
fn an_offset_has_the_bytes_of_kafka() {
    let key = OffsetKey {
        group: "g".into(),
        topic: "tt".into(),
        partition: 3,
    };
    let value = OffsetValue {
        offset: 5,
        leader_epoch: 7,
        metadata: "m".into(),
        committed_at_ms: 9,
        expires_at_ms: None,
    };
    let raw = Record::Offset {
        key,
        value: Some(value),
    }
    .encode();
    assert_eq!(&raw.key[..], b"\x00\x01\x00\x01g\x00\x02tt\x00\x00\x00\x03");
    assert_eq!(
        &raw.value.unwrap()[..],
        b"\x00\x03\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x07\x00\x01m\x00\x00\x00\x00\x00\x00\x00\x09"
    );
}

#[test]
fn a_huge_member_count_is_refused_before_anything_is_reserved() {
    let raw = Record::Group {
        group: "g".into(),
        value: Some(GroupMetadata {
            protocol_type: "consumer".into(),
            generation: 1,
            protocol_name: None,
            leader: None,
            state_since_ms: 0,
            members: Vec::new(),
        }),
    };
    let mut value = raw.encode().value.unwrap().to_vec();
    let count_at = value.len() - 4;
    value[count_at..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        codec::read_group_value(&value),
        Err(RecordError::Short { .. })
    ));
}
