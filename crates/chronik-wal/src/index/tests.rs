//! Rows, spans and what is asked of them, without files.

use std::sync::mpsc::sync_channel;

use super::*;

const GROUP: GroupUid = 1;

fn segment(number: u32) -> Arc<Segment> {
    let (helper, _) = sync_channel(1);
    Arc::new(Segment::new(number, 0, "nowhere".into(), helper))
}

fn row(index: u64, segment: u64) -> Row {
    Row {
        index,
        base_offset: (index - 1) * 10,
        max_ts: i64::try_from(index).expect("small") * 100,
        term: 1,
        segment,
        position: 0,
        len: 50,
        record_count: 10,
        flags: 0,
        version: 0,
    }
}

/// Entries 1..=10 in the sealed segment 1, 11..=20 in the young segment 2.
fn half_sealed() -> Index {
    let mut index = Index::default();
    index.reset(GROUP, Trim::default());
    for number in [1, 2] {
        index.apply(SegmentChange::Opened(segment(number)));
    }
    for entry in 1..=20 {
        index.insert(GROUP, row(entry, if entry <= 10 { 1 } else { 2 }));
    }
    let place = Place {
        rewritten: None,
        group: GROUP,
        source: 1,
        first_row: 0,
        rows: 10,
        first_index: 1,
        first_offset: 0,
        next_offset: 100,
        max_ts: 1000,
        last_term: 1,
        bytes: 500,
        last_lsn: 10,
    };
    index.apply(SegmentChange::Sealed {
        segment: 1,
        places: Arc::new([place]),
    });
    index
}

fn keep(index: &Index, retention: Retention) -> Option<u64> {
    let retention = Retention {
        limit_index: retention.limit_index.max(1),
        ..retention
    };
    index
        .offset_to_keep(GROUP, retention)
        .map(|trim| trim.index)
}

#[test]
fn a_sealed_segment_costs_no_rows() {
    let index = half_sealed();
    assert_eq!(index.groups[&GROUP].rows.len(), 10);
    assert_eq!(index.groups[&GROUP].spans.len(), 1);
    assert_eq!(index.bytes(GROUP), 1000);
    assert_eq!(index.row(GROUP, 10), None);
    assert_eq!(index.row(GROUP, 11).map(|row| row.base_offset), Some(100));
    let extent = index.extent(GROUP).expect("a known group");
    assert_eq!(
        (extent.first_index, extent.last_index, extent.next_offset),
        (1, 20, 200)
    );
}

#[test]
fn retention_cuts_young_entries_anywhere_and_sealed_ones_at_their_end() {
    let index = half_sealed();
    let bytes = |bytes| Retention {
        bytes: Some(bytes),
        limit_index: 20,
        ..Retention::default()
    };
    assert_eq!(keep(&index, bytes(1000)), None);
    assert_eq!(keep(&index, bytes(501)), None);
    assert_eq!(keep(&index, bytes(500)), Some(10));
    assert_eq!(keep(&index, bytes(430)), Some(11));
    assert_eq!(keep(&index, bytes(0)), Some(20));
    let older = |ts| Retention {
        oldest_ts: Some(ts),
        limit_index: 20,
        ..Retention::default()
    };
    assert_eq!(keep(&index, older(1000)), None);
    assert_eq!(keep(&index, older(1001)), Some(10));
    assert_eq!(keep(&index, older(1501)), Some(15));
    assert_eq!(
        keep(
            &index,
            Retention {
                limit_index: 12,
                ..bytes(0)
            }
        ),
        Some(12)
    );
    assert_eq!(
        keep(
            &index,
            Retention {
                limit_index: 9,
                ..bytes(0)
            }
        ),
        None
    );
    let below = Retention {
        below_offset: Some(125),
        limit_index: 20,
        ..Retention::default()
    };
    assert_eq!(keep(&index, below), Some(12));
}

#[test]
fn superseding_inside_a_sealed_segment_forgets_the_term_of_its_new_end() {
    let mut index = half_sealed();
    index.insert(
        GROUP,
        Row {
            term: 2,
            ..row(6, 2)
        },
    );
    let extent = index.extent(GROUP).expect("a known group");
    assert_eq!((extent.last_index, extent.next_offset), (6, 60));
    assert_eq!(index.bytes(GROUP), 5 * 50 + 50);
    let all = Retention {
        bytes: Some(0),
        limit_index: 6,
        ..Retention::default()
    };
    assert_eq!(
        index.offset_to_keep(GROUP, all),
        Some(Trim {
            index: 6,
            term: 2,
            offset: 60
        })
    );
    let one_left = Retention {
        bytes: Some(50),
        ..all
    };
    assert_eq!(index.offset_to_keep(GROUP, one_left), None);
}

#[test]
fn trimming_goes_through_both() {
    let mut index = half_sealed();
    index.trim(
        GROUP,
        Trim {
            index: 4,
            term: 1,
            offset: 40,
        },
    );
    assert_eq!(index.bytes(GROUP), 6 * 50 + 500);
    index.trim(
        GROUP,
        Trim {
            index: 13,
            term: 1,
            offset: 130,
        },
    );
    assert_eq!(index.bytes(GROUP), 350);
    let extent = index.extent(GROUP).expect("a known group");
    assert_eq!(
        (extent.first_index, extent.first_offset, extent.last_index),
        (14, 130, 20)
    );
    index.trim(
        GROUP,
        Trim {
            index: 20,
            term: 1,
            offset: 200,
        },
    );
    let extent = index.extent(GROUP).expect("a known group");
    assert_eq!(
        (extent.first_index, extent.last_index, extent.next_offset),
        (21, 20, 200)
    );
    index.insert(GROUP, row(21, 2));
    assert_eq!(
        index.extent(GROUP).map(|extent| extent.last_index),
        Some(21)
    );
}

#[test]
fn plans_begin_where_they_are_asked_to_and_end_with_the_budget() {
    let index = half_sealed();
    let rows_of = |plan: &Plan| -> Vec<u64> {
        let rows = plan.parts.iter().flat_map(|part| match part {
            Part::Rows { rows, .. } => rows.iter().map(|row| row.index).collect(),
            Part::Sealed { .. } => Vec::new(),
        });
        rows.collect()
    };
    assert_eq!(
        rows_of(&index.plan(GROUP, From::Offset(129), 150)),
        [13, 14, 15]
    );
    assert_eq!(rows_of(&index.plan(GROUP, From::Index(19), 0)), [19]);
    assert_eq!(rows_of(&index.plan(GROUP, From::Offset(200), 1000)), [0; 0]);
    assert!(index.plan(GROUP, From::Offset(200), 1000).is_empty());
    assert!(index.plan(2, From::Offset(0), 1000).is_empty());
    let across = index.plan(GROUP, From::Offset(95), 1000);
    assert!(matches!(
        across.parts[0],
        Part::Sealed {
            first_index: 1,
            last_index: 10,
            ..
        }
    ));
    assert_eq!(rows_of(&across).len(), 10);
}

#[test]
fn rows_are_forgotten_with_their_group() {
    let mut index = half_sealed();
    index.remove(GROUP);
    assert_eq!(index.extent(GROUP), None);
    assert_eq!(index.bytes(GROUP), 0);
    index.reset(
        GROUP,
        Trim {
            index: 7,
            term: 3,
            offset: 70,
        },
    );
    let extent = index.extent(GROUP).expect("a known group");
    assert_eq!(
        (extent.first_index, extent.last_index, extent.next_offset),
        (8, 7, 70)
    );
}
