//! Every knob of the server, defined once: parser, defaults, help, explanation and reference come from this table.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. This module is the
//! only one that reads the environment.

mod check;
pub mod cli;
mod definition;
pub mod docs;
mod file;
mod layers;
mod nearest;
mod value;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::chaos;
use definition::config_table;

pub use definition::{ChangeNeeds, Definition, Section};
pub use layers::{ConfigError, Loaded, Origin, Problem, Setting, Sources};
pub use value::{
    Endpoint, IoMode, LogFilter, LogFormat, Peer, Size, SnapshotCompression, ValueError,
};

config_table! {
    /// Who this node is and where it keeps its data.
    node: Node {
        /// Number of this node, unique in its cluster; a data directory that belongs to another number is refused.
        id: u32 = "1", range "0" to "2147483647", change Birth;
        /// Rack or zone of this node, told to clients so that they can read from a near replica; empty means none.
        rack: Option<String> = "", change Restart;
        /// Directory of everything this node keeps; it is made if missing and locked while in use.
        data_dir: PathBuf = "./chronik-data", change Restart;
        /// Whether a second, tiny process watches a node of a cluster: should the node freeze (stopped, traced, dumping its memory), the guard closes its clients' connections after `raft.suspect_after`, so that they go to whoever leads by then.
        guard: bool = "true", change Restart;
    }

    /// The clients' door.
    kafka: Kafka {
        /// Address on which Kafka clients are served; port 0 takes a free one.
        listen: Endpoint = "127.0.0.1:9092", change Restart;
        /// Address that clients are told to use; empty means the listening address. It must be reachable by clients.
        advertised: Option<Endpoint> = "", change Restart;
        /// Answers that the kernel buffers per connection, which it doubles for its own needs; 0 leaves the size to the kernel. Larger ones pay off on long ways, where one buffer per round trip is all a consumer gets.
        send_buffer_bytes: Size = "512KiB", range "0B" to "64MiB", change Restart;
    }

    /// The door for other nodes.
    peer: PeerDoor {
        /// Address on which other nodes of the cluster are served; port 0 takes a free one.
        listen: Endpoint = "127.0.0.1:9192", change Restart;
        /// Address that other nodes are told to use; empty means this node's entry in `cluster.peers`, or else the listening address.
        advertised: Option<Endpoint> = "", change Restart;
    }

    /// The operators' door.
    admin: Admin {
        /// Address of the admin API (gRPC, and HTTP as `/openapi.json` describes it), of `/metrics`, `/healthz` and `/readyz`; port 0 takes a free one.
        listen: Endpoint = "127.0.0.1:9292", change Restart;
    }

    /// The cluster this node belongs to.
    cluster: Cluster {
        /// Identity of the cluster; empty means that it is made at birth. If set, a data directory of another cluster is refused.
        id: Option<String> = "", change Birth;
        /// Nodes of the cluster as `ID@HOST:PEERPORT`, this one included; empty means a single node.
        peers: Vec<Peer> = "", change Restart;
        /// Replicas of a new topic whose creator leaves the choice to the server; empty means 3, or the number of nodes if that is less.
        default_replication_factor: Option<u16> = "", range "1" to "15", change Restart;
        /// Replicas that must hold a record before a producer with acks=all is answered; empty means a majority of the default replication factor.
        min_insync_replicas: Option<u16> = "", range "1" to "15", change Restart;
    }

    /// What a topic gets when nobody says otherwise.
    topic: Topic {
        /// Whether a topic is created when a client asks for one that does not exist.
        auto_create: bool = "true", change Restart;
        /// Partitions of a topic that is created automatically, or whose creator leaves the choice to the server.
        default_partitions: u32 = "4", range "1" to "10000", change Restart;
    }

    /// Consumer groups.
    group: Group {
        /// How long an empty group waits for more members before its first rebalance; tests set 0s.
        initial_rebalance_delay: Duration = "3s", range "0s" to "5m", change Restart;
        /// Partitions of the internal topic that keeps committed offsets; fixed when that topic is created.
        offsets_partitions: u32 = "8", range "1" to "1000", change Birth;
    }

    /// Consensus.
    raft: Raft {
        /// Unit of all Raft timers.
        tick: Duration = "250ms", range "10ms" to "10s", change Restart;
        /// Ticks between two heartbeats of a leader.
        heartbeat_ticks: u32 = "2", range "1" to "1000", change Restart;
        /// Ticks without a leader before a node stands for election; at least four heartbeats.
        election_ticks: u32 = "8", range "4" to "10000", change Restart;
        /// Time between two signs of life that nodes send each other.
        peer_ping: Duration = "100ms", range "10ms" to "10s", change Restart;
        /// Silence of a node after which the groups it leads look for another leader; at least three pings.
        suspect_after: Duration = "1s", range "100ms" to "1m", change Restart;
        /// Entries that groups which keep state (the metadata group, and offsets of consumer groups) may write before the node makes a snapshot; the metadata group then lets go of the entries behind its state.
        snapshot_log_entries: u64 = "10000", range "100" to "10000000", change Restart;
        /// Bytes that these groups may write before the node makes a snapshot.
        snapshot_log_size: Size = "64MiB", range "64KiB" to "64GiB", change Restart;
        /// Age of the newest snapshot at which the node makes another one.
        snapshot_interval: Duration = "1h", range "1s" to "365d", change Restart;
        /// Snapshots that stay: of the node, and of each group that somebody asked for. Older ones go.
        snapshot_keep: u32 = "3", range "1" to "1000", change Restart;
        /// How snapshots are compressed: `zstd`, `gzip` or `none`.
        snapshot_compression: SnapshotCompression = "zstd", change Restart;
    }

    /// When a replica counts as in sync with its leader.
    replica: Replica {
        /// A replica that lacks what its leader had this long ago is out of sync.
        lag_max_time: Duration = "10s", range "100ms" to "1h", change Restart;
        /// A replica that lacks more entries than this is out of sync.
        lag_max_entries: u64 = "1000", range "1" to "10000000", change Restart;
    }

    /// The write-ahead log, which is also the log that clients read.
    wal: Wal {
        /// Size of one segment file; segments written with another size stay readable.
        segment_size: Size = "128MiB", range "8MiB" to "2GiB", change Restart;
        /// Segment files kept written in advance, so that a new one costs no allocation while records wait.
        pool_segments: u32 = "2", range "0" to "64", change Restart;
        /// How segments are written: `direct` past the page cache, `buffered` through it, `auto` direct wherever it works.
        io: IoMode = "auto", change Restart;
        /// Largest frame, which is the most that one sync makes durable.
        frame_max: Size = "4MiB", range "2MiB" to "64MiB", change Restart;
        /// Longest wait for more records before a small frame is written.
        linger_max: Duration = "100us", range "0s" to "10ms", change Restart;
    }

    /// Records kept in memory.
    cache: Cache {
        /// Memory for the newest records of all partitions, so that consumers at the tail cause no disk reads.
        tail_bytes: Size = "128MiB", range "8MiB" to "64GiB", change Restart;
        /// Memory for reading older records of partitions that lie side by side with one read of the disk.
        read_bytes: Size = "40MiB", range "0B" to "64GiB", change Restart;
    }

    /// Bounds of the whole node.
    limits: Limits {
        /// Largest request a client may send; requests that carry no records have a lower fixed bound.
        frame_bytes: Size = "100MiB", range "1MiB" to "1GiB", change Restart;
        /// Client connections served at the same time; further ones are closed at once.
        connections: u32 = "10000", range "1" to "1000000", change Restart;
        /// Memory for requests that were read and not yet answered; at least one largest request.
        request_bytes: Size = "256MiB", range "1MiB" to "64GiB", change Restart;
    }

    /// Removal of old records.
    retention: Retention {
        /// Time between two looks for records that topics no longer keep.
        check_interval: Duration = "5m", range "100ms" to "1h", change Restart;
    }

    /// Compaction of topics that keep the newest record of each key.
    compaction: Compaction {
        /// Time between two looks for partitions that are worth it.
        check_interval: Duration = "15s", range "100ms" to "1h", change Restart;
        /// Memory for the keys of one pass; a partition with more keys in one full segment is not compacted.
        key_bytes: Size = "64MiB", range "1MiB" to "64GiB", change Restart;
    }

    /// What the server says on standard error.
    log: Log {
        /// Least severity that is logged (`error`, `warn`, `info`, `debug`, `trace`), or directives such as `info,chronik_server::raft=debug`.
        level: LogFilter = "info", change Restart;
        /// Shape of log lines: `human`, `json`, or `auto`, which is human on a terminal and JSON otherwise.
        format: LogFormat = "auto", change Restart;
    }
}

/// The variables of the process environment that are ours to read.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CHRONIK_*` variables of this server, in the order of their names.
    pub variables: Vec<(String, OsString)>,
    /// `NO_COLOR` is set to something: see <https://no-color.org>.
    pub no_color: bool,
    /// What a test wants broken.
    pub chaos: chaos::Orders,
}

impl Environment {
    /// Reads the process environment, once, at start.
    pub fn of_this_process() -> Self {
        let mut environment = Self::default();
        for (name, text) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            #[cfg(feature = "chaos")]
            match name.as_str() {
                "CHRONIK_CHAOS_MUTANT" => {
                    environment.chaos.mutant = Some(text.to_string_lossy().into_owned());
                }
                "CHRONIK_CLOCK_OFFSET_FILE" => {
                    environment.chaos.clock_offset_file = Some(PathBuf::from(text));
                    continue;
                }
                _ => {}
            }
            environment.no_color |= name == "NO_COLOR" && !text.is_empty();
            if name.starts_with("CHRONIK_") && !belongs_to_another_program(&name) {
                environment.variables.push((name, text));
            }
        }
        environment.variables.sort();
        environment
    }
}

impl Cluster {
    /// How many nodes are configured.
    pub fn nodes(&self) -> usize {
        self.peers.len().max(1)
    }

    /// Replicas of a new topic whose creator leaves the choice to the server.
    pub fn replication_factor(&self) -> u16 {
        let most = u16::try_from(self.nodes()).unwrap_or(u16::MAX);
        self.default_replication_factor
            .unwrap_or_else(|| REPLICATION_FACTOR.min(most))
    }

    /// Replicas that must hold a record before a producer with acks=all is answered.
    pub fn in_sync_minimum(&self) -> u16 {
        self.min_insync_replicas
            .unwrap_or_else(|| self.replication_factor() / 2 + 1)
    }
}

impl Config {
    /// Where other nodes reach this one, as far as that can be known before a port is bound.
    pub fn peer_address(&self) -> &Endpoint {
        let own_entry = || self.own_peer().map(|peer| &peer.endpoint);
        let advertised = self.peer.advertised.as_ref().or_else(own_entry);
        advertised.unwrap_or(&self.peer.listen)
    }

    /// This node's entry in the list of nodes.
    pub(crate) fn own_peer(&self) -> Option<&Peer> {
        let peers = &self.cluster.peers;
        peers.iter().find(|peer| peer.id == self.node.id)
    }
}

impl Default for Config {
    fn default() -> Self {
        layers::defaults()
    }
}

/// The smallest factor that survives the loss of a replica without stopping.
const REPLICATION_FACTOR: u16 = 3;

/// The load generator and the fault injector use the same prefix for their own keys.
fn belongs_to_another_program(name: &str) -> bool {
    name.starts_with("CHRONIK_BENCH_") || name.starts_with("CHRONIK_CHAOS_")
}

#[cfg(test)]
mod tests;
