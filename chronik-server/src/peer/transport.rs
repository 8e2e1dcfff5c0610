//! The half that works: accepts other nodes, and keeps a link to each member.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chronik_core::ids::NodeId;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::{debug, error};

use super::frame::{Identity, Pulse};
use super::limits::{ACCEPT_PAUSE, CONNECTIONS};
use super::link::{self, Link};
use super::peers::Peers;
use super::{Inbox, Lane, Member, Options, serve};

/// All peers by their number.
pub(super) type Links = BTreeMap<NodeId, Arc<Link>>;

/// The half that works. It does nothing before it is run.
pub struct Transport {
    options: Options,
    members: watch::Receiver<Vec<Member>>,
    links: watch::Sender<Arc<Links>>,
}

/// What all tasks of the transport use.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) inbox: Arc<dyn Inbox>,
    links: watch::Receiver<Arc<Links>>,
    started: Instant,
    /// The streams that are read: a new one of the same peer and lane ends the last one.
    streams: Mutex<HashMap<(NodeId, Lane), oneshot::Sender<()>>>,
}

pub(super) fn new(options: Options) -> (Peers, Transport) {
    let members = watch::Sender::new(Vec::new());
    let links = watch::Sender::new(Arc::default());
    let transport = Transport {
        members: members.subscribe(),
        links: links.clone(),
        options,
    };
    let metrics = transport.options.metrics.clone();
    (Peers::new(members, links.subscribe(), metrics), transport)
}

impl Transport {
    /// Accepts and connects until it is told to stop.
    pub async fn run(
        self,
        listener: TcpListener,
        inbox: Arc<dyn Inbox>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let shared = Arc::new(Shared {
            options: self.options,
            inbox,
            links: self.links.subscribe(),
            started: Instant::now(),
            streams: Mutex::default(),
        });
        let mut keeper = Keeper {
            shared: shared.clone(),
            links: self.links,
            running: HashMap::new(),
            tasks: JoinSet::new(),
        };
        tokio::select! {
            () = accept(shared, listener) => {}
            () = keeper.keep(self.members) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        keeper.set(Vec::new());
    }
}

impl Shared {
    pub(super) fn identity(&self) -> Identity {
        let belonging = self.options.belonging.borrow().clone();
        Identity {
            node: self.options.node,
            cluster_id: belonging.cluster_id,
            incarnation: belonging.incarnation,
            boot: self.options.boot,
        }
    }

    pub(super) fn pulse(&self, echo: u64) -> Pulse {
        Pulse {
            echo,
            wal_ok: (self.options.wal_ok)(),
            identity: self.identity(),
        }
    }

    /// Microseconds since this transport started.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn link(&self, node: NodeId) -> Option<Arc<Link>> {
        self.links.borrow().get(&node).cloned()
    }

    /// A stream of this peer is read from now on. The receiver hears when another one takes its place.
    pub(super) fn begin_stream(&self, peer: NodeId, lane: Lane) -> oneshot::Receiver<()> {
        let (sender, superseded) = oneshot::channel();
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|_, stream| !stream.is_closed());
        streams.insert((peer, lane), sender);
        superseded
    }
}

/// Makes links for members that came, and ends those of members that went.
struct Keeper {
    shared: Arc<Shared>,
    links: watch::Sender<Arc<Links>>,
    running: HashMap<NodeId, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Keeper {
    async fn keep(&mut self, mut members: watch::Receiver<Vec<Member>>) {
        loop {
            let wanted = members.borrow_and_update().clone();
            self.set(wanted);
            tokio::select! {
                changed = members.changed() => if changed.is_err() {
                    // Nobody is left who could send.
                    return;
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
    }

    fn set(&mut self, mut wanted: Vec<Member>) {
        wanted.retain(|member| member.node != self.shared.options.node);
        let mut links = Links::clone(&self.links.borrow());
        links.retain(|node, link| {
            let stays = wanted.contains(&link.member) && self.running.contains_key(node);
            if !stays {
                if let Some(task) = self.running.remove(node) {
                    task.abort();
                }
                link.close(&self.shared);
            }
            stays
        });
        wanted.retain(|member| !links.contains_key(&member.node));
        for member in wanted {
            let node = member.node;
            let (link, signs) = Link::new(member, self.shared.options.limits.lane_bytes);
            links.insert(node, link.clone());
            let task = self
                .tasks
                .spawn(link::run(self.shared.clone(), link, signs));
            self.running.insert(node, task);
        }
        self.links.send_replace(Arc::new(links));
    }

    /// A link's task never ends by itself.
    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        if let Err(error) = ended
            && !error.is_cancelled()
        {
            error!(%error, "the link to a peer failed and is made anew");
            self.running.retain(|_, task| task.id() != error.id());
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    let Ok(permit) = permits.clone().try_acquire_owned() else {
                        debug!("too many connections of peers: the newest was closed");
                        continue;
                    };
                    let shared = shared.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        serve::connection(shared, tcp).await;
                    });
                }
                Err(error) => {
                    debug!(%error, "cannot accept a peer");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => if let Err(error) = ended {
                error!(%error, "a peer's connection failed");
            },
        }
    }
}
