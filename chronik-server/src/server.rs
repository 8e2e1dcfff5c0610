//! Binds all listeners first, builds the rooms, and orders the shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::Node;
use chronik_core::consumer_group;
use chronik_core::ids::{NodeId, ReplicaId};
use chronik_fault::Planted;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::admin::{self, About, Desk, Readiness};
use crate::birth::{self, Birth};
use crate::broker::{self, Broker, coordinator};
use crate::citizen::Citizen;
use crate::config::{Config, Endpoint, IoMode, Loaded, Setting};
use crate::data_dir::{DataDir, DataDirError, Identity};
use crate::guard::Guard;
use crate::kafka::{self, Door};
use crate::limits;
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::neighbours::{Neighbours, Standing};
use crate::peer::{self, Belonging, Member, Peers, Transport};
use crate::raft::{self, Belong, Health, MetaBirth, News, SyncWatch};
use crate::snapshots::{self, Restored, Sources};

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {address} ({key}); is another server running there?")]
    Listen {
        key: &'static str,
        address: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the node cannot start from its data")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the system gives no address or no signals")]
    Signals(#[source] io::Error),
}

/// How often the log repeats that something is missing.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// How long others may take to lead what this node led.
const HAND_OVER: Duration = Duration::from_secs(3);
/// How long clients may take to be answered once the node stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until a signal asks for the end. Every listener is bound before anything is waited for.
pub async fn run(
    loaded: Loaded,
    planted: Planted,
    metrics: Arc<Metrics>,
    log: LogControl,
) -> Result<(), ServerError> {
    let Loaded {
        config, settings, ..
    } = loaded;
    let doors = Doors::bind(&config).await?;
    let mut signals = Signals::new().map_err(ServerError::Signals)?;
    let (stop, stopping) = watch::channel(false);
    let (readiness, ready) = watch::channel(Readiness::starting());
    // Operators are told until the very end that the node stops, and other nodes are heard.
    let mut side = JoinSet::new();
    let about = about(&config, settings, &doors.addresses);
    let desk = Arc::new(Desk::new(about, metrics.clone(), ready.clone(), log));
    let state = admin::State {
        metrics: metrics.clone(),
        readiness: ready,
        desk: desk.clone(),
    };
    side.spawn(serve_admin(doors.admin, state));
    if let Some(guard) = guard(&config, &doors.addresses) {
        side.spawn(guard.beat());
    }

    let (data_dir, identity) = DataDir::open(&config)?;
    let data_dir = Arc::new(data_dir);
    let (outside, transport) = Outside::new(&config, &identity, &metrics);
    let (closing, closed) = watch::channel(false);
    side.spawn(transport.run(doors.peer, outside.neighbours.clone(), closed));
    let started = tokio::select! {
        started = recover(&config, planted, &identity, &outside, metrics.clone()) => started?,
        () = signals.next() => {
            info!("stopped while starting: nothing was served yet");
            return Ok(());
        }
    };
    let shard = started.shard.clone();
    let addresses = doors.addresses;
    let broker = Broker::new(
        broker_settings(&config, &addresses, outside.boot),
        started.shard,
        outside.peers.clone(),
        started.view,
        started.leader_changes,
        started.reader,
        metrics.clone(),
    );
    let (groups, coordinators) =
        coordinator::new(broker.clone(), coordinator_options(&config, planted));
    let sources = Sources {
        broker: broker.clone(),
        shard: shard.clone(),
        state_log: started.state_log,
        metrics: metrics.clone(),
    };
    let (snapshots, maker) = snapshots::new(&config, sources);
    desk.open(
        shard.clone(),
        broker.clone(),
        outside.peers.clone(),
        groups.clone(),
        snapshots,
    );
    let watch = desk.clone().watch(stopping.clone());
    outside.neighbours.open(shard.clone(), broker.clone(), desk);
    let bootstrap = kafka_address(&config, &addresses);
    let (waiting_for, waits_for) = watch::channel(None);
    let life = Life {
        config: config.clone(),
        identity,
        data_dir,
        addresses,
        outside,
        broker: broker.clone(),
        shard: shard.clone(),
        news: started.news,
        waiting_for,
    };
    let log_dir = config.node.data_dir.clone();
    let door = Arc::new(Door::new(
        broker,
        groups,
        log_dir,
        limits::kafka(&config),
        metrics,
    ));
    let mut rooms = JoinSet::new();
    rooms.spawn(life.run(stopping.clone()));
    rooms.spawn(coordinators.run(stopping.clone()));
    rooms.spawn(watch);
    rooms.spawn(maker.run(stopping.clone()));
    rooms.spawn(kafka::listener::serve(doors.kafka, door, stopping));
    side.spawn(announce(
        started.health,
        waits_for,
        readiness.clone(),
        bootstrap,
    ));

    tokio::select! {
        () = signals.next() => info!("stopping: others lead, then clients are answered; a second signal stops at once"),
        Some(ended) = rooms.join_next() => error!(?ended, "a room of the node ended by itself: the node stops"),
    }
    readiness.send_replace(Readiness::stopping());
    let drain = async {
        _ = tokio::time::timeout(HAND_OVER, shard.hand_over()).await;
        stop.send_replace(true);
        _ = tokio::time::timeout(DRAIN, async { while rooms.join_next().await.is_some() {} }).await;
        shard.stop().await;
        _ = tokio::task::spawn_blocking(move || started.thread.join()).await;
        closing.send_replace(true);
    };
    tokio::select! {
        () = drain => info!("stopped"),
        () = signals.next() => warn!("stopped at once: the next start replays the end of the log"),
    }
    Ok(())
}

/// Nobody takes over from a node that is alone: its clients may as well wait for it.
fn guard(config: &Config, listening: &Addresses) -> Option<Guard> {
    if !config.node.guard || config.cluster.peers.len() < 2 {
        return None;
    }
    let guard = Guard::start(listening.kafka, config.raft.suspect_after);
    guard
        .inspect_err(|error| warn!(%error, "there is no guard: should this process freeze, clients wait for it"))
        .ok()
}

/// What this node has of the others.
struct Outside {
    boot: u64,
    peers: Peers,
    neighbours: Arc<Neighbours>,
    belonging: watch::Sender<Belonging>,
    standing: watch::Sender<Standing>,
    sync_watch: Arc<SyncWatch>,
}

impl Outside {
    fn new(config: &Config, identity: &Identity, metrics: &Arc<Metrics>) -> (Self, Transport) {
        // Two lives of a process never have the same.
        let boot = uuid::Uuid::new_v4().as_u64_pair().0;
        let standing = watch::Sender::new(standing_of(identity));
        let belonging = watch::Sender::new(Belonging {
            cluster_id: cluster_of(identity),
            incarnation: identity.incarnation,
        });
        let sync_watch = Arc::new(SyncWatch::new());
        let options = peer::Options {
            node: NodeId(config.node.id.into()),
            boot,
            belonging: belonging.subscribe(),
            wal_ok: {
                let sync_watch = sync_watch.clone();
                Arc::new(move || sync_watch.is_ok())
            },
            ping: config.raft.peer_ping,
            suspect_after: config.raft.suspect_after,
            limits: peer::Limits::default(),
            metrics: metrics.clone(),
        };
        let (peers, transport) = peer::new(options);
        peers.set_members(configured(config));
        let hash = birth::peers_hash(config);
        let neighbours = Neighbours::new(standing.subscribe(), hash, metrics.clone());
        let outside = Outside {
            boot,
            peers,
            neighbours: Arc::new(neighbours),
            belonging,
            standing,
            sync_watch,
        };
        (outside, transport)
    }
}

/// The way of this node into its cluster, and its life there.
struct Life {
    config: Config,
    identity: Identity,
    data_dir: Arc<DataDir>,
    addresses: Addresses,
    outside: Outside,
    broker: Broker,
    shard: raft::ShardHandle,
    news: mpsc::Receiver<News>,
    waiting_for: watch::Sender<Option<String>>,
}

impl Life {
    async fn run(self, mut stopping: watch::Receiver<bool>) {
        let identity = tokio::select! {
            identity = self.belong() => identity,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let identity = match identity {
            Ok(identity) => identity,
            Err(error) => {
                error!(%error, "what this node belongs to cannot be written down: the node stops");
                return;
            }
        };
        self.shard.belong(belong(&self.config, &identity));
        let citizen = Citizen {
            node: this_node(&self.config, &identity, &self.addresses),
            identity,
            data_dir: self.data_dir,
            configured: configured(&self.config),
            broker: self.broker,
            peers: self.outside.peers,
            news: self.news,
            belonging: self.outside.belonging,
            standing: self.outside.standing,
        };
        citizen.run(stopping).await;
    }

    /// Returns once this node belongs to a cluster, and has written that down.
    async fn belong(&self) -> Result<Identity, DataDirError> {
        if self.identity.incarnation > 0 {
            return Ok(self.identity.clone());
        }
        let birth = Birth {
            config: &self.config,
            peers: &self.outside.peers,
            standing: &self.outside.standing,
            waiting_for: &self.waiting_for,
        };
        let identity = birth.belong(self.identity.clone()).await;
        let (data_dir, written) = (self.data_dir.clone(), identity.clone());
        let write = move || data_dir.belongs(&written);
        let wrote = tokio::task::spawn_blocking(write).await;
        wrote.expect("writing does not panic")?;
        self.outside.belonging.send_replace(Belonging {
            cluster_id: cluster_of(&identity),
            incarnation: identity.incarnation,
        });
        if !identity.cluster_id.is_empty() {
            self.outside.standing.send_replace(standing_of(&identity));
        }
        self.waiting_for.send_replace(None);
        Ok(identity)
    }
}

/// What this node is in the groups of its cluster.
fn belong(config: &Config, identity: &Identity) -> Belong {
    let founders = identity.founders.iter().map(|id| NodeId((*id).into()));
    let known = [Some(&identity.cluster_id), config.cluster.id.as_ref()];
    let cluster_id = known.into_iter().flatten().find(|id| !id.is_empty());
    Belong {
        replica: ReplicaId::new(NodeId(config.node.id.into()), identity.incarnation),
        meta: match identity.founders.is_empty() {
            true => MetaBirth::Joined,
            false => MetaBirth::Founded(founders.collect()),
        },
        cluster_id: cluster_id
            .cloned()
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
    }
}

fn standing_of(identity: &Identity) -> Standing {
    match cluster_of(identity) {
        Some(cluster_id) => Standing::Member { cluster_id },
        None if identity.incarnation > 0 => Standing::Founding {
            seen: identity
                .seen
                .iter()
                .map(|(node, directory)| (NodeId((*node).into()), *directory))
                .collect(),
        },
        None => Standing::Empty {
            directory: identity.node_uuid,
        },
    }
}

fn cluster_of(identity: &Identity) -> Option<Arc<str>> {
    (!identity.cluster_id.is_empty()).then(|| identity.cluster_id.as_str().into())
}

/// The nodes that the configuration names, this one included.
fn configured(config: &Config) -> Vec<Member> {
    let member = |peer: &crate::config::Peer| Member {
        node: NodeId(peer.id.into()),
        peer_address: peer.endpoint.to_string(),
    };
    config.cluster.peers.iter().map(member).collect()
}

/// The three doors, bound.
struct Doors {
    kafka: TcpListener,
    peer: TcpListener,
    admin: TcpListener,
    addresses: Addresses,
}

/// Where the doors listen, as far as others are told.
struct Addresses {
    kafka: SocketAddr,
    peer: SocketAddr,
    admin: SocketAddr,
}

impl Doors {
    async fn bind(config: &Config) -> Result<Doors, ServerError> {
        let kafka = bind("kafka.listen", &config.kafka.listen).await?;
        bound_send_buffers(&kafka, config.kafka.send_buffer_bytes.in_memory());
        let peer = bind("peer.listen", &config.peer.listen).await?;
        let admin = bind("admin.listen", &config.admin.listen).await?;
        let address = |listener: &TcpListener| listener.local_addr().map_err(ServerError::Signals);
        let addresses = Addresses {
            kafka: address(&kafka)?,
            peer: address(&peer)?,
            admin: address(&admin)?,
        };
        info!(kafka = %addresses.kafka, peer = %addresses.peer, admin = %addresses.admin, "listening");
        Ok(Doors {
            kafka,
            peer,
            admin,
            addresses,
        })
    }
}

async fn bind(key: &'static str, endpoint: &Endpoint) -> Result<TcpListener, ServerError> {
    let address = endpoint.to_string();
    TcpListener::bind(&address)
        .await
        .map_err(|source| ServerError::Listen {
            key,
            address,
            source,
        })
}

/// Connections have what their listener has. A failure costs speed and memory of the kernel, nothing else.
fn bound_send_buffers(listener: &TcpListener, bytes: usize) {
    if bytes == 0 {
        return;
    }
    if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(listener, bytes) {
        warn!(%error, "send buffers keep the kernel's size");
    }
}

/// SIGTERM and SIGINT alike. A file that reaches its size limit is an error of a write, and no silent death.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    _file_size: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn serve_admin(listener: TcpListener, state: admin::State) {
    if let Err(error) = admin::serve(listener, state, std::future::pending()).await {
        warn!(%error, "the admin door closed");
    }
}

async fn recover(
    config: &Config,
    planted: Planted,
    identity: &Identity,
    outside: &Outside,
    metrics: Arc<Metrics>,
) -> Result<raft::Started, ServerError> {
    let start = raft::Start {
        log: log_options(config, planted, identity),
        planted,
        node: NodeId(config.node.id.into()),
        boot: outside.boot,
        peers: outside.peers.clone(),
        sync_watch: outside.sync_watch.clone(),
        lag_max: config.replica.lag_max_time,
        tick: config.raft.tick,
        election_ticks: config.raft.election_ticks as usize,
        heartbeat_ticks: config.raft.heartbeat_ticks as usize,
        cache_bytes: config.cache.tail_bytes.bytes() as usize,
        retention_interval: config.retention.check_interval,
        compaction_interval: config.compaction.check_interval,
        key_bytes: config.compaction.key_bytes.in_memory(),
        min_insync_replicas: config.cluster.in_sync_minimum().into(),
        snapshot_log_entries: config.raft.snapshot_log_entries,
        restored: Restored::of(&config.node.data_dir, identity),
        metrics,
    };
    let started = tokio::task::spawn_blocking(move || raft::start(start)).await;
    started
        .expect("recovery does not panic")
        .map_err(|error| ServerError::Start(Box::new(error)))
}

fn log_options(config: &Config, planted: Planted, identity: &Identity) -> chronik_wal::Options {
    let mut options = chronik_wal::Options::new(&config.node.data_dir, identity.node_uuid);
    options.segment_bytes = config.wal.segment_size.bytes();
    options.pool_segments = config.wal.pool_segments as usize;
    options.frame_max = config.wal.frame_max.bytes() as usize;
    options.linger_max = config.wal.linger_max;
    options.read_bytes = config.cache.read_bytes.bytes() as usize;
    options.planted = planted;
    options.io = match config.wal.io {
        IoMode::Auto => chronik_wal::IoMode::Auto,
        IoMode::Direct => chronik_wal::IoMode::Direct,
        IoMode::Buffered => chronik_wal::IoMode::Buffered,
    };
    options
}

fn this_node(config: &Config, identity: &Identity, listening: &Addresses) -> Node {
    let (kafka_host, kafka_port) = kafka_address(config, listening);
    let peer = config.peer_address();
    let peer_port = match peer.port() {
        0 => listening.peer.port(),
        port => port,
    };
    Node {
        id: NodeId(config.node.id.into()),
        incarnation: identity.incarnation,
        peer_address: format!("{}:{peer_port}", peer.host()),
        kafka_host,
        kafka_port,
        rack: config.node.rack.clone(),
    }
}

/// What operators are told of this node, whatever state it is in.
fn about(config: &Config, settings: Vec<Setting>, listening: &Addresses) -> About {
    let (kafka_host, kafka_port) = kafka_address(config, listening);
    let peer = config.peer_address();
    About {
        node: NodeId(config.node.id.into()),
        kafka_address: format!("{kafka_host}:{kafka_port}"),
        peer_address: format!("{}:{}", peer.host(), listening.peer.port()),
        admin_address: format!("{}:{}", config.admin.listen.host(), listening.admin.port()),
        rack: config.node.rack.clone(),
        data_dir: config.node.data_dir.clone(),
        settings,
    }
}

/// Where clients are told to find this node.
fn kafka_address(config: &Config, listening: &Addresses) -> (String, u16) {
    match &config.kafka.advertised {
        Some(endpoint) => (endpoint.host().to_owned(), endpoint.port()),
        None => (
            config.kafka.listen.host().to_owned(),
            listening.kafka.port(),
        ),
    }
}

fn broker_settings(config: &Config, listening: &Addresses, boot: u64) -> broker::Settings {
    let others = config.cluster.peers.iter().map(|peer| peer.id);
    let others = others.filter(|id| *id != config.node.id);
    broker::Settings {
        node: NodeId(config.node.id.into()),
        kafka_address: kafka_address(config, listening),
        boot,
        peers: others.map(|id| NodeId(id.into())).collect(),
        auto_create_topics: config.topic.auto_create,
        default_partitions: config.topic.default_partitions,
        default_replication_factor: config.cluster.replication_factor().into(),
        min_insync_replicas: config.cluster.in_sync_minimum().into(),
        offsets_partitions: config.group.offsets_partitions,
    }
}

fn coordinator_options(config: &Config, planted: Planted) -> coordinator::Options {
    let delay = config.group.initial_rebalance_delay.as_millis();
    let groups = consumer_group::Config {
        initial_rebalance_delay_ms: u64::try_from(delay).unwrap_or(u64::MAX),
        planted,
        ..consumer_group::Config::default()
    };
    coordinator::Options {
        groups,
        ..coordinator::Options::default()
    }
}

/// Tells operators whether clients can be served, and if not, what is missing, until the node stops.
async fn announce(
    mut health: watch::Receiver<Health>,
    mut waits_for: watch::Receiver<Option<String>>,
    readiness: watch::Sender<Readiness>,
    (host, port): (String, u16),
) {
    let mut said_at = None;
    loop {
        let now = health.borrow_and_update().clone();
        let birth = waits_for.borrow_and_update().clone();
        let missing = now.missing.join("; ");
        let told = match (now.missing.is_empty(), now.has_served) {
            _ if birth.is_some() => Readiness::waiting_for(birth.unwrap_or_default()),
            (true, _) => Readiness::serving(),
            (false, false) => Readiness::waiting_for(format!("the node starts: {missing}")),
            (false, true) => Readiness::waiting_for(missing),
        };
        let changed = readiness.send_if_modified(|present| {
            let may_change = *present != Readiness::stopping();
            may_change && std::mem::replace(present, told.clone()) != told
        });
        // Counts change all the time while leaders go: that something is missing is said once in a while.
        let is_said = said_at.is_some_and(|at: Instant| at.elapsed() < SAY_AGAIN);
        said_at = match told.ready {
            true => None,
            false if is_said => said_at,
            false => Some(Instant::now()),
        };
        match (changed && !is_said, told.ready, now.has_served) {
            (true, true, _) => info!(bootstrap = %format!("{host}:{port}"), "serving"),
            (true, false, true) => warn!("not everything is served: {}", told.reasons.join("; ")),
            (true, false, false) => debug!("{}", told.reasons.join("; ")),
            (false, ..) => {}
        }
        tokio::select! {
            changed = health.changed() => if changed.is_err() {
                return;
            },
            Ok(()) = waits_for.changed() => {}
        }
    }
}
