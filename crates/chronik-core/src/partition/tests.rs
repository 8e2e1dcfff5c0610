//! Kafka's rules for idempotent producers, epochs and trimming.

use bytes::Bytes;
use proptest::prelude::*;

use super::batch::{self, BatchHeader, HEADER_LEN};
use super::producers::SequenceRefused;
use super::{Appended, BatchError, Log, Refused};
use crate::wire::{Reader, Writer};

fn header(producer: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        leader_epoch: 1,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 7,
        max_timestamp: 9,
        producer_id: producer,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: count,
    }
}

fn append(log: &mut Log, mut batch: BatchHeader) -> Result<Appended, Refused> {
    let placed = log.place(&batch)?;
    if let Appended::At { base_offset } = placed {
        batch.base_offset = base_offset;
        log.record(&batch);
    }
    Ok(placed)
}

#[test]
fn a_repeated_batch_gets_its_first_answer() {
    let mut log = Log::default();
    for sequence in 0..7 {
        append(&mut log, header(5, 0, sequence, 1)).unwrap();
    }
    let again = append(&mut log, header(5, 0, 3, 1)).unwrap();
    assert!(matches!(again, Appended::Before(seen) if seen.base_offset == 3));
    let forgotten = append(&mut log, header(5, 0, 1, 1));
    assert_eq!(
        forgotten,
        Err(SequenceRefused::OutOfOrder { got: 1, last: 6 }.into())
    );
    assert_eq!(log.end_offset(), 7);
}

#[test]
fn sequences_wrap_and_epochs_fence() {
    let mut log = Log::default();
    append(&mut log, header(5, 3, i32::MAX - 1, 2)).unwrap();
    append(&mut log, header(5, 3, 0, 1)).unwrap();
    let old = append(&mut log, header(5, 2, 1, 1));
    assert_eq!(
        old,
        Err(SequenceRefused::OldEpoch { got: 2, current: 3 }.into())
    );
    let late = append(&mut log, header(5, 4, 1, 1));
    assert_eq!(late, Err(SequenceRefused::EpochNotAtZero { got: 1 }.into()));
    append(&mut log, header(5, 4, 0, 1)).unwrap();
    append(&mut log, header(6, 0, 77, 1)).expect("an unknown producer may begin anywhere");
}

#[test]
fn epochs_end_where_the_next_begins() {
    let mut log = Log::default();
    for epoch in [1, 1, 4] {
        append(
            &mut log,
            BatchHeader {
                leader_epoch: epoch,
                ..header(-1, -1, -1, 10)
            },
        )
        .unwrap();
    }
    log.entry_appended(3, 30);
    log.committed(3);
    assert_eq!(log.epoch_end(1), Some((1, 20)));
    assert_eq!(log.epoch_end(3), Some((1, 20)));
    assert_eq!(log.epoch_end(4), Some((4, 30)));
    assert_eq!(log.epoch_end(5), None);
    assert_eq!(log.epoch_end(0), Some((0, 0)));
    log.trim(25);
    assert_eq!(log.epoch_at(25), Some(4));
    assert_eq!(log.epoch_end(1), Some((1, 25)));
}

#[test]
fn a_batch_is_checked_before_it_is_stored() {
    let mut bytes = vec![0; HEADER_LEN + 10];
    bytes[8..12].copy_from_slice(&(HEADER_LEN as i32 + 10 - 12).to_be_bytes());
    bytes[16] = 2;
    bytes[57..61].copy_from_slice(&1i32.to_be_bytes());
    batch::stamp(&mut bytes, 1234);
    assert_eq!(BatchHeader::check(&bytes).unwrap().max_timestamp, 1234);
    batch::place(&mut bytes, 99, 7);
    assert_eq!(BatchHeader::check(&bytes).unwrap().base_offset, 99);
    bytes[70] ^= 1;
    assert!(matches!(
        BatchHeader::check(&bytes),
        Err(BatchError::Checksum { .. })
    ));
    assert_eq!(BatchHeader::check(&bytes[..60]), Err(BatchError::Short(60)));
    bytes[16] = 1;
    assert_eq!(BatchHeader::check(&bytes), Err(BatchError::Magic(1)));
}

/// An entry of batches, each with a producer and its number of records, placed at the end of `log`.
fn entry(log: &Log, epoch: i32, batches: &[(i64, i32)]) -> Vec<u8> {
    let mut next_offset = log.end_offset();
    let mut bytes = Vec::new();
    for (producer, count) in batches {
        let mut batch = vec![0; HEADER_LEN];
        batch[8..12].copy_from_slice(&(HEADER_LEN as i32 - 12).to_be_bytes());
        batch[16] = 2;
        batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        batch[43..51].copy_from_slice(&producer.to_be_bytes());
        batch[53..57].copy_from_slice(&(next_offset as i32).to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        batch::place(&mut batch, next_offset, epoch);
        next_offset += i64::from(*count);
        bytes.extend(batch);
    }
    bytes
}

fn append_entry(log: &mut Log, index: u64, epoch: i32, batches: &[(i64, i32)]) {
    let bytes = entry(log, epoch, batches);
    log.entry(index, epoch, &bytes);
}

#[test]
fn a_replaced_entry_leaves_nothing_behind() {
    let mut log = Log::default();
    append_entry(&mut log, 2, 2, &[(7, 3)]);
    log.committed(2);
    let before = log.clone();
    append_entry(&mut log, 3, 2, &[(7, 2), (8, 1)]);
    append_entry(&mut log, 4, 3, &[]);
    append_entry(&mut log, 5, 3, &[(-1, 4)]);
    log.truncate(3);
    assert_eq!(log, before);
    append_entry(&mut log, 3, 4, &[(8, 2)]);
    assert_eq!(log.epoch_at(3), Some(4));
    assert_eq!(log.end_offset(), 5);
}

#[test]
fn a_snapshot_knows_producers_of_entries_that_follow_it() {
    let mut leader = Log::default();
    for index in 2..8 {
        append_entry(&mut leader, index, 2, &[(7, 1), (8, 1)]);
    }
    leader.committed(6);
    leader.trim_entries(4);
    let mut joined = Log::installed(&leader.snapshot(6)).unwrap();
    assert_eq!((joined.start_offset(), joined.end_offset()), (4, 4));
    for index in 4..8 {
        append_entry(&mut joined, index, 2, &[(7, 1), (8, 1)]);
    }
    joined.committed(6);
    assert_eq!(joined.producers(), leader.producers());
    assert_eq!(joined.high_watermark(), leader.high_watermark());
    assert_eq!(joined.epoch_at(5), Some(2));
}

proptest! {
    #[test]
    fn truncation_is_as_if_it_had_never_been_there(
        steps in prop::collection::vec((0i32..2, prop::collection::vec((-1i64..3, 1i32..4), 0..3)), 1..30),
        kept in 0usize..30,
        committed in 0usize..30,
    ) {
        let build = |count: usize| {
            let mut log = Log::default();
            let mut epoch = 1;
            for (at, (epochs, batches)) in steps.iter().take(count).enumerate() {
                epoch += epochs;
                append_entry(&mut log, at as u64 + 2, epoch, batches);
                if at < committed.min(kept) {
                    log.committed(at as u64 + 2);
                }
            }
            log
        };
        let mut log = build(steps.len());
        let mut out = Writer::new();
        log.encode(&mut out);
        let mut restored = Log::decode(&mut Reader::new(&out.finish())).unwrap();
        for log in [&mut log, &mut restored] {
            log.truncate(kept as u64 + 2);
        }
        prop_assert_eq!(&log, &build(kept));
        prop_assert_eq!(restored, log);
    }

    #[test]
    fn a_log_survives_its_bytes(steps in prop::collection::vec((0i64..4, 1i32..4), 0..40)) {
        let mut log = Log::default();
        let mut next = [0; 4];
        for (index, (producer, count)) in steps.into_iter().enumerate() {
            append(&mut log, header(producer, 0, next[producer as usize], count)).unwrap();
            next[producer as usize] += count;
            log.entry_appended(index as u64 + 1, log.end_offset());
            log.committed(index as u64 / 2);
        }
        let mut out = Writer::new();
        log.encode(&mut out);
        let bytes = out.finish();
        prop_assert_eq!(Log::decode(&mut Reader::new(&bytes)).unwrap(), log);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = BatchHeader::check(&bytes);
        let _ = batch::each(&bytes).count();
        let _ = Log::decode(&mut Reader::new(&bytes));
    }
}

#[test]
fn a_log_without_records_goes_on_where_they_ended() {
    let mut log = Log::without_records(40, Some(6), Some(Bytes::from_static(b"groups")));
    let installed = Log::installed(&log.snapshot(9)).unwrap();
    assert_eq!(
        (installed.start_offset(), installed.high_watermark()),
        (40, 40)
    );
    assert_eq!(installed.kept(), log.kept());
    assert_eq!(installed.epoch_end(6), Some((6, 40)));
    // What was confirmed before is gone: sent again it is new.
    let mut batch = header(5, 0, 17, 1);
    batch.leader_epoch = 7;
    let again = append(&mut log, batch).unwrap();
    assert_eq!(again, Appended::At { base_offset: 40 });
}
