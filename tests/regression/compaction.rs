//! A compacted topic on three nodes: the newest value of each key survives compaction, crashes, another leader and a
//! node that was wiped, for a client that checks every batch.

use std::path::PathBuf;
use std::time::Duration;

use chronik_local::{ChronikOptions, Cluster, wait};

use crate::moves::{await_settled, finish, reassign_of};
use crate::support::{drive, is_kafka_the_target, python, server, test_dir};

const TOPIC: &str = "compacted";
const ALL: [usize; 3] = [1, 2, 3];
const BOUND: Duration = Duration::from_secs(120);
/// Of 500 bytes each on average: more than two segments.
const RECORDS: u64 = 40_000;

#[test]
fn the_newest_value_of_each_key_survives() {
    if is_kafka_the_target() {
        // It never compacts the segment that it writes to, which is a gigabyte.
        return;
    }
    let dir = test_dir();
    let cluster = ChronikOptions::new(server(), dir.path())
        .with("wal.segment_size", "8MiB")
        .with("wal.pool_segments", "0")
        .with("compaction.check_interval", "200ms")
        .cluster(ALL.len())
        .unwrap();
    let mut run = Run {
        cluster,
        model: dir.path().join("model.json"),
        written: 0,
    };
    run.cluster.start().unwrap();
    run.client("create", &[]);
    run.write("lz4");
    run.await_compacted();

    for id in ALL {
        run.cluster.node_mut(id).kill().unwrap();
    }
    run.cluster.spawn(&ALL).unwrap();
    run.cluster.await_ready(&ALL).unwrap();
    run.verify();
    run.write("gzip");
    run.await_compacted();

    run.cluster.node_mut(2).kill().unwrap();
    run.cluster.node_mut(2).wipe().unwrap();
    run.cluster.node_mut(2).begin().unwrap();
    run.write("snappy");
    run.await_in_sync();
    // Now the wiped node leads, with what it was given.
    reassign_of(&run.cluster, TOPIC, 1, &[0], &[2, 1, 3]);
    await_settled(&run.cluster, 1);
    run.cluster.await_leader(1, TOPIC, 0, &[2]).unwrap();
    run.verify();
    run.write("none");
    run.await_compacted();
    finish(run.cluster, &[]);
}

struct Run {
    cluster: Cluster,
    /// Where the client keeps the newest value of each key.
    model: PathBuf,
    written: u64,
}

impl Run {
    fn write(&mut self, codec: &str) {
        self.written += 1;
        let (seed, records) = (self.written.to_string(), RECORDS.to_string());
        self.client("write", &[&self.model(), &seed, &records, codec]);
    }

    /// Compares what a consumer sees with the model, and returns how many records that were.
    fn verify(&self) -> u64 {
        let output = self.client("verify", &[&self.model()]);
        let line = output.lines().last().expect("a last line");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[3], (self.written * RECORDS).to_string(), "{line}");
        words[1].parse().expect("a number")
    }

    fn await_compacted(&self) {
        // What is in the segment that is not full yet is all there, and less than one load.
        let is_compacted = || (self.verify() < RECORDS).then_some(());
        wait::until("a compacted topic", BOUND, is_compacted).unwrap();
    }

    fn await_in_sync(&self) {
        self.cluster
            .await_metadata(1, "all replicas in sync", |metadata| {
                let mut partitions = metadata.partitions(TOPIC).iter();
                partitions.all(|known| known.in_sync.len() == ALL.len())
            })
            .unwrap();
    }

    fn model(&self) -> String {
        self.model.display().to_string()
    }

    fn client(&self, verb: &str, arguments: &[&str]) -> String {
        let mut command = python("compacted_confluent.py");
        command.args([verb, &self.cluster.bootstrap(), TOPIC]);
        drive(verb, command.args(arguments))
    }
}
