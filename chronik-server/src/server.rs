//! Binds all listeners first, builds the rooms, and orders the shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::Node;
use chronik_core::consumer_group;
use chronik_core::ids::NodeId;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::admin::{self, Readiness};
use crate::broker::{self, Broker, coordinator};
use crate::config::{Config, Endpoint, IoMode};
use crate::data_dir::{DataDir, DataDirError, Identity};
use crate::kafka::{self, Door};
use crate::limits;
use crate::metrics::Metrics;
use crate::raft;

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

/// How long clients may take to be answered once the node stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until a signal asks for the end. Every listener is bound before anything is waited for.
pub async fn run(config: Config, metrics: Arc<Metrics>) -> Result<(), ServerError> {
    let doors = Doors::bind(&config).await?;
    let mut signals = Signals::new().map_err(ServerError::Signals)?;
    let (stop, stopping) = watch::channel(false);
    let (readiness, ready) = watch::channel(Readiness::starting());
    // Operators are told until the very end that the node stops.
    let mut side = JoinSet::new();
    side.spawn(serve_admin(doors.admin, metrics.clone(), ready));
    side.spawn(refuse_peers(doors.peer));

    let (_data_dir, identity) = DataDir::open(&config)?;
    let node = this_node(&config, &identity, doors.kafka_address);
    let started = tokio::select! {
        started = recover(&config, &identity, node.clone(), metrics.clone()) => started?,
        () = signals.next() => {
            info!("stopped while starting: nothing was served yet");
            return Ok(());
        }
    };
    let settings = broker_settings(&config, &node);
    let shard = started.shard.clone();
    let broker = Broker::new(
        settings,
        started.shard,
        started.view,
        started.reader,
        metrics.clone(),
    );
    let (groups, coordinators) = coordinator::new(broker.clone(), coordinator_options(&config));
    let log_dir = config.node.data_dir.clone();
    let door = Arc::new(Door::new(
        broker,
        groups,
        log_dir,
        limits::kafka(&config),
        metrics,
    ));
    let mut rooms = JoinSet::new();
    rooms.spawn(coordinators.run(stopping.clone()));
    rooms.spawn(kafka::listener::serve(doors.kafka, door, stopping));
    side.spawn(announce(started.ready, readiness.clone(), node));

    tokio::select! {
        () = signals.next() => info!("stopping: clients are answered first; a second signal stops at once"),
        Some(ended) = rooms.join_next() => error!(?ended, "a room of the node ended by itself: the node stops"),
    }
    readiness.send_replace(Readiness::stopping());
    stop.send_replace(true);
    let drain = async {
        _ = tokio::time::timeout(DRAIN, async { while rooms.join_next().await.is_some() {} }).await;
        shard.stop().await;
        _ = tokio::task::spawn_blocking(move || started.thread.join()).await;
    };
    tokio::select! {
        () = drain => info!("stopped"),
        () = signals.next() => warn!("stopped at once: the next start replays the end of the log"),
    }
    Ok(())
}

/// The three doors, bound.
struct Doors {
    kafka: TcpListener,
    kafka_address: SocketAddr,
    peer: TcpListener,
    admin: TcpListener,
}

impl Doors {
    async fn bind(config: &Config) -> Result<Doors, ServerError> {
        let kafka = bind("kafka.listen", &config.kafka.listen).await?;
        let peer = bind("peer.listen", &config.peer.listen).await?;
        let admin = bind("admin.listen", &config.admin.listen).await?;
        let address = |listener: &TcpListener| listener.local_addr().map_err(ServerError::Signals);
        let kafka_address = address(&kafka)?;
        info!(kafka = %kafka_address, peer = %address(&peer)?, admin = %address(&admin)?, "listening");
        Ok(Doors {
            kafka,
            kafka_address,
            peer,
            admin,
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

async fn serve_admin(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: watch::Receiver<Readiness>,
) {
    let state = admin::State { metrics, readiness };
    if let Err(error) = admin::serve(listener, state, std::future::pending()).await {
        warn!(%error, "the admin door closed");
    }
}

/// Other nodes come with the cluster: until then the door is bound, so that nobody else takes it, and says no.
async fn refuse_peers(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((_, peer)) => {
                debug!(%peer, "a peer connected, but this node is a cluster of its own")
            }
            Err(error) => {
                debug!(%error, "cannot accept a peer");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn recover(
    config: &Config,
    identity: &Identity,
    node: Node,
    metrics: Arc<Metrics>,
) -> Result<raft::Started, ServerError> {
    let start = raft::Start {
        log: log_options(config, identity),
        node,
        cluster_id: identity.cluster_id.clone(),
        tick: config.raft.tick,
        election_ticks: config.raft.election_ticks as usize,
        heartbeat_ticks: config.raft.heartbeat_ticks as usize,
        cache_bytes: config.cache.tail_bytes.bytes() as usize,
        retention_interval: config.retention.check_interval,
        min_insync_replicas: config.cluster.in_sync_minimum().into(),
        snapshot_log_entries: config.raft.snapshot_log_entries,
        metrics,
    };
    let started = tokio::task::spawn_blocking(move || raft::start(start)).await;
    started
        .expect("recovery does not panic")
        .map_err(|error| ServerError::Start(Box::new(error)))
}

fn log_options(config: &Config, identity: &Identity) -> chronik_wal::Options {
    let mut options = chronik_wal::Options::new(&config.node.data_dir, identity.node_uuid);
    options.segment_bytes = config.wal.segment_size.bytes();
    options.pool_segments = config.wal.pool_segments as usize;
    options.frame_max = config.wal.frame_max.bytes() as usize;
    options.linger_max = config.wal.linger_max;
    options.read_bytes = config.cache.read_bytes.bytes() as usize;
    options.io = match config.wal.io {
        IoMode::Auto => chronik_wal::IoMode::Auto,
        IoMode::Direct => chronik_wal::IoMode::Direct,
        IoMode::Buffered => chronik_wal::IoMode::Buffered,
    };
    options
}

fn this_node(config: &Config, identity: &Identity, listening: SocketAddr) -> Node {
    let (kafka_host, kafka_port) = match &config.kafka.advertised {
        Some(endpoint) => (endpoint.host().to_owned(), endpoint.port()),
        None => (config.kafka.listen.host().to_owned(), listening.port()),
    };
    Node {
        id: NodeId(config.node.id.into()),
        incarnation: identity.incarnation,
        kafka_host,
        kafka_port,
        rack: config.node.rack.clone(),
    }
}

fn broker_settings(config: &Config, node: &Node) -> broker::Settings {
    broker::Settings {
        node: node.id,
        auto_create_topics: config.topic.auto_create,
        default_partitions: config.topic.default_partitions,
        default_replication_factor: config.cluster.replication_factor().into(),
        min_insync_replicas: config.cluster.in_sync_minimum().into(),
        offsets_partitions: config.group.offsets_partitions,
    }
}

fn coordinator_options(config: &Config) -> coordinator::Options {
    let delay = config.group.initial_rebalance_delay.as_millis();
    let groups = consumer_group::Config {
        initial_rebalance_delay_ms: u64::try_from(delay).unwrap_or(u64::MAX),
        ..consumer_group::Config::default()
    };
    coordinator::Options {
        groups,
        ..coordinator::Options::default()
    }
}

/// Tells once that clients can be served.
async fn announce(
    mut ready: watch::Receiver<bool>,
    readiness: watch::Sender<Readiness>,
    node: Node,
) {
    if ready.wait_for(|ready| *ready).await.is_ok() {
        readiness.send_replace(Readiness::serving());
        info!(bootstrap = %format!("{}:{}", node.kafka_host, node.kafka_port), "serving");
    }
}
