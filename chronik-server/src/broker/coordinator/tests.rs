//! Batches survive a round trip, and groups find the partition that Kafka would give them.

use bytes::Bytes;
use chronik_core::consumer_group::RawRecord;
use chronik_core::partition::BatchHeader;
use proptest::prelude::*;

use super::{batch, placement};

fn blob() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn record() -> impl Strategy<Value = RawRecord> {
    (blob(), prop::option::of(blob())).prop_map(|(key, value)| RawRecord { key, value })
}

proptest! {
    #[test]
    fn a_batch_survives_the_round_trip(records in prop::collection::vec(record(), 1..30), now_ms in 0..i64::MAX) {
        let encoded = batch::encode(&records, now_ms);
        let header = BatchHeader::check(&encoded).unwrap();
        prop_assert_eq!(header.max_timestamp, now_ms);
        let decoded = batch::decode(&header, &encoded).unwrap();
        let expected: Vec<_> = records.into_iter().map(|record| (record.key, record.value)).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn damaged_records_do_not_panic(records in prop::collection::vec(record(), 1..5), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut encoded = batch::encode(&records, 0);
        let at = 57 + at.index(encoded.len() - 57);
        encoded[at] = with;
        let header = BatchHeader::read(&encoded).unwrap();
        _ = batch::decode(&header, &encoded);
    }
}

/// Computed with Java's `Math.abs(group.hashCode()) % 50`.
#[test]
fn a_group_has_the_partition_that_kafka_gives_it() {
    assert_eq!(placement::partition_of("", 50), 0);
    assert_eq!(placement::partition_of("a", 50), 97 % 50);
    assert_eq!(
        placement::partition_of("my-group", 50),
        java_hash("my-group") % 50
    );
}

fn java_hash(text: &str) -> usize {
    let hash = text.bytes().fold(0_i64, |hash, byte| {
        (hash * 31 + i64::from(byte)) & 0xffff_ffff
    });
    (hash & 0x7fff_ffff) as usize
}
