//! The clients of a run: producers, readers and group members, each one thread with one connection at a time.

mod asker;
mod auditor;
mod black_box;
mod finals;
mod member;
mod producer;
mod replicas;
mod router;
mod watcher;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chronik_check::Contract;
use chronik_check::header::partition_hash;
use chronik_check::history::Name;

pub(crate) use black_box::{Library, install as install_black_boxes};
pub(crate) use finals::read_finally;
pub(crate) use replicas::read_replicas;
pub(crate) use router::{cluster_view, replicas_on};

use self::black_box::BlackBox;
use self::member::{Manner, Member};
use crate::history::Journal;
use crate::net::Network;
use crate::scenario::Workload;

/// The one topic of a run.
pub(crate) const TOPIC: &str = "chaos";
/// The one consumer group of a run.
pub(crate) const GROUP: &str = "chaos-group";

/// What every client needs.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) journal: Journal,
    pub(crate) bootstrap: Arc<Vec<SocketAddr>>,
    pub(crate) contract: Contract,
    pub(crate) run: u64,
    pub(crate) seed: u64,
    pub(crate) partitions: u32,
    pub(crate) workload: Workload,
    /// Runs producers of other libraries.
    pub(crate) python: Option<PathBuf>,
    pub(crate) progress: Arc<Progress>,
}

/// What the run wants to know while it goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    stop_producers: AtomicBool,
    stop_readers: AtomicBool,
    partitions: Vec<PartitionProgress>,
    pub(crate) read_records: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct PartitionProgress {
    pub(crate) acked_batches: AtomicU64,
    /// When the latest acknowledged batch was sent.
    pub(crate) acked_invoked_ns: AtomicU64,
    /// One past the highest acknowledged offset.
    pub(crate) acked_end: AtomicU64,
}

impl PartitionProgress {
    /// A batch that was sent at this time is acknowledged; it ends before this offset, if that is known.
    fn acked(&self, invoked_ns: u64, end: u64) {
        self.acked_batches.fetch_add(1, Ordering::Relaxed);
        self.acked_invoked_ns
            .fetch_max(invoked_ns, Ordering::Relaxed);
        self.acked_end.fetch_max(end, Ordering::Relaxed);
    }
}

impl Progress {
    pub(crate) fn new(partitions: u32) -> Progress {
        Progress {
            stop_producers: AtomicBool::new(false),
            stop_readers: AtomicBool::new(false),
            partitions: (0..partitions)
                .map(|_| PartitionProgress::default())
                .collect(),
            read_records: AtomicU64::new(0),
        }
    }

    pub(crate) fn of(&self, partition: i32) -> &PartitionProgress {
        &self.partitions[usize::try_from(partition).expect("partitions count from zero")]
    }

    pub(crate) fn acked(&self) -> u64 {
        let batches = self.partitions.iter();
        batches
            .map(|partition| partition.acked_batches.load(Ordering::Relaxed))
            .sum()
    }

    /// Whether every partition has acknowledged something that was sent after this.
    pub(crate) fn all_acked_after(&self, time_ns: u64) -> bool {
        let mut partitions = self.partitions.iter();
        partitions.all(|partition| partition.acked_invoked_ns.load(Ordering::Relaxed) > time_ns)
    }

    fn producers_stop(&self) -> bool {
        self.stop_producers.load(Ordering::Relaxed)
    }

    fn readers_stop(&self) -> bool {
        self.stop_readers.load(Ordering::Relaxed)
    }
}

/// All running clients.
#[derive(Debug)]
pub(crate) struct Load {
    clients: Clients,
    producers: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(clients: Clients, network: Option<&Network>) -> io::Result<Load> {
        let workload = clients.workload.clone();
        let partitions = i32::try_from(clients.partitions).expect("a topic has few partitions");
        let mut load = Load {
            clients,
            producers: Vec::new(),
            readers: Vec::new(),
        };
        for partition in 0..partitions {
            for number in 0..workload.producers {
                let producer = number * partitions.cast_unsigned() + partition.cast_unsigned() + 1;
                let work = producer::Producer::new(load.clients.clone(), producer, partition);
                load.producers
                    .push(spawn("producer", network, move || work.run())?);
            }
            for number in 0..workload.assign {
                let work = auditor::Auditor::tail(load.clients.clone(), partition, number == 0);
                load.readers
                    .push(spawn("auditor", network, move || work.run())?);
            }
            for _ in 0..workload.reread {
                let work = auditor::Auditor::rereading(load.clients.clone(), partition);
                load.readers
                    .push(spawn("rereader", network, move || work.run())?);
            }
        }
        load.add_black_boxes(&workload, network)?;
        let nodes = Arc::clone(&load.clients.bootstrap);
        for (node, address) in (1..).zip(nodes.iter()) {
            let work = watcher::Watcher::new(load.clients.clone(), node, *address);
            load.readers
                .push(spawn("watcher", network, move || work.run())?);
            if workload.ask_everybody {
                let work = asker::Asker::new(load.clients.clone(), *address);
                load.readers
                    .push(spawn("asker", network, move || work.run())?);
            }
        }
        let orderly = (0..workload.group).map(|_| Manner::Orderly);
        for manner in orderly.chain((0..workload.zombies).map(|_| Manner::Zombie)) {
            let work = Member::new(load.clients.clone(), manner);
            load.readers
                .push(spawn("member", network, move || work.run())?);
        }
        Ok(load)
    }

    fn add_black_boxes(
        &mut self,
        workload: &Workload,
        network: Option<&Network>,
    ) -> io::Result<()> {
        let Some(python) = self.clients.python.clone() else {
            return Ok(());
        };
        for (number, library) in (0..).zip(&workload.black_box) {
            let start = || BlackBox::start(self.clients.clone(), *library, number, &python);
            let work = match network {
                Some(network) => network.hosts[0].enter(start)?,
                None => start()?,
            };
            self.producers
                .push(spawn("black box", network, move || work.run())?);
        }
        Ok(())
    }

    /// Lets every producer finish what it has begun, and readers see the rest of it.
    pub(crate) fn stop(self) {
        self.clients
            .progress
            .stop_producers
            .store(true, Ordering::Relaxed);
        join(self.producers);
        self.clients
            .progress
            .stop_readers
            .store(true, Ordering::Relaxed);
        join(self.readers);
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Starts a client's thread on the clients' host.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    network: Option<&Network>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let spawn = || thread::Builder::new().name(name.to_owned()).spawn(work);
    match network {
        // A thread starts where the one that starts it is.
        Some(network) => network.hosts[0].enter(spawn),
        None => spawn(),
    }
}

impl Clients {
    pub(crate) fn name_of(&self, partition: i32) -> Name {
        Name::from(format!("{TOPIC}/{partition}").as_str())
    }

    pub(crate) fn hash_of(&self, partition: i32) -> u32 {
        partition_hash(TOPIC, partition.cast_unsigned())
    }
}

/// Waits a little; everything that waits here looks at a flag in between.
pub(crate) fn rest(duration: Duration) {
    thread::sleep(duration);
}

/// Sleeps until a time, in steps short enough to notice the end of the load.
fn rest_until(time: Instant, stops: impl Fn() -> bool) {
    const STEP: Duration = Duration::from_millis(50);
    loop {
        let left = time.saturating_duration_since(Instant::now());
        if left.is_zero() || stops() {
            return;
        }
        rest(left.min(STEP));
    }
}
