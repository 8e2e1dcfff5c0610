//! Every served version decodes what the walk lets through, and hostile bytes cost little and never panic.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::dispatch::{self, Refused};
use super::header::Header;
use super::response::Response;
use super::versions;
use super::walker::{self, WalkError};

/// A request's frame: header in the right encoding, then the body.
pub(super) fn frame(key: i16, version: i16, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    if version >= dispatch::flexible_from(key) {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame
}

#[test]
fn every_row_has_a_schema_a_decoder_and_its_place() {
    let keys: Vec<i16> = versions::ROWS.iter().map(|row| row.api as i16).collect();
    assert!(
        keys.is_sorted_by(|a, b| a < b),
        "rows are found by binary search"
    );
    let by_hand = 3;
    assert_eq!(
        versions::ROWS.len(),
        dispatch::GENERATED.len() + by_hand,
        "a handler without a row is never called"
    );
    for (key, version) in dispatch::served() {
        assert!(walker::schema(key).is_some(), "API {key}");
        let refused = dispatch::decode(frame(key, version, &[])).map(drop);
        // An empty body is legal for the few requests that have nothing to say.
        assert!(
            !matches!(refused, Err(Refused::NotServed { .. })),
            "API {key} version {version}: {refused:?}"
        );
    }
}

#[test]
fn zeros_decode_in_every_version() {
    for (key, version) in dispatch::served() {
        let decoded = dispatch::decode(frame(key, version, &[0; 64]));
        let may_be_null = matches!(&decoded, Err(Refused::Body { source, .. }) if source.to_string().contains("null"));
        assert!(
            decoded.is_ok() || may_be_null,
            "API {key} version {version}: {decoded:?}"
        );
    }
}

#[test]
fn unknown_keys_and_versions_close_the_connection_but_api_versions_answers() {
    for (key, version) in [
        (4, 0),
        (1000, 0),
        (-1, 0),
        (0, 2),
        (0, 13),
        (1, 3),
        (3, 13),
        (i16::MAX, i16::MAX),
    ] {
        assert!(matches!(
            dispatch::decode(frame(key, version, &[])),
            Err(Refused::NotServed { .. })
        ));
    }
    for version in [5, 99, i16::MAX] {
        let (header, _) = dispatch::decode(frame(18, version, b"anything"))
            .unwrap()
            .into_parts();
        assert_eq!(
            header,
            Header {
                key: 18,
                version: 0,
                correlation_id: 7,
                client_id: None
            }
        );
    }
}

#[test]
fn counts_without_bytes_are_refused_before_anything_is_reserved() {
    for (key, version) in dispatch::served() {
        for count in [
            &[0x7f, 0xff, 0xff, 0xff][..],
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff; 12],
        ] {
            for position in 0..24 {
                let mut body = vec![0; position];
                body.extend(count);
                let _ = dispatch::decode(frame(key, version, &body));
            }
        }
    }
}

#[test]
fn elements_that_grow_when_decoded_are_bounded() {
    // Metadata version 9: each topic is a name of one byte and no tags, three bytes that would become over seventy.
    let mut body = vec![0xff, 0xff, 0xff, 0x03];
    body.resize(body.len() + (8 << 20), 0);
    let walked = walker::walk(3, 9, &body);
    assert!(
        matches!(walked, Err(WalkError::Memory { .. })),
        "{walked:?}"
    );
}

#[test]
fn default_responses_encode_in_every_version() {
    use kafka_protocol::messages::*;
    fn check<
        T: Default + kafka_protocol::protocol::Encodable + kafka_protocol::protocol::HeaderVersion,
    >(
        key: ApiKey,
    ) {
        let row = versions::find(key as i16).unwrap_or_else(|| panic!("{key:?} has no row"));
        for version in row
            .shown
            .clone()
            .filter(|version| row.served.contains(version))
        {
            let header = Header {
                key: key as i16,
                version,
                correlation_id: 7,
                client_id: None,
            };
            let response = Response::encode(&header, &T::default()).unwrap();
            let bytes: Vec<u8> = response.chunks.iter().flatten().copied().collect();
            assert_eq!(bytes[..4], (bytes.len() as i32 - 4).to_be_bytes());
            assert_eq!(bytes[4..8], 7i32.to_be_bytes());
        }
    }
    check::<ListOffsetsResponse>(ApiKey::ListOffsets);
    check::<MetadataResponse>(ApiKey::Metadata);
    check::<ApiVersionsResponse>(ApiKey::ApiVersions);
    check::<CreateTopicsResponse>(ApiKey::CreateTopics);
    check::<DeleteTopicsResponse>(ApiKey::DeleteTopics);
    check::<DescribeConfigsResponse>(ApiKey::DescribeConfigs);
    check::<DescribeLogDirsResponse>(ApiKey::DescribeLogDirs);
    check::<DescribeClusterResponse>(ApiKey::DescribeCluster);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bodies_never_panic(row in 0..versions::ROWS.len(), pick: prop::sample::Index, body: Vec<u8>) {
        let row = &versions::ROWS[row];
        let versions: Vec<i16> = row.served.clone().collect();
        let _ = dispatch::decode(frame(row.api as i16, *pick.get(&versions), &body));
    }

    /// Mostly zeros and small numbers: such bytes come far into a request.
    #[test]
    fn what_the_walk_lets_through_the_decoder_reads_to_the_same_place(
        row in 0..versions::ROWS.len(),
        pick: prop::sample::Index,
        body in prop::collection::vec(prop_oneof![4 => Just(0u8), 4 => 1u8..4, 1 => any::<u8>()], 0..200),
    ) {
        let row = &versions::ROWS[row];
        let versions: Vec<i16> = row.served.clone().collect();
        let (key, version) = (row.api as i16, *pick.get(&versions));
        if let Ok(walked) = walker::walk(key, version, &body) {
            match dispatch::decode(frame(key, version, &body[..walked])) {
                Ok(_) => {}
                Err(Refused::Body { source, .. }) => {
                    // The walk does not look into texts, nor at tags from the future.
                    let reason = source.to_string();
                    let text = reason.contains("utf-8") || reason.contains("UTF-8");
                    prop_assert!(text || reason.contains("ag"), "API {} version {}: {}", key, version, reason);
                }
                Err(other) => prop_assert!(false, "API {} version {}: {}", key, version, other),
            }
            if walked > 0 {
                prop_assert!(dispatch::decode(frame(key, version, &body[..walked - 1])).is_err());
            }
        }
    }

    #[test]
    fn arbitrary_frames_never_panic(frame: Vec<u8>) {
        let _ = dispatch::decode(BytesMut::from(Bytes::from(frame)));
    }
}
