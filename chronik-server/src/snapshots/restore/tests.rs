//! What is refused, what is written, and what a new cluster begins with.

use std::fs;
use std::path::PathBuf;

use chronik_core::consumer_group::Image;
use chronik_core::ids::ReplicaId;
use chronik_core::partition::Log;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Sources};
use crate::snapshots::Folder;
use crate::snapshots::tests::{header, meta, part};

/// A folder, and the configuration of the first of three nodes with its data in it.
fn place() -> (TempDir, Config) {
    let place = tempfile::tempdir().unwrap();
    let peers = "1@127.0.0.1:9192,2@127.0.0.1:9193,3@127.0.0.1:9194".to_owned();
    let sources = Sources {
        flags: vec![("cluster.peers", peers)],
        ..Sources::default()
    };
    let mut config = sources.load().unwrap().config;
    config.node.data_dir = place.path().join("data");
    (place, config)
}

fn saved(place: &TempDir, id: u64, header: &Header, parts: &[Part]) -> PathBuf {
    let folder = Folder::of(place.path());
    let mut unfinished = folder.begin(id, SnapshotCompression::Zstd, header).unwrap();
    unfinished.writer().section(parts).unwrap();
    unfinished.end().unwrap();
    folder.file(id)
}

fn wish(files: &[&PathBuf]) -> Wish {
    Wish {
        files: files.iter().map(|file| (*file).clone()).collect(),
        new_cluster: false,
        dry_run: false,
    }
}

fn refusal(config: &Config, wish: &Wish) -> AdminError {
    run(config, wish)
        .expect_err("it should be refused")
        .to_admin()
}

fn identity(config: &Config) -> Identity {
    let (_, identity) = DataDir::open(config).expect("a directory of a node");
    identity
}

#[test]
fn a_node_that_comes_back_has_its_cluster_and_no_life_yet() {
    let (place, config) = place();
    let file = saved(&place, 1, &header(), &[part(1024, 40, 33), meta()]);
    let mut dry = wish(&[&file]);
    dry.dry_run = true;
    let told = run(&config, &dry).unwrap();
    assert!(!config.node.data_dir.exists(), "a dry run writes nothing");
    let done = run(&config, &wish(&[&file])).unwrap();
    assert_eq!((told.groups, &told.changes), (done.groups, &done.changes));
    assert_eq!(done.cluster_id, "green");
    let identity = identity(&config);
    assert_eq!((identity.incarnation, identity.is_expected()), (0, true));
    let restored = Restored::of(&config.node.data_dir, &identity).expect("it says so");
    let parts = restored.read().unwrap();
    assert_eq!(parts.len(), 2);
    let again = refusal(&config, &wish(&[&file]));
    assert!(again.message.starts_with("NOT_EMPTY"), "{again}");
    fs::write(config.node.data_dir.join(RESTORED_FILE), "something else").unwrap();
    assert!(restored.read().is_err());
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let (place, mut config) = place();
    let whole = saved(&place, 1, &header(), &[meta()]);
    let blue = Header {
        cluster_id: "blue".to_owned(),
        ..header()
    };
    let other = saved(&place, 2, &blue, &[meta()]);
    let of_one_group = Header {
        group: Some((GroupUid(1024), "orders/0".to_owned())),
        ..header()
    };
    let group = saved(&place, 3, &of_one_group, &[part(1024, 40, 33)]);
    let mut damaged = fs::read(&whole).unwrap();
    damaged[60] ^= 1;
    let broken = place.path().join("broken.snap");
    fs::write(&broken, damaged).unwrap();
    let missing = place.path().join("missing.snap");
    let new_cluster = |files: &[&PathBuf]| Wish {
        new_cluster: true,
        ..wish(files)
    };
    let cases = [
        (wish(&[&broken]), "DAMAGED"),
        (wish(&[&missing]), "cannot be restored"),
        (wish(&[&group]), "ONE_GROUP"),
        (wish(&[&whole, &whole]), "one snapshot is enough"),
        (new_cluster(&[&whole, &other]), "SEVERAL_CLUSTERS"),
        (new_cluster(&[&whole]), "INCOMPLETE"),
    ];
    for (wish, expected) in cases {
        let refused = refusal(&config, &wish);
        assert!(refused.message.contains(expected), "{expected}: {refused}");
        assert!(!config.node.data_dir.exists());
    }
    let incomplete = refusal(&config, &new_cluster(&[&whole]));
    assert!(
        incomplete.message.contains("orders/0, orders/1"),
        "{incomplete}"
    );
    config.cluster.id = Some("blue".to_owned());
    let elsewhere = refusal(&config, &wish(&[&whole]));
    assert_eq!(elsewhere.code, Code::WrongCluster);
    config.cluster = Config::default().cluster;
    let alone = refusal(&config, &wish(&[&whole]));
    assert!(alone.message.starts_with("ALONE"), "{alone}");
    DataDir::open(&config).expect("a node uses it");
    let used = refusal(&config, &new_cluster(&[&whole]));
    assert!(used.message.starts_with("NOT_EMPTY"), "{used}");
}

#[test]
fn half_a_restoration_is_no_node() {
    let (_place, config) = place();
    fs::create_dir_all(&config.node.data_dir).unwrap();
    fs::write(config.node.data_dir.join(RESTORED_FILE), "half").unwrap();
    let refused = DataDir::open(&config).expect_err("nobody knows whose it is");
    assert!(matches!(refused, DataDirError::HalfRestored { .. }));
}

#[test]
fn a_new_cluster_begins_behind_everything_that_was_known() {
    let (place, config) = place();
    // Two nodes looked at different times, and consumers were ahead of one of them.
    let older = saved(&place, 1, &header(), &[part(1024, 40, 33), meta()]);
    let mut offsets = part(1025, 9, 7);
    offsets.consumer_groups = Some(image(&[("orders", 0, 57), ("orders", 1, i64::MAX)]));
    let newer = saved(
        &place,
        2,
        &header(),
        &[part(1024, 55, 50), offsets.clone(), meta()],
    );
    let wish = Wish {
        new_cluster: true,
        ..wish(&[&older, &newer])
    };
    let done = run(&config, &wish).unwrap();
    assert_eq!((done.partitions, done.consumer_groups), (2, 1));
    let identity = identity(&config);
    assert_eq!(
        (identity.incarnation, identity.founders.as_slice()),
        (1, &[1][..])
    );
    assert!(identity.cluster_id != "green" && identity.cluster_id == done.cluster_id);
    let restored = Restored::of(&config.node.data_dir, &identity).unwrap();
    let parts = reborn::newest(restored.read().unwrap());
    let log = |group| Log::installed(&parts[&GroupUid(group)].install.state).unwrap();
    assert_eq!((log(1024).start_offset(), log(1024).end_offset()), (57, 57));
    assert_eq!(log(1025).end_offset(), 7, "nobody can have read so far");
    assert_eq!(
        log(1025).kept(),
        Some(&(7, offsets.consumer_groups.unwrap()))
    );
    let first = ReplicaId::new(NodeId(1), 1);
    for part in parts.values() {
        assert_eq!(part.install.members.voters, [first.0]);
        assert_eq!(part.install.trim.index, part.committed);
        assert!(part.term > 1000, "clients may have seen later leaders");
    }
    let catalog = Catalog::decode(&parts[&GroupUid::META].install.state).unwrap();
    assert_eq!(*catalog.cluster_id, *done.cluster_id);
}

/// One consumer group that committed these offsets.
fn image(offsets: &[(&str, i32, i64)]) -> bytes::Bytes {
    use chronik_core::consumer_group::records::{OffsetKey, OffsetValue, Record};
    let mut image = Image::default();
    for (topic, partition, offset) in offsets {
        image.apply(Record::Offset {
            key: OffsetKey {
                group: "billing".to_owned(),
                topic: (*topic).to_owned(),
                partition: *partition,
            },
            value: Some(OffsetValue {
                offset: *offset,
                leader_epoch: -1,
                metadata: String::new(),
                committed_at_ms: 0,
                expires_at_ms: None,
            }),
        });
    }
    image.snapshot()
}
