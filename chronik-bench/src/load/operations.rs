//! Loads without records: connections and group members that come and go, topics that are created, looked up and deleted.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;

use super::delivery::client_error_name;
use super::shared::Shared;
use crate::client::ClientSettings;
use crate::error::BenchError;
use crate::pacer::{Pacing, Schedule};
use crate::recorder::{Recorder, Tag};
use crate::topic::{BrokerAddress, Cluster};
use crate::window::Phase;

const CONNECT_BOUND: Duration = Duration::from_secs(10);
/// ApiVersions (18) version 0, correlation id 7, client id "bench".
const API_VERSIONS: &[u8] = b"\x00\x00\x00\x0f\x00\x12\x00\x00\x00\x00\x00\x07\x00\x05bench";
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Kafka waits three seconds for further members of a new group.
const JOIN_BOUND_NS: u64 = 60_000_000_000;
const JOIN_SLICE: Duration = Duration::from_millis(5);

/// Opens a connection, asks for the versions, closes it, and so on.
pub(crate) struct Connector {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    /// `None` is the closed loop.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) pacing: Pacing,
    pub(crate) operations: Option<u64>,
    pub(crate) worker: u32,
}

/// Creates a topic, looks it up, deletes it, and so on.
pub(crate) struct TopicWorker {
    pub(crate) cluster: Cluster,
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    pub(crate) partitions: u32,
    pub(crate) replicas: u32,
    pub(crate) operations: Option<u64>,
    pub(crate) worker: u32,
}

/// Joins a group, leaves it, and so on.
pub(crate) struct Joiner {
    pub(crate) client: ClientSettings,
    pub(crate) group: String,
    pub(crate) topics: Vec<String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
}

/// Notices when the group has given partitions.
#[derive(Default)]
struct Membership {
    has_joined: AtomicBool,
}

pub(crate) fn addresses(brokers: &[BrokerAddress]) -> Vec<SocketAddr> {
    brokers
        .iter()
        .filter_map(|broker| (broker.host.as_str(), broker.port).to_socket_addrs().ok())
        .flatten()
        .collect()
}

impl Connector {
    pub(crate) fn run(mut self) {
        let mut counted = 0;
        let mut number = self.worker as usize;
        while let Some(intended_ns) = self.next_instant() {
            let phase = self.shared.window.phase_of(intended_ns);
            let outcome = match self.addresses.get(number % self.addresses.len().max(1)) {
                Some(address) => greet(*address).map_err(|error| error.kind().to_string()),
                None => Err("no broker has an address".to_owned()),
            };
            number += 1;
            done(
                &mut self.recorder,
                &self.shared,
                Tag::Connect,
                (intended_ns, phase),
                outcome,
            );
            counted += u64::from(phase == Phase::Window);
            if self.operations.is_some_and(|limit| counted >= limit) {
                break;
            }
        }
    }

    fn next_instant(&mut self) -> Option<u64> {
        let clock = self.shared.clock();
        let intended_ns = self.schedule.as_mut().map(Schedule::next_ns);
        loop {
            let now_ns = clock.now_ns();
            self.recorder.rotate(now_ns);
            let due_ns = intended_ns.unwrap_or(now_ns);
            if self.shared.is_stopped() || due_ns >= self.shared.window.end_ns() {
                return None;
            }
            if now_ns >= due_ns {
                return Some(due_ns);
            }
            self.pacing.spend(due_ns - now_ns);
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {
        // What goes wrong ends in the bound on joining, which is counted.
    }
}

impl ConsumerContext for Membership {
    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.has_joined.store(true, Ordering::Relaxed);
        }
    }
}

impl Joiner {
    pub(crate) fn run(mut self) {
        let clock = self.shared.clock();
        while !self.shared.is_stopped() && clock.now_ns() < self.shared.window.end_ns() {
            let begin_ns = clock.now_ns();
            let phase = self.shared.window.phase_of(begin_ns);
            let outcome = self.join(begin_ns + JOIN_BOUND_NS);
            let Some(outcome) = outcome else {
                return;
            };
            let when = (begin_ns, phase);
            done(
                &mut self.recorder,
                &self.shared,
                Tag::GroupJoin,
                when,
                outcome,
            );
        }
    }

    /// Becomes a member and leaves again; `None` if the load ended meanwhile.
    fn join(&mut self, deadline_ns: u64) -> Option<Result<(), String>> {
        let clock = self.shared.clock();
        let consumer: Result<BaseConsumer<Membership>, KafkaError> = self
            .client
            .consumer(&self.group)
            .create_with_context(Membership::default());
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let consumer = match consumer.and_then(|consumer| {
            consumer.subscribe(&topics)?;
            Ok(consumer)
        }) {
            Ok(consumer) => consumer,
            Err(error) => return Some(Err(client_error_name(&error))),
        };
        while !consumer.context().has_joined.load(Ordering::Relaxed) {
            // Records are of no interest here.
            let _ = consumer.poll(JOIN_SLICE);
            let now_ns = clock.now_ns();
            self.recorder.rotate(now_ns);
            if self.shared.is_stopped() {
                return None;
            }
            if now_ns > deadline_ns {
                return Some(Err("NotJoined".to_owned()));
            }
        }
        Some(Ok(()))
    }
}

impl TopicWorker {
    pub(crate) fn run(mut self) {
        let clock = self.shared.clock();
        let mut counted = 0;
        let mut number = 0;
        while !self.shared.is_stopped() && clock.now_ns() < self.shared.window.end_ns() {
            let name = format!(
                "chronik-bench-{:x}-{}-{number}",
                self.shared.run, self.worker
            );
            number += 1;
            let phase = self.shared.window.phase_of(clock.now_ns());
            let (partitions, replicas) = (self.partitions, self.replicas);
            self.time(Tag::TopicCreate, |cluster| {
                cluster.create_topic(&name, partitions, replicas)
            });
            self.time(Tag::Metadata, |cluster| cluster.layout(&name).map(drop));
            self.time(Tag::TopicDelete, |cluster| cluster.delete_topic(&name));
            counted += u64::from(phase == Phase::Window);
            if self.operations.is_some_and(|limit| counted >= limit) {
                break;
            }
        }
    }

    fn time(&mut self, tag: Tag, act: impl FnOnce(&Cluster) -> Result<(), BenchError>) {
        let clock = self.shared.clock();
        let begin_ns = clock.now_ns();
        let phase = self.shared.window.phase_of(begin_ns);
        let outcome = act(&self.cluster).map_err(|error| error.to_string());
        self.recorder.rotate(clock.now_ns());
        done(
            &mut self.recorder,
            &self.shared,
            tag,
            (begin_ns, phase),
            outcome,
        );
    }
}

/// Counts and times one operation.
fn done(
    recorder: &mut Recorder,
    shared: &Shared,
    tag: Tag,
    (begin_ns, phase): (u64, Phase),
    outcome: Result<(), String>,
) {
    let now_ns = shared.clock().now_ns();
    let is_inside = shared.window.contains(now_ns);
    let counters = recorder.counters();
    counters.sent += 1;
    counters.intended += u64::from(phase == Phase::Window);
    match outcome {
        Ok(()) => {
            counters.operations += 1;
            recorder.acknowledged(begin_ns, now_ns, 0);
            recorder.record(tag, phase, (now_ns - begin_ns) / 1_000);
        }
        Err(name) => {
            counters.failed += 1;
            counters.window_failed += u64::from(is_inside);
            counters.intended_failed += u64::from(phase == Phase::Window);
            recorder.error(name);
        }
    }
}

fn greet(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_BOUND)?;
    stream.set_read_timeout(Some(CONNECT_BOUND))?;
    stream.set_write_timeout(Some(CONNECT_BOUND))?;
    stream.set_nodelay(true)?;
    stream.write_all(API_VERSIONS)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if !(6..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)
}
