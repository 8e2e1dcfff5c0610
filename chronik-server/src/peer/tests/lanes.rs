//! Real transports over the loopback: order, requests, suspicion, refusal, recovery.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::group::eraftpb::{Entry, Message, MessageType};
use chronik_core::ids::NodeId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::metrics::{Metrics, PeerNode};
use crate::peer::{
    self, Belonging, CallError, GroupMessage, Inbox, Lane, Limits, Liveness, Member, Options,
    Peers, Refused,
};

/// Far more than anything here takes; a test that waits longer has failed.
const BOUND: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq)]
enum Heard {
    Messages(NodeId, Vec<GroupMessage>),
    Liveness(Liveness),
}

/// Keeps what arrives, in order.
struct Recorder(mpsc::Sender<Heard>);

impl Inbox for Recorder {
    fn messages(&self, from: NodeId, messages: Vec<GroupMessage>) {
        self.0
            .try_send(Heard::Messages(from, messages))
            .expect("room for a test");
    }

    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        match &request[..] {
            b"refuse" => future::ready(Err(format!("not for node {from}"))).boxed(),
            b"never" => future::pending().boxed(),
            _ => future::ready(Ok(request)).boxed(),
        }
    }

    fn liveness(&self, change: Liveness) {
        self.0
            .try_send(Heard::Liveness(change))
            .expect("room for a test");
    }
}

struct Node {
    id: NodeId,
    address: SocketAddr,
    peers: Peers,
    heard: mpsc::Receiver<Heard>,
    metrics: Arc<Metrics>,
    wal_ok: Arc<AtomicBool>,
    belonging: watch::Sender<Belonging>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Node {
    async fn start(id: u64, cluster: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(id, cluster, listener, Limits::default())
    }

    fn start_on(id: u64, cluster: Option<&str>, listener: TcpListener, limits: Limits) -> Self {
        let address = listener.local_addr().unwrap();
        let (belonging, belongs) = watch::channel(Belonging {
            cluster_id: cluster.map(Into::into),
            incarnation: 1,
        });
        let metrics = Arc::<Metrics>::default();
        let wal_ok = Arc::new(AtomicBool::new(true));
        let is_ok = wal_ok.clone();
        let (peers, transport) = peer::new(Options {
            node: NodeId(id),
            boot: u64::from(address.port()),
            belonging: belongs,
            wal_ok: Arc::new(move || is_ok.load(Ordering::Relaxed)),
            ping: Duration::from_millis(20),
            suspect_after: Duration::from_secs(1),
            limits,
            metrics: metrics.clone(),
        });
        let (recorder, heard) = mpsc::channel(100_000);
        let (stop, stopping) = watch::channel(false);
        let inbox = Arc::new(Recorder(recorder));
        let running = tokio::spawn(transport.run(listener, inbox, stopping));
        Self {
            id: NodeId(id),
            address,
            peers,
            heard,
            metrics,
            wal_ok,
            belonging,
            stop,
            running,
        }
    }

    fn member(&self) -> Member {
        Member {
            node: self.id,
            peer_address: self.address.to_string(),
        }
    }

    async fn stop(self) -> SocketAddr {
        self.stop.send_replace(true);
        timeout(BOUND, self.running).await.unwrap().unwrap();
        self.address
    }

    async fn next(&mut self) -> Heard {
        timeout(BOUND, self.heard.recv())
            .await
            .expect("in time")
            .expect("a recorder")
    }

    async fn await_liveness(&mut self, wanted: impl Fn(Liveness) -> bool) {
        loop {
            if let Heard::Liveness(change) = self.next().await
                && wanted(change)
            {
                return;
            }
        }
    }

    async fn await_alive(&mut self) {
        self.await_liveness(|change| matches!(change, Liveness::Alive { .. }))
            .await;
    }

    async fn await_suspect(&mut self) {
        self.await_liveness(|change| matches!(change, Liveness::Suspect { .. }))
            .await;
    }

    /// Group messages until there are so many.
    async fn await_messages(&mut self, count: usize) -> Vec<GroupMessage> {
        let mut received = Vec::new();
        while received.len() < count {
            if let Heard::Messages(_, messages) = self.next().await {
                received.extend(messages);
            }
        }
        received
    }

    /// One message to a node that is said to be alive.
    fn greet(&mut self, to: NodeId) {
        self.peers
            .send(to, Lane::Control, heartbeat(0))
            .expect("a node that is alive is sent to");
        self.peers.flush();
    }
}

async fn pair() -> (Node, Node) {
    let mut one = Node::start(1, Some("c")).await;
    let mut two = Node::start(2, Some("c")).await;
    introduce(&one, &two);
    one.await_alive().await;
    two.await_alive().await;
    (one, two)
}

fn introduce(one: &Node, two: &Node) {
    let members = vec![one.member(), two.member()];
    one.peers.set_members(members.clone());
    two.peers.set_members(members);
}

fn heartbeat(group: u64) -> GroupMessage {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgHeartbeat);
    GroupMessage { group, message }
}

fn append(group: u64, index: u64, bytes: usize) -> GroupMessage {
    let entry = Entry {
        index,
        data: vec![7; bytes].into(),
        ..Entry::default()
    };
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgAppend);
    message.set_entries(vec![entry].into());
    GroupMessage { group, message }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_whole_and_in_order() {
    let (mut one, mut two) = pair().await;
    one.greet(two.id);
    two.await_messages(1).await;
    const COUNT: u64 = 3_000;
    for index in 0..COUNT {
        let bytes = (index as usize * 37) % 20_000;
        one.peers
            .send(two.id, Lane::Bulk, append(5, index, bytes))
            .expect("room");
        if index % 10 == 0 {
            one.peers.flush();
        }
    }
    one.peers.flush();
    let received = two.await_messages(COUNT as usize).await;
    let indexes: Vec<u64> = received
        .iter()
        .map(|m| m.message.entries[0].index)
        .collect();
    assert_eq!(indexes, (0..COUNT).collect::<Vec<_>>());
    let lens_fit = received.iter().all(|received| {
        let entry = &received.message.entries[0];
        entry.data.len() == (entry.index as usize * 37) % 20_000
    });
    assert!(lens_fit);
    // Pings keep going in both directions, so round trips are measured.
    assert!(one.metrics.peer.round_trip.at(PeerNode(2)).count() > 0);
    assert_eq!(one.metrics.peer.breaker.at(PeerNode(2)).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_a_lane_goes_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits {
        lane_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut one = Node::start_on(1, None, listener, limits);
    let mut two = Node::start(2, None).await;
    introduce(&one, &two);
    two.await_alive().await;
    one.await_alive().await;
    one.greet(two.id);
    two.await_messages(1).await;
    one.peers
        .send(two.id, Lane::Bulk, append(5, 1, 5 << 20))
        .expect("an empty lane");
    let refused = one.peers.send(two.id, Lane::Bulk, append(5, 2, 1 << 20));
    one.peers.flush();
    let received = two.await_messages(1).await;
    assert_eq!(received[0].message.entries[0].data.len(), 5 << 20);
    // The first one may have left before the second one came.
    assert!(matches!(refused, Ok(()) | Err(Refused::Full)));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_refused_or_given_up() {
    let (one, two) = pair().await;
    let call = |request: &'static [u8], deadline| one.peers.call(two.id, request.into(), deadline);
    assert_eq!(call(b"echo", BOUND).await, Ok("echo".into()));
    let refused = CallError::Refused("not for node 1".into());
    assert_eq!(call(b"refuse", BOUND).await, Err(refused));
    let late = call(b"never", Duration::from_millis(20)).await;
    assert_eq!(late, Err(CallError::TimedOut));
    let stranger = one
        .peers
        .call(NodeId(9), "echo".into(), Duration::from_millis(20));
    assert_eq!(stranger.await, Err(CallError::Unreachable));
    let many = (0..500).map(|_| call(b"echo", BOUND));
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_cluster_say_who_they_are() {
    let one = Node::start(1, None).await;
    let two = Node::start(2, None).await;
    introduce(&one, &two);
    let hello = one.peers.hello(two.id, BOUND).await.expect("an answer");
    assert_eq!((hello.node, hello.cluster_id), (two.id, None));
    two.belonging
        .send_modify(|belonging| belonging.cluster_id = Some("c".into()));
    let hello = one.peers.hello(two.id, BOUND).await.expect("an answer");
    assert_eq!(hello.cluster_id.as_deref(), Some("c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_is_suspected_at_once_and_its_breaker_refuses() {
    let (mut one, two) = pair().await;
    let waiting = {
        let peers = one.peers.clone();
        let to = two.id;
        tokio::spawn(async move { peers.call(to, "never".into(), BOUND).await })
    };
    let (to, address) = (two.id, two.stop().await);
    one.await_suspect().await;
    assert_eq!(waiting.await.unwrap(), Err(CallError::Unreachable));
    let start = Instant::now();
    let refused = one.peers.send(to, Lane::Control, heartbeat(1));
    assert_eq!(refused, Err(Refused::Open));
    assert_eq!(
        one.peers.call(to, "echo".into(), BOUND).await,
        Err(CallError::Open)
    );
    assert!(start.elapsed() < BOUND / 2, "an open breaker does not wait");
    assert!(one.metrics.peer.breaker.at(PeerNode(2)).get() > 0);
    // It comes back by itself, as another process.
    let listener = TcpListener::bind(address).await.unwrap();
    let mut two = Node::start_on(2, Some("c"), listener, Limits::default());
    introduce(&one, &two);
    one.await_alive().await;
    one.greet(to);
    two.await_messages(1).await;
    assert_eq!(one.metrics.peer.breaker.at(PeerNode(2)).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_connections_and_says_nothing_is_suspected() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut one = Node::start(1, Some("c")).await;
    one.peers.set_members(vec![Member {
        node: NodeId(2),
        peer_address: silent.local_addr().unwrap().to_string(),
    }]);
    one.await_suspect().await;
    let refused = one.peers.send(NodeId(2), Lane::Bulk, append(1, 1, 10));
    assert_eq!(refused, Err(Refused::Open));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stalls_is_told_to_the_others() {
    let (mut one, two) = pair().await;
    two.wal_ok.store(false, Ordering::Relaxed);
    one.await_suspect().await;
    two.wal_ok.store(true, Ordering::Relaxed);
    one.await_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_never_mix() {
    let mut one = Node::start(1, Some("ours")).await;
    let mut two = Node::start(2, Some("theirs")).await;
    introduce(&one, &two);
    one.await_suspect().await;
    two.await_suspect().await;
    let refused = one.peers.send(two.id, Lane::Control, heartbeat(1));
    assert_eq!(refused, Err(Refused::Open));
    assert_eq!(one.metrics.peer.received.at(PeerNode(2)).get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_that_are_born_apart_part() {
    let mut one = Node::start(1, None).await;
    let mut two = Node::start(2, None).await;
    introduce(&one, &two);
    one.await_alive().await;
    two.await_alive().await;
    one.belonging
        .send_modify(|belonging| belonging.cluster_id = Some("a".into()));
    two.belonging
        .send_modify(|belonging| belonging.cluster_id = Some("b".into()));
    one.await_suspect().await;
    two.await_suspect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_noticed() {
    let mut one = Node::start(1, None).await;
    let three = Node::start(3, None).await;
    one.peers.set_members(vec![Member {
        node: NodeId(2),
        peer_address: three.address.to_string(),
    }]);
    one.await_suspect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_unknown() {
    let (mut one, two) = pair().await;
    one.peers.set_members(Vec::new());
    timeout(BOUND, async {
        while one.peers.send(two.id, Lane::Control, heartbeat(1)) != Err(Refused::Unknown) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_bytes_are_answered_by_the_end_of_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let one = Node::start(1, None).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], b""] {
        let mut tcp = tokio::net::TcpStream::connect(one.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = timeout(BOUND, tcp.read_to_end(&mut answer))
            .await
            .expect("in time");
    }
}
