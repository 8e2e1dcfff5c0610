//! An index file says what a careful reader of the segment would say.

use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;

use super::*;

fn row(index: u64, term: u64) -> Row {
    Row {
        index,
        base_offset: index * 2,
        max_ts: i64::try_from(index).expect("small") - 3,
        term,
        segment: 5,
        position: 4096,
        len: 10,
        record_count: 2,
        flags: 1,
        version: 2,
    }
}

/// Entries of a group always follow on one another, or go back.
fn events() -> impl Strategy<Value = Vec<(GroupUid, SealEvent)>> {
    proptest::collection::vec((0..3_u64, 0..6_u64, 0..12_u8), 0..120).prop_map(|choices| {
        let mut next: BTreeMap<u64, u64> = BTreeMap::new();
        let mut events = Vec::new();
        for (term, (group, back, kind)) in (1..).zip(choices) {
            let next = next.entry(group).or_insert(10);
            if kind == 0 {
                *next += back;
                events.push((group, SealEvent::Install));
                continue;
            }
            let index = if kind < 3 {
                (*next - back.min(*next - 1)).max(1)
            } else {
                *next
            };
            *next = index + 1;
            events.push((group, SealEvent::Entry(row(index, term))));
        }
        events
    })
}

proptest! {
    #[test]
    fn what_survives_is_what_was_written_last(events in events()) {
        let mut expected: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
        for (group, event) in &events {
            let rows = expected.entry(*group).or_default();
            match event {
                SealEvent::Install => rows.clear(),
                SealEvent::Entry(row) => {
                    rows.retain(|kept| kept.index < row.index);
                    rows.push(*row);
                }
            }
        }
        expected.retain(|_, rows| !rows.is_empty());
        let sealed = SealedRows::from_events(5, 77, &mut events.clone());

        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&sealed.encode(5, 9, 70, 77)).expect("it can be written");
        let file = RowsFile::new(file).expect("it has a header");
        let directory = file.directory().expect("it can be read").expect("it is whole");
        prop_assert_eq!((directory.number, directory.salt), (5, 9));
        prop_assert_eq!((directory.first_lsn, directory.last_lsn), (70, 77));
        prop_assert_eq!(directory.places.len(), expected.len());
        for (place, (group, rows)) in directory.places.iter().zip(&expected) {
            prop_assert_eq!((place.group, place.last_lsn), (*group, 77));
            let count = rows.len();
            let read = file.rows(5, u64::from(place.first_row), place.first_index, count);
            prop_assert_eq!(&read.expect("it can be read"), rows);
            prop_assert_eq!(place.next_offset, rows[count - 1].next_offset());
        }
    }

    #[test]
    fn a_cut_or_changed_directory_is_not_used(cut in 0..400_usize, position in 0..224_usize) {
        let mut events = vec![(1, SealEvent::Entry(row(1, 1))), (2, SealEvent::Entry(row(4, 1)))];
        let whole = SealedRows::from_events(5, 1, &mut events).encode(5, 9, 1, 1);
        let is_used = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().expect("a temporary file");
            file.write_all(bytes).expect("it can be written");
            Directory::read(&file).expect("it can be read").is_some()
        };
        prop_assert!(is_used(&whole));
        prop_assert!(!is_used(&whole[..cut.min(whole.len() - 1)]));
        let mut changed = whole.clone();
        changed[position] ^= 4;
        prop_assert!(!is_used(&changed));
    }
}
