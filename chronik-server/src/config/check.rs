//! Rules between keys: each says what is wrong with the values together, and what to write instead.

mod peers;

use super::layers::{Layers, Problem};
use super::value::Endpoint;
use super::{Config, Size};

/// Every rule that the configuration breaks.
pub(super) fn problems(config: &Config, layers: &Layers) -> Vec<Problem> {
    let broken = [
        advertised_address(config),
        replication_factor(config),
        in_sync_replicas(config),
        election_timeout(config),
        suspicion(config),
        request_memory(config),
        segment_alignment(config),
        segment_size(config),
    ];
    broken
        .into_iter()
        .flatten()
        .chain(peers::broken(config))
        .chain(colliding_doors(config))
        .map(|(path, message)| Problem {
            origin: layers.origin_of(path),
            message,
        })
        .collect()
}

/// What is allowed and probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let factor = config.cluster.replication_factor();
    let was_chosen = config.cluster.default_replication_factor.is_some();
    let even = (was_chosen && factor.is_multiple_of(2)).then(|| {
        format!(
            "`cluster.default_replication_factor` = {factor} survives no more failures than {} would",
            factor - 1
        )
    });
    let minimum = config.cluster.in_sync_minimum();
    let rigid = (factor > 2 && minimum == factor).then(|| {
        format!(
            "`cluster.min_insync_replicas` = {minimum} is every replica: \
             while one node is away, producers with acks=all are refused"
        )
    });
    even.into_iter()
        .chain(rigid)
        .chain(peers::warning(config))
        .collect()
}

/// The key to blame, and why.
type Broken = (&'static str, String);

/// Direct writes and frames start and end on multiples of this.
const BLOCK_BYTES: u64 = 4096;

fn advertised_address(config: &Config) -> Option<Broken> {
    let kafka = &config.kafka;
    match &kafka.advertised {
        Some(advertised) if advertised.is_wildcard() => Some((
            "kafka.advertised",
            format!(
                "`kafka.advertised` = \"{advertised}\" is an address nobody can connect to; \
                 write the name by which clients reach this node, like \"broker-1.example:{}\"",
                advertised.port()
            ),
        )),
        Some(advertised) if advertised.port() == 0 => Some((
            "kafka.advertised",
            format!("`kafka.advertised` = \"{advertised}\" needs the port that clients connect to"),
        )),
        None if kafka.listen.is_wildcard() => Some((
            "kafka.listen",
            format!(
                "`kafka.listen` = \"{}\" listens on every address, so clients must be told one of them: \
                 set `kafka.advertised`, like \"broker-1.example:{}\"",
                kafka.listen,
                kafka.listen.port()
            ),
        )),
        _ => None,
    }
}

fn replication_factor(config: &Config) -> Option<Broken> {
    let factor = config.cluster.replication_factor();
    let nodes = config.cluster.nodes();
    (usize::from(factor) > nodes).then(|| {
        let message = format!(
            "`cluster.default_replication_factor` = {factor} needs as many nodes, and there is {nodes}; write {nodes}"
        );
        ("cluster.default_replication_factor", message)
    })
}

fn in_sync_replicas(config: &Config) -> Option<Broken> {
    let minimum = config.cluster.in_sync_minimum();
    let factor = config.cluster.replication_factor();
    (minimum > factor).then(|| {
        let message = format!(
            "`cluster.min_insync_replicas` = {minimum} exceeds `cluster.default_replication_factor` = {factor}: \
             no record could ever be acknowledged; write at most {factor}"
        );
        ("cluster.min_insync_replicas", message)
    })
}

fn election_timeout(config: &Config) -> Option<Broken> {
    let raft = &config.raft;
    let least = raft.heartbeat_ticks.saturating_mul(4);
    (raft.election_ticks < least).then(|| {
        let message = format!(
            "`raft.election_ticks` = {} is less than four times `raft.heartbeat_ticks` = {}: \
             one late heartbeat would depose a leader; write at least {least}",
            raft.election_ticks, raft.heartbeat_ticks
        );
        ("raft.election_ticks", message)
    })
}

fn suspicion(config: &Config) -> Option<Broken> {
    let raft = &config.raft;
    let least = raft.peer_ping * 3;
    (raft.suspect_after < least).then(|| {
        let message = format!(
            "`raft.suspect_after` = {:?} is less than three times `raft.peer_ping` = {:?}: \
             one late sign of life would depose leaders; write at least {}ms",
            raft.suspect_after,
            raft.peer_ping,
            least.as_millis()
        );
        ("raft.suspect_after", message)
    })
}

fn request_memory(config: &Config) -> Option<Broken> {
    let limits = &config.limits;
    (limits.request_bytes < limits.frame_bytes).then(|| {
        let message = format!(
            "`limits.request_bytes` = {} cannot hold one request of `limits.frame_bytes` = {}",
            limits.request_bytes, limits.frame_bytes
        );
        ("limits.request_bytes", message)
    })
}

fn segment_alignment(config: &Config) -> Option<Broken> {
    let aligned = |size: Size| size.bytes().is_multiple_of(BLOCK_BYTES);
    let (path, size) = [
        ("wal.segment_size", config.wal.segment_size),
        ("wal.frame_max", config.wal.frame_max),
    ]
    .into_iter()
    .find(|(_, size)| !aligned(*size))?;
    let rounded = Size(size.bytes().next_multiple_of(BLOCK_BYTES));
    Some((
        path,
        format!("`{path}` = {size} is not a multiple of 4KiB; write {rounded}"),
    ))
}

fn segment_size(config: &Config) -> Option<Broken> {
    let wal = &config.wal;
    (wal.segment_size.bytes() < 2 * wal.frame_max.bytes()).then(|| {
        let message = format!(
            "`wal.segment_size` = {} must hold at least two frames of `wal.frame_max` = {}",
            wal.segment_size, wal.frame_max
        );
        ("wal.segment_size", message)
    })
}

fn colliding_doors(config: &Config) -> Vec<Broken> {
    let doors: [(&'static str, &Endpoint); 3] = [
        ("kafka.listen", &config.kafka.listen),
        ("peer.listen", &config.peer.listen),
        ("admin.listen", &config.admin.listen),
    ];
    let mut broken = Vec::new();
    for (position, (path, door)) in doors.iter().enumerate() {
        for (other_path, other) in &doors[..position] {
            if door.collides_with(other) {
                let message = format!(
                    "`{path}` = \"{door}\" collides with `{other_path}` = \"{other}\"; give each door its own port"
                );
                broken.push((*path, message));
            }
        }
    }
    broken
}
