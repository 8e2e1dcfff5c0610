//! The command line of a Chronik node in a run.

use std::path::Path;

use chronik_local::{ChronikOptions, Doors, Launch, LocalError};

use super::Addresses;
use crate::scenario::ClusterSpec;

pub(super) fn launch(
    server: &Path,
    dir: &Path,
    number: u32,
    addresses: &[Addresses],
    cluster: &ClusterSpec,
) -> Result<Launch, LocalError> {
    let mut options = ChronikOptions::new(server, dir)
        .with("node.id", &number.to_string())
        .with("topic.auto_create", "false")
        .with("group.initial_rebalance_delay", "0ms")
        // Small segments: they roll, are reused and fill a small disk while a scenario looks on.
        .with("wal.segment_size", "8MiB")
        .with("wal.pool_segments", "1")
        .with("log.format", "json");
    if addresses.len() > 1 {
        let peers = addresses
            .iter()
            .zip(1..)
            .map(|(place, id)| format!("{id}@{}", place.peer));
        options = options
            .with("cluster.peers", &peers.collect::<Vec<_>>().join(","))
            .with(
                "cluster.default_replication_factor",
                &cluster.rf.to_string(),
            )
            .with("cluster.min_insync_replicas", &cluster.min_isr.to_string());
    }
    for (key, value) in &cluster.settings {
        options = options.with(key, value);
    }
    let own = addresses[number as usize - 1];
    options.launch(Doors {
        kafka: own.kafka,
        peer: own.peer,
        admin: own.admin,
    })
}
