//! What was written is read as it was; whatever else is read is refused, and never harms the reader.

use bytes::Bytes;
use chronik_core::catalog::{Catalog, Command, NewTopic};
use chronik_core::group::{Install, Members, Trim};
use chronik_core::ids::TopicId;
use chronik_core::partition::{EpochStart, Log};
use proptest::prelude::*;

use super::format::{FormatError, Header, SnapshotReader, SnapshotWriter, VERSION};
use super::*;

const CODECS: [SnapshotCompression; 3] = [
    SnapshotCompression::Zstd,
    SnapshotCompression::Gzip,
    SnapshotCompression::None,
];

pub(super) fn header() -> Header {
    Header {
        cluster_id: "green".to_owned(),
        node: NodeId(2),
        incarnation: 3,
        version: "0.1.0".to_owned(),
        created_ms: 1_795_000_000_123,
        cause: Cause::Count,
        group: None,
    }
}

/// A group whose records reach up to `high_watermark`.
pub(super) fn part(group: u64, committed: u64, high_watermark: i64) -> Part {
    Part {
        group: GroupUid(group),
        term: 6,
        committed,
        committed_term: 5,
        start_offset: 0,
        high_watermark,
        epochs: vec![EpochStart {
            epoch: 5,
            offset: 0,
        }],
        install: Install {
            trim: Trim { index: 1, term: 1 },
            members: Members::of_voters(vec![1 << 32 | 1, 1 << 32 | 2]),
            members_as_of: 1,
            state: Log::default().snapshot(committed),
        },
        consumer_groups: None,
    }
}

/// The metadata group of a cluster with one topic of two partitions.
pub(super) fn meta() -> Part {
    let mut catalog = Catalog::default();
    catalog.apply(Command::Found {
        cluster_id: "green".to_owned(),
        voters: vec![NodeId(1), NodeId(2), NodeId(3)],
    });
    catalog.apply(Command::CreateTopics(vec![NewTopic {
        name: "orders".to_owned(),
        id: TopicId([7; 16]),
        internal: false,
        partitions: vec![
            vec![NodeId(1), NodeId(2), NodeId(3)],
            vec![NodeId(2), NodeId(3)],
        ],
        configs: Vec::new(),
    }]));
    let mut meta = part(GroupUid::META.0, 12, 0);
    meta.epochs.clear();
    meta.install.trim = Trim { index: 12, term: 5 };
    meta.install.state = catalog.encode();
    meta
}

fn written(codec: SnapshotCompression, sections: &[Vec<Part>]) -> Vec<u8> {
    let mut writer = SnapshotWriter::begin(Vec::new(), codec, &header()).unwrap();
    for section in sections {
        writer.section(section).unwrap();
    }
    writer.end().unwrap().0
}

fn sound() -> Vec<u8> {
    let sections = [vec![part(1024, 40, 33), part(1025, 9, 7)], vec![meta()]];
    written(SnapshotCompression::Zstd, &sections)
}

fn read(bytes: &[u8]) -> Result<(Header, Vec<Part>), FormatError> {
    let mut reader = SnapshotReader::open(bytes)?;
    let mut parts = Vec::new();
    while let Some(section) = reader.section()? {
        parts.extend(section);
    }
    Ok((reader.header().clone(), parts))
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let bytes = sound();
    assert!(is_sound(&bytes));
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            assert!(read(&damaged).is_err(), "byte {at}");
        }
    }
}

#[test]
fn what_is_cut_off_or_goes_on_says_so() {
    let bytes = sound();
    for len in 0..bytes.len() {
        let error = read(&bytes[..len]).unwrap_err();
        let is_told = match error {
            FormatError::Foreign => len < 8,
            FormatError::CutOff { at } => at == len as u64,
            _ => false,
        };
        assert!(is_told, "{len}: {error}");
    }
    let more = [bytes.as_slice(), b"x"].concat();
    let error = read(&more).unwrap_err();
    assert!(matches!(error, FormatError::Trailing { at } if at == bytes.len() as u64));
}

#[test]
fn other_files_and_later_formats_are_told_apart() {
    let error = read(b"PK\x03\x04 and so on, long enough").unwrap_err();
    assert!(matches!(error, FormatError::Foreign));
    let mut later = sound();
    later[8] += 1;
    let error = read(&later).unwrap_err();
    assert!(matches!(error, FormatError::Newer { found } if found == VERSION + 1));
    assert!(error.to_string().contains("format 2"), "{error}");
    let nothing = written(SnapshotCompression::None, &[]);
    assert!(read(&nothing).is_ok());
    assert!(!is_sound(&nothing), "a snapshot of nothing");
}

#[test]
fn a_file_gets_its_name_once_it_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::of(place.path());
    let mut unfinished = folder
        .begin(7, SnapshotCompression::Gzip, &header())
        .unwrap();
    unfinished.writer().section(&[meta()]).unwrap();
    assert!(folder.list().unwrap().is_empty());
    drop(unfinished);
    let mut unfinished = folder
        .begin(8, SnapshotCompression::Zstd, &header())
        .unwrap();
    unfinished.writer().section(&[meta()]).unwrap();
    let (bytes, sha256) = unfinished.end().unwrap();
    assert_eq!(folder.list().unwrap(), [8]);
    let verified = verify(&folder.file(8));
    let content = verified.content().expect("it is sound");
    assert_eq!(
        (content.made.bytes, &content.made.sha256),
        (bytes, &hex(&sha256))
    );
    assert_eq!((content.made.index, content.made.groups), (12, 1));
    assert_eq!(folder.chunk(8, bytes - 3, 100).unwrap().len(), 3);
    assert_eq!(folder.remove(8).unwrap(), bytes);
    assert!(folder.list().unwrap().is_empty());
}

fn any_part() -> impl Strategy<Value = Part> {
    let state = proptest::collection::vec(any::<u8>(), 0..2000);
    let groups = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50));
    let epochs = proptest::collection::vec((any::<i32>(), any::<i64>()), 0..4);
    (any::<[u64; 4]>(), any::<[i64; 2]>(), epochs, state, groups).prop_map(
        |([group, term, committed, committed_term], [start, end], epochs, state, groups)| {
            let epochs = epochs.into_iter();
            Part {
                group: GroupUid(group),
                term,
                committed,
                committed_term,
                start_offset: start,
                high_watermark: end,
                epochs: epochs
                    .map(|(epoch, offset)| EpochStart { epoch, offset })
                    .collect(),
                install: Install {
                    trim: Trim {
                        index: committed,
                        term,
                    },
                    members: Members::of_voters(vec![group, term]),
                    members_as_of: committed,
                    state: state.into(),
                },
                consumer_groups: groups.map(Bytes::from),
            }
        },
    )
}

proptest! {
    #[test]
    fn every_snapshot_is_read_as_it_was_written(
        sections in proptest::collection::vec(proptest::collection::vec(any_part(), 0..4), 0..4),
        codec in 0..3usize,
    ) {
        let bytes = written(CODECS[codec], &sections);
        let (read_header, parts) = read(&bytes).unwrap();
        prop_assert_eq!(read_header, header());
        prop_assert_eq!(parts, sections.concat());
    }

    #[test]
    fn no_bytes_harm_the_reader(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        codec in any::<u8>(),
        plain_len in any::<u32>(),
    ) {
        is_sound(&bytes);
        is_sound(&format::fuzz_file(&header(), codec, plain_len, &bytes));
    }
}
