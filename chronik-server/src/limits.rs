//! Bounds that are nobody's choice, with the proofs that they fit together. What operators may choose is in `config`.

use std::time::Duration;

use crate::config::Config;
use crate::kafka;
use crate::kafka::connection::ConnectionLimits;
use crate::kafka::frame::FrameLimits;

/// Threads that run connections.
pub const RUNTIME_WORKERS: usize = 2;
/// Threads that wait for files.
pub const RUNTIME_BLOCKING_THREADS: usize = 4;

/// The largest request that carries no records; group members and topic lists are far smaller.
pub const CONTROL_FRAME_BYTES: usize = 16 << 20;
/// Requests of one connection that are read and not yet answered.
pub const CONNECTION_REQUESTS: usize = 128;
/// Answers that wait for a slow reader before nothing more is read from it.
pub const CONNECTION_OUTBOX_BYTES: usize = 1 << 20;
/// Silence after which a connection is closed; Kafka's clients expect ten minutes.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(600);
/// How long a client may refuse to take any byte.
pub const CONNECTION_WRITE: Duration = Duration::from_secs(30);
/// How long a request may take to arrive, besides its length at the slowest speed.
pub const REQUEST_ARRIVAL: Duration = Duration::from_secs(30);
/// The slowest sender that is served.
pub const SLOWEST_BYTES_PER_S: u64 = 64 << 10;
/// How long requests in progress may take once the node stops.
pub const CONNECTION_DRAIN: Duration = Duration::from_secs(5);

/// What accepting waits after an error.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often a node tells its guard that it runs.
pub const GUARD_BEAT: Duration = Duration::from_millis(100);
/// How long the guard listens at once.
pub const GUARD_LOOK: Duration = Duration::from_millis(200);
/// Admin connections at the same time.
pub const ADMIN_CONNECTIONS: usize = 64;
/// Header lines of an admin request.
pub const ADMIN_HEADERS: usize = 64;
/// Bytes of an admin request's head.
pub const ADMIN_BUFFER_BYTES: usize = 16 << 10;
/// Bytes of an admin request's body.
pub const ADMIN_BODY_BYTES: usize = 64 << 10;
/// Bytes of a plan of moves: some 50 for each of 20,000 partitions.
pub const ADMIN_PLAN_BYTES: usize = 1 << 20;
/// Bytes of a snapshot that travel at once, between nodes and to operators.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// Things that happened and are remembered for operators.
pub const EVENTS: usize = 4096;
/// How often a node looks whether something happened.
pub const EVENTS_EVERY: Duration = Duration::from_millis(250);
/// A stream of events ends after so long: its caller goes on with another one.
pub const EVENTS_STREAM_LIFETIME: Duration = Duration::from_secs(45);
/// Requests in progress on one admin connection.
pub const ADMIN_STREAMS: u32 = 16;
/// Consumer groups that one question about all of them describes at once.
pub const ADMIN_GROUPS_AT_ONCE: usize = 64;
/// How long the head of an admin request may take, the pause before it included.
pub const ADMIN_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an admin connection may live, whatever it does.
pub const ADMIN_CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long admin answers in progress may take once the door closes.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// The bounds of the clients' door: what operators chose and what they cannot.
pub fn kafka(config: &Config) -> kafka::Limits {
    let limits = &config.limits;
    kafka::Limits {
        connections: limits.connections as usize,
        request_bytes: limits.request_bytes.bytes(),
        frame: FrameLimits {
            produce_bytes: limits.frame_bytes.in_memory(),
            other_bytes: CONTROL_FRAME_BYTES.min(limits.frame_bytes.in_memory()),
            arrival_timeout: REQUEST_ARRIVAL,
            slowest_bytes_per_s: SLOWEST_BYTES_PER_S,
        },
        connection: ConnectionLimits {
            in_flight: CONNECTION_REQUESTS,
            outbox_bytes: CONNECTION_OUTBOX_BYTES,
            idle_timeout: CONNECTION_IDLE,
            write_timeout: CONNECTION_WRITE,
            drain_timeout: CONNECTION_DRAIN,
        },
    }
}

// A client that is silent because its request takes long to arrive is not idle.
const _: () = assert!(CONNECTION_IDLE.as_secs() > REQUEST_ARRIVAL.as_secs());
// A reader is given up before its own request would be, so that its answers do not pile up behind it.
const _: () = assert!(CONNECTION_WRITE.as_secs() <= REQUEST_ARRIVAL.as_secs());
// Requests in progress end before operators' tools lose patience: Kubernetes kills after thirty seconds.
const _: () = assert!(CONNECTION_DRAIN.as_secs() + ADMIN_DRAIN.as_secs() < 30);
// Idempotent clients keep five requests in flight; a bound below that would stall every one of them.
const _: () = assert!(CONNECTION_REQUESTS >= 5);
// One beat that is late is no silence.
const _: () = assert!(GUARD_LOOK.as_millis() >= 2 * GUARD_BEAT.as_millis());
// All admin connections together hold little memory, since they are served before anybody is authenticated.
const _: () = assert!(EVENTS_STREAM_LIFETIME.as_secs() < ADMIN_CONNECTION_LIFETIME.as_secs());
const _: () = assert!(ADMIN_CONNECTIONS * ADMIN_BUFFER_BYTES <= 4 << 20);
// The HTTP library refuses buffers below eight kibibytes.
const _: () = assert!(ADMIN_BUFFER_BYTES >= 8 << 10);
const _: () = assert!(ADMIN_HEADER_TIMEOUT.as_secs() < ADMIN_CONNECTION_LIFETIME.as_secs());
// Reading files must not starve: one thread recovers the log while others answer.
const _: () = assert!(RUNTIME_BLOCKING_THREADS > 1);
