//! Whatever bytes come in, the reader and the checker neither panic nor take memory that the input did not pay for.

use crate::generate::World;
use chronik_check::history::{MAX_LINE_BYTES, ReadError, Reader, write_line};
use chronik_check::{Checker, Contract};
use proptest::prelude::*;
use std::io::{self, BufRead, Read};

fn read_all(bytes: &[u8]) {
    for mut checker in [
        Checker::offline(Contract::Chronik),
        Checker::online(Contract::Kafka),
    ] {
        for event in Reader::new(bytes) {
            let Ok((line, event)) = event else {
                break;
            };
            if checker.feed(line, &event).is_err() {
                break;
            }
        }
        checker.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_histories(seed: u64, damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = Vec::new();
        for event in World::run(seed, 120).finish() {
            write_line(&event, &mut bytes);
        }
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes);
    }

    /// Digits are what damage histories most: they stay valid JSON.
    #[test]
    fn numbers_out_of_place(seed: u64, damage in proptest::collection::vec((any::<prop::sample::Index>(), "[0-9]{1,20}"), 1..6)) {
        let mut bytes = Vec::new();
        for event in World::run(seed, 60).finish() {
            write_line(&event, &mut bytes);
        }
        for (at, number) in damage {
            let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            let at = digits[at.index(digits.len())];
            bytes.splice(at..at + 1, number.bytes());
        }
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let mut checker = Checker::offline(Contract::Chronik);
        for line in lines {
            // A refused line is left out, so that the damage behind it is met as well.
            if let Some(Ok((number, event))) = Reader::new(line).next() {
                let _ = checker.feed(number, &event);
            }
        }
        checker.finish();
    }

    #[test]
    fn lines_survive_a_round_trip(seed: u64) {
        let events = World::run(seed, 200).finish();
        let mut bytes = Vec::new();
        for event in &events {
            write_line(event, &mut bytes);
        }
        let read: Result<Vec<_>, _> = Reader::new(&bytes[..]).map(|event| event.map(|(_, event)| event)).collect();
        prop_assert_eq!(read.expect("what is written can be read"), events);
    }
}

/// An endless line of the same byte.
struct Endless([u8; 4096]);

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        into.fill(self.0[0]);
        Ok(into.len())
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0)
    }

    fn consume(&mut self, _: usize) {}
}

#[test]
fn a_line_without_end_is_refused() {
    let mut reader = Reader::new(Endless([b'['; 4096]));
    assert!(matches!(
        reader.next_event(),
        Err(ReadError::TooLong { line: 1 })
    ));
    const { assert!(MAX_LINE_BYTES <= 16 << 20) };
}

#[test]
fn a_run_of_records_is_bounded() {
    let huge = br#"{"t":1,"ty":"ok","f":"poll","op":1,"mode":"assign","recs":{"t/0":[[0,[1,0,0],1,4000000000]]}}"#;
    assert!(matches!(
        Reader::new(&huge[..]).next_event(),
        Err(ReadError::Line { line: 1, .. })
    ));
    let huge =
        br#"{"t":1,"ty":"inv","f":"send","op":1,"p":"t/0","v":[1,0,18446744073709551615],"n":2}"#;
    assert!(matches!(
        Reader::new(&huge[..]).next_event(),
        Err(ReadError::Line { line: 1, .. })
    ));
}
