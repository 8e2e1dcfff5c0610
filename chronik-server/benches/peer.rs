//! What the lanes between nodes cost: bulk at a fixed rate from one runtime to another, with requests on the control
//! lane meanwhile. Prints CPU seconds per gigabyte for both sides and the latency of the requests.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program prints and gives up"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_core::group::eraftpb::{Entry, Message, MessageType};
use chronik_core::ids::NodeId;
use chronik_server::metrics::Metrics;
use chronik_server::peer::{
    self, Belonging, GroupMessage, Inbox, Lane, Limits, Liveness, Member, Options, Peers, Refused,
};
use clap::Parser;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

#[derive(Parser)]
struct Arguments {
    /// Megabytes per second on the bulk lane; 0 sends as much as fits
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Bytes of an entry
    #[arg(long, default_value_t = 65536)]
    entry: usize,
    /// How long to measure
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let received = Arc::new(AtomicU64::new(0));
    let sender = Node::start(1, "bench-send", Arc::new(AtomicU64::new(0)));
    let receiver = Node::start(2, "bench-recv", received.clone());
    let members = vec![sender.member(), receiver.member()];
    sender.peers.set_members(members.clone());
    receiver.peers.set_members(members);
    let hello = sender.peers.hello(receiver.id, Duration::from_secs(10));
    sender.runtime.block_on(hello).unwrap();
    println!(
        "{}",
        latency("control lane, nothing else", &sender, receiver.id, 2)
    );
    let before = cpu_by_thread_name();
    let start = Instant::now();
    let shard = {
        let peers = sender.peers.clone();
        let to = receiver.id;
        thread::Builder::new()
            .name("bench-shard".into())
            .spawn(move || send(peers, to, &arguments))
            .unwrap()
    };
    let seconds = Arguments::parse().seconds;
    println!(
        "{}",
        latency("control lane, beside bulk", &sender, receiver.id, seconds)
    );
    let refused = shard.join().unwrap();
    let elapsed = start.elapsed().as_secs_f64();
    let gigabytes = received.load(Ordering::Relaxed) as f64 / 1e9;
    println!(
        "bulk: {:.0} MB/s over {elapsed:.1} s, {refused} refused because the lane was full",
        gigabytes * 1e3 / elapsed
    );
    let mut total = 0.0;
    for (name, cpu) in cpu_by_thread_name() {
        let earlier = before.iter().find(|(other, _)| *other == name);
        let seconds = cpu - earlier.map_or(0.0, |(_, seconds)| *seconds);
        total += seconds;
        println!(
            "  {name:12} {:.3} CPU s per GB, {:.3} cores",
            seconds / gigabytes,
            seconds / elapsed
        );
    }
    println!(
        "  {:12} {:.3} CPU s per GB, {:.3} cores",
        "all",
        total / gigabytes,
        total / elapsed
    );
}

struct Node {
    id: NodeId,
    address: String,
    peers: Peers,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
    _belonging: watch::Sender<Belonging>,
}

/// Counts the bytes of entries and forgets them.
struct Counter(Arc<AtomicU64>);

impl Inbox for Counter {
    fn messages(&self, _from: NodeId, messages: Vec<GroupMessage>) {
        for message in messages {
            let entries = message.message.entries.iter();
            let bytes: usize = entries.map(|entry| entry.data.len()).sum();
            self.0.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    fn call(&self, _from: NodeId, request: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        future::ready(Ok(request)).boxed()
    }

    fn liveness(&self, _change: Liveness) {}
}

impl Node {
    fn start(id: u64, name: &str, received: Arc<AtomicU64>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (belonging, belongs) = watch::channel(Belonging::default());
        let (peers, transport) = peer::new(Options {
            node: NodeId(id),
            boot: id,
            belonging: belongs,
            wal_ok: Arc::new(|| true),
            ping: Duration::from_millis(100),
            suspect_after: Duration::from_secs(1),
            limits: Limits::default(),
            metrics: Arc::<Metrics>::default(),
        });
        let (stop, stopping) = watch::channel(false);
        runtime.spawn(transport.run(listener, Arc::new(Counter(received)), stopping));
        Self {
            id: NodeId(id),
            address,
            peers,
            runtime,
            _stop: stop,
            _belonging: belonging,
        }
    }

    fn member(&self) -> Member {
        Member {
            node: self.id,
            peer_address: self.address.clone(),
        }
    }
}

/// What a shard does: some messages for every turn, then a flush. Returns how often the lane was full.
fn send(mut peers: Peers, to: NodeId, arguments: &Arguments) -> u64 {
    const TURN: Duration = Duration::from_millis(1);
    let entry = Entry {
        data: vec![7; arguments.entry].into(),
        ..Entry::default()
    };
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgAppend);
    message.set_entries(vec![entry].into());
    let start = Instant::now();
    let (mut sent, mut refused) = (0u64, 0);
    while start.elapsed() < Duration::from_secs(arguments.seconds) {
        let due = match arguments.rate {
            0 => u64::MAX,
            rate => rate * u64::try_from(start.elapsed().as_micros()).unwrap(),
        };
        while sent < due {
            let message = message.clone();
            match peers.send(to, Lane::Bulk, GroupMessage { group: 1, message }) {
                Ok(()) => sent += arguments.entry as u64,
                Err(Refused::Full) => {
                    refused += 1;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        peers.flush();
        thread::sleep(TURN);
    }
    println!(
        "bench-shard: {:.3} CPU s",
        cpu_of(Path::new("/proc/thread-self"))
    );
    refused
}

/// Requests one after the other, with a pause between them.
fn latency(what: &str, sender: &Node, to: NodeId, seconds: u64) -> String {
    let mut latencies = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let begin = Instant::now();
        let call = sender
            .peers
            .call(to, Bytes::from_static(b"echo"), Duration::from_secs(10));
        sender.runtime.block_on(call).unwrap();
        latencies.push(begin.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    latencies.sort();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 1000];
    format!(
        "{what}: {} requests, p50 {:?}, p99 {:?}, p99.9 {:?}, most {:?}",
        latencies.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    )
}

fn cpu_of(thread: &Path) -> f64 {
    let times = fs::read_to_string(thread.join("schedstat")).unwrap();
    let running_ns: f64 = times.split(' ').next().unwrap().parse().unwrap();
    running_ns / 1e9
}

/// CPU seconds of this process's threads, summed by their names.
fn cpu_by_thread_name() -> Vec<(String, f64)> {
    let mut sums: Vec<(String, f64)> = Vec::new();
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path();
        let name = fs::read_to_string(path.join("comm"))
            .unwrap()
            .trim()
            .to_owned();
        let seconds = cpu_of(&path);
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += seconds,
            None => sums.push((name, seconds)),
        }
    }
    sums
}
