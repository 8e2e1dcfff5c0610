//! Everything about one peer: its two lanes, its breaker, and the task that watches over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use chronik_core::ids::NodeId;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{info, warn};

use super::breaker::{Breaker, State};
use super::call::Calls;
use super::limits::SIGNS;
use super::liveness::{Doubt, Liveness, Sign, Watch};
use super::outbox::Outbox;
use super::transport::Shared;
use super::{Lane, Member, dial};
use crate::metrics::PeerNode;

/// What others may do with a peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) member: Member,
    pub(super) calls: Calls,
    control: Arc<Outbox>,
    bulk: Arc<Outbox>,
    /// The state of the breaker, for those who send.
    is_open: AtomicU8,
    signs: mpsc::Sender<Sign>,
    /// The peer was heard of: an attempt to connect need not wait.
    pub(super) heard: [Notify; 2],
    /// Counts control connections that were given up, and takes the bulk connection with them.
    pub(super) given_up: watch::Sender<u64>,
}

impl Link {
    pub(super) fn new(member: Member, lane_bytes: usize) -> (Arc<Self>, mpsc::Receiver<Sign>) {
        let (signs, observed) = mpsc::channel(SIGNS);
        let link = Arc::new(Self {
            member,
            calls: Calls::default(),
            control: Outbox::new(lane_bytes),
            bulk: Outbox::new(lane_bytes),
            is_open: AtomicU8::new(State::Closed.number()),
            signs,
            heard: [Notify::new(), Notify::new()],
            given_up: watch::Sender::new(0),
        });
        (link, observed)
    }

    pub(super) fn node(&self) -> NodeId {
        self.member.node
    }

    pub(super) fn label(&self) -> PeerNode {
        PeerNode(self.member.node.0)
    }

    pub(super) fn outbox(&self, lane: Lane) -> &Arc<Outbox> {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Whether the breaker refuses.
    pub(super) fn refuses(&self) -> bool {
        self.is_open.load(Ordering::Relaxed) != State::Closed.number()
    }

    /// Something was observed. Signs come again, so one that does not fit may be lost.
    pub(super) fn sign(&self, sign: Sign) {
        let _ = self.signs.try_send(sign);
    }

    /// The peer has just said hello: both lanes try to connect now if they were waiting.
    pub(super) fn peer_appeared(&self) {
        self.heard.iter().for_each(Notify::notify_waiters);
    }

    /// Nothing that waits will ever be sent.
    pub(super) fn close(&self, shared: &Shared) {
        self.is_open.store(State::Open.number(), Ordering::Relaxed);
        self.drop_waiting(Lane::Control, shared);
        self.drop_waiting(Lane::Bulk, shared);
    }

    /// What waits on a lane is lost, and so are answers that were awaited there.
    pub(super) fn drop_waiting(&self, lane: Lane, shared: &Shared) {
        let lost = self.outbox(lane).clear();
        let metrics = &shared.options.metrics.peer;
        metrics.dropped.at(self.label()).add(lost as u64);
        if lane == Lane::Control {
            self.calls.abandon();
        }
    }
}

/// Keeps both lanes connected and watches over the peer, for ever.
pub(super) async fn run(shared: Arc<Shared>, link: Arc<Link>, observed: mpsc::Receiver<Sign>) {
    tokio::join!(
        watch_over(&shared, &link, observed),
        dial::keep_connected(&shared, &link, Lane::Control),
        dial::keep_connected(&shared, &link, Lane::Bulk),
    );
}

async fn watch_over(shared: &Shared, link: &Link, mut observed: mpsc::Receiver<Sign>) {
    let suspect_after = shared.options.suspect_after;
    let mut watch = Watch::new(link.node(), suspect_after, Instant::now());
    let mut breaker = Breaker::new();
    publish(shared, link, &breaker);
    loop {
        let deadline = watch.deadline();
        let change = tokio::select! {
            Some(sign) = observed.recv() => {
                turn(&mut breaker, sign);
                watch.sign(sign, Instant::now())
            }
            () = until(deadline) => {
                let change = watch.passed(Instant::now());
                if change.is_some() {
                    breaker.silent();
                }
                change
            }
        };
        if matches!(change, Some(Liveness::Alive { .. })) {
            // Whoever hears that the node is there may send to it at once: it waits until the lanes are connected.
            breaker.answered();
        }
        publish(shared, link, &breaker);
        if let Some(change) = change {
            tell(shared, link, change);
        }
    }
}

fn turn(breaker: &mut Breaker, sign: Sign) {
    match sign {
        Sign::Dialing => breaker.attempt(),
        Sign::DialFailed => breaker.failed(),
        Sign::Answered => breaker.answered(),
        Sign::Broken | Sign::Pulse { .. } | Sign::Stalled => {}
    }
}

/// Senders see the breaker's state; what waits behind an open one is dropped, because it would arrive too late.
fn publish(shared: &Shared, link: &Link, breaker: &Breaker) {
    let number = breaker.state().number();
    let before = link.is_open.swap(number, Ordering::Relaxed);
    let gauge = shared.options.metrics.peer.breaker.at(link.label());
    gauge.set(i64::from(number));
    if before == State::Closed.number() && number != before {
        link.drop_waiting(Lane::Control, shared);
        link.drop_waiting(Lane::Bulk, shared);
    }
}

fn tell(shared: &Shared, link: &Link, change: Liveness) {
    let (peer, address) = (link.node().0, &link.member.peer_address);
    match change {
        Liveness::Suspect { why, .. } => {
            let why = match why {
                Doubt::Silent => "it is silent",
                Doubt::Refused => "it is gone",
                Doubt::Stalled => "its log stalls",
            };
            warn!(peer, %address, "the node is suspected: {why}")
        }
        Liveness::Alive { boot, .. } => {
            info!(peer, %address, boot = format_args!("{boot:x}"), "the node is alive")
        }
        Liveness::Unreachable(_) => {}
    }
    let is_alive = matches!(change, Liveness::Alive { .. });
    let gauge = shared.options.metrics.peer.alive.at(link.label());
    gauge.set(i64::from(is_alive));
    shared.inbox.liveness(change);
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
