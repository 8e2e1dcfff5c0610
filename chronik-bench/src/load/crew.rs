//! The threads of a load, each with its own clients and recorder, made before the clock starts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Barrier};
use std::thread::Scope;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer};

use super::Stage;
use super::account::AccountEvent;
use super::delivery::{self, Deliveries};
use super::gate::Gate;
use super::operations::{Connector, Joiner, TopicWorker};
use super::reader::{self, Positions, Reader, ReaderDesk, ReaderStatus};
use super::round_trip::RoundTripper;
use super::sender::{Sender, TransactionState};
use super::shared::Shared;
use crate::cli::{Mode, Verify};
use crate::clock::Clock;
use crate::error::BenchError;
use crate::pacer::Schedule;
use crate::plan::{Drive, Plan};
use crate::recorder::{Recorder, Snapshot};
use crate::topic::{Offsets, TopicLayout};
use crate::workload::{Keys, PayloadPool, PoolOptions};

const TRANSACTIONS_READY: Duration = Duration::from_secs(60);

/// Where the threads send what they know.
#[derive(Clone)]
pub(crate) struct Outlets {
    pub(crate) snapshots: SyncSender<Snapshot>,
    pub(crate) statistics: SyncSender<Vec<u8>>,
    pub(crate) account: Option<SyncSender<AccountEvent>>,
}

/// Threads that wait for the start.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    gates: Vec<Arc<Gate>>,
    readers: Vec<Arc<ReaderStatus>>,
    /// Partitions that each group reads.
    reader_partitions: usize,
    drivers_left: Arc<AtomicUsize>,
    members: Vec<Member>,
    sources: usize,
}

/// One thread to be.
struct Member {
    /// Drivers end by themselves; the others serve until the load is finished.
    is_driver: bool,
    /// Work that takes time and must be done before the clock starts.
    prepare: Box<dyn FnOnce() -> Box<dyn FnOnce() + Send> + Send>,
}

/// What is needed to make members.
struct Muster<'a> {
    plan: &'a Plan,
    stage: &'a Stage<'a>,
    places: &'a BTreeMap<String, u32>,
    outlets: Outlets,
    crew: Crew,
}

impl Crew {
    pub(crate) fn muster(
        plan: &Plan,
        stage: &Stage<'_>,
        places: &BTreeMap<String, u32>,
        outlets: Outlets,
    ) -> Result<Self, BenchError> {
        let mut muster = Muster {
            plan,
            stage,
            places,
            outlets,
            crew: Self {
                shared: Arc::new(Shared::new(plan.run)),
                gates: Vec::new(),
                readers: Vec::new(),
                reader_partitions: 0,
                drivers_left: Arc::new(AtomicUsize::new(0)),
                members: Vec::new(),
                sources: 0,
            },
        };
        if plan.has_consumers() {
            muster.add_readers()?;
        }
        if plan.has_producers() {
            for index in 0..plan.producers {
                muster.add_producer(index)?;
            }
        }
        match plan.mode {
            Mode::RoundTrip => muster.add_round_trippers()?,
            Mode::Connect => muster.add_connectors()?,
            Mode::Metadata => muster.add_topic_workers()?,
            _ => {}
        }
        Ok(muster.crew)
    }

    /// Starts all threads, waits until each is ready, and lets them go at once.
    pub(crate) fn start<'scope>(&mut self, scope: &'scope Scope<'scope, '_>) -> Clock {
        let members = std::mem::take(&mut self.members);
        let ready = Arc::new(Barrier::new(members.len() + 1));
        let go = Arc::new(Barrier::new(members.len() + 1));
        for member in members {
            let (ready, go) = (Arc::clone(&ready), Arc::clone(&go));
            let drivers_left = Arc::clone(&self.drivers_left);
            if member.is_driver {
                drivers_left.fetch_add(1, Ordering::SeqCst);
            }
            scope.spawn(move || {
                let work = (member.prepare)();
                ready.wait();
                go.wait();
                work();
                if member.is_driver {
                    drivers_left.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        ready.wait();
        let clock = self.shared.begin();
        go.wait();
        clock
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn sources(&self) -> usize {
        self.sources
    }

    pub(crate) fn are_drivers_done(&self) -> bool {
        self.drivers_left.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.gates.iter().map(|gate| gate.outstanding()).sum()
    }

    /// Records of this run that the slowest group has read.
    pub(crate) fn own_read(&self) -> u64 {
        let mut by_group: BTreeMap<u32, u64> = BTreeMap::new();
        for reader in &self.readers {
            *by_group.entry(reader.group).or_default() += reader.own.load(Ordering::Relaxed);
        }
        by_group.values().copied().min().unwrap_or(0)
    }

    pub(crate) fn consumed(&self) -> u64 {
        let readers = self.readers.iter();
        readers
            .map(|reader| reader.consumed.load(Ordering::Relaxed))
            .sum()
    }

    /// Whether readers have met the end of every partition.
    pub(crate) fn has_met_all_ends(&self) -> bool {
        let met: u64 = self
            .readers
            .iter()
            .map(|reader| reader.ends_met.load(Ordering::Relaxed))
            .sum();
        !self.readers.is_empty() && met >= self.reader_partitions as u64
    }
}

impl Muster<'_> {
    fn recorder(&mut self) -> Recorder {
        let source = self.crew.sources;
        self.crew.sources += 1;
        let window = Arc::clone(&self.crew.shared.window);
        Recorder::new(source, window, self.outlets.snapshots.clone())
    }

    fn add_driver<Work>(&mut self, prepare: impl FnOnce() -> Work + Send + 'static)
    where
        Work: FnOnce() + Send + 'static,
    {
        self.crew.members.push(Member {
            is_driver: true,
            prepare: Box::new(move || Box::new(prepare())),
        });
    }

    fn add_servant(&mut self, work: impl FnOnce() + Send + 'static) {
        self.crew.members.push(Member {
            is_driver: false,
            prepare: Box::new(move || Box::new(work)),
        });
    }

    fn producer(
        &mut self,
        index: u32,
        limit: u64,
    ) -> Result<(Arc<BaseProducer<Deliveries>>, Arc<Gate>), BenchError> {
        let plan = self.plan;
        let gate = Arc::new(Gate::new(limit));
        self.crew.gates.push(Arc::clone(&gate));
        let is_transactional = plan.transaction_messages.is_some();
        let context = Deliveries {
            shared: Arc::clone(&self.crew.shared),
            gate: Arc::clone(&gate),
            statistics: self.outlets.statistics.clone(),
            touched: is_transactional.then(Arc::default),
        };
        let id =
            is_transactional.then(|| format!("chronik-bench-{:x}-{index}", self.crew.shared.run));
        let producer: BaseProducer<Deliveries> = plan
            .client
            .producer(index, id)
            .create_with_context(context)
            .map_err(BenchError::client)?;
        if is_transactional {
            producer
                .init_transactions(TRANSACTIONS_READY)
                .map_err(BenchError::cluster(
                    "preparing transactions",
                    &plan.bootstrap,
                ))?;
        }
        Ok((Arc::new(producer), gate))
    }

    fn add_poller(&mut self, producer: &Arc<BaseProducer<Deliveries>>) {
        let producer = Arc::clone(producer);
        let recorder = self.recorder();
        let account = self.outlets.account.clone();
        let is_open_loop = self.plan.is_open_loop();
        self.add_servant(move || {
            delivery::poll_loop(&producer, recorder, account, is_open_loop);
        });
    }

    fn add_producer(&mut self, index: u32) -> Result<(), BenchError> {
        let plan = self.plan;
        let limit = plan.drive.limit_of(index, plan.producers);
        let (producer, gate) = self.producer(index, limit)?;
        self.add_poller(&producer);
        let schedule = match &plan.drive {
            Drive::Closed { .. } => None,
            Drive::Open {
                profile, arrival, ..
            } => Some(Schedule::new(
                profile.clone(),
                *arrival,
                index,
                plan.producers,
                plan.seed,
            )),
        };
        let seed = plan
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::from(index));
        let pool = PoolOptions {
            size: plan.size.clone(),
            entropy: plan.entropy,
            bytes: plan.pool_bytes,
            seed,
        };
        let touched = producer.client().context().touched.clone();
        let transaction = plan
            .transaction_messages
            .zip(touched)
            .map(|(messages, touched)| TransactionState { messages, touched });
        let recorder = self.recorder();
        let shared = self.crew.shared();
        let topics: Vec<String> = plan.topics.clone();
        let (pacing, key, incarnation) = (plan.pacing, plan.key, plan.incarnation);
        let senders = u64::from(plan.producers);
        let messages = plan
            .messages
            .map(|total| total / senders + u64::from(u64::from(index) < total % senders));
        self.add_driver(move || {
            let sender = Sender {
                producer,
                shared,
                gate,
                recorder,
                schedule,
                pacing,
                topics,
                keys: Keys::new(key, seed),
                pool: PayloadPool::new(&pool),
                producer_id: index,
                incarnation,
                messages,
                transaction,
            };
            move || sender.run()
        });
        Ok(())
    }

    fn add_readers(&mut self) -> Result<(), BenchError> {
        let plan = self.plan;
        let from = match plan.mode {
            Mode::E2e | Mode::Fanout => self.stage.cluster.end_offsets(self.stage.topics)?,
            _ => self.stage.cluster.start_offsets(self.stage.topics)?,
        };
        self.crew.reader_partitions = from.len() * plan.groups as usize;
        for group in 0..plan.groups {
            for (index, share) in shares(&from, plan.consumers).into_iter().enumerate() {
                self.add_reader(group, index, &share)?;
            }
        }
        Ok(())
    }

    fn add_reader(
        &mut self,
        group: u32,
        index: usize,
        share: &Positions,
    ) -> Result<(), BenchError> {
        let plan = self.plan;
        let name = format!("chronik-bench-{:x}-{group}-{index}", self.crew.shared.run);
        let statistics = self.outlets.statistics.clone();
        let consumer = reader::assigned(&plan.client, &name, share, statistics)?;
        let status = Arc::new(ReaderStatus {
            group,
            ..ReaderStatus::default()
        });
        self.crew.readers.push(Arc::clone(&status));
        let is_live = matches!(plan.mode, Mode::E2e | Mode::Fanout);
        // One group is enough to judge the log.
        let accounts = is_live && group == 0 && plan.verify == Verify::Full;
        let reader = Reader {
            consumer,
            desk: ReaderDesk {
                shared: self.crew.shared(),
                recorder: self.recorder(),
                account: self.outlets.account.clone().filter(|_| accounts),
                places: self.places.clone(),
                times: plan.mode != Mode::Consume,
                rate: plan
                    .consume_rate
                    .map(|rate| rate / f64::from(plan.consumers)),
                status,
                batch: Vec::new(),
            },
        };
        self.add_servant(move || reader.run());
        Ok(())
    }

    fn add_round_trippers(&mut self) -> Result<(), BenchError> {
        let partitions = all_partitions(self.stage.topics);
        for index in 0..self.workers() {
            let (topic, partition) = partitions[index as usize % partitions.len()].clone();
            let (producer, gate) = self.producer(index, 1)?;
            self.add_poller(&producer);
            let (_, end) = self.stage.cluster.watermarks(&topic, partition)?;
            let from = Positions::from([((topic.clone(), partition), end)]);
            let group = format!("chronik-bench-{:x}-trip-{index}", self.crew.shared.run);
            let statistics = self.outlets.statistics.clone();
            let consumer = reader::assigned(&self.plan.client, &group, &from, statistics)?;
            let pool = PoolOptions {
                size: self.plan.size.clone(),
                entropy: self.plan.entropy,
                bytes: 1 << 20,
                seed: self.plan.seed + u64::from(index),
            };
            let recorder = self.recorder();
            let shared = self.crew.shared();
            let messages = self.share_of_messages(index);
            self.add_driver(move || {
                let tripper = RoundTripper {
                    producer,
                    consumer,
                    shared,
                    gate,
                    recorder,
                    topic,
                    partition,
                    pool: PayloadPool::new(&pool),
                    worker: index,
                    messages,
                };
                move || tripper.run()
            });
        }
        Ok(())
    }

    fn add_connectors(&mut self) -> Result<(), BenchError> {
        let addresses = super::operations::addresses(&self.stage.cluster.brokers()?);
        for index in 0..self.workers() {
            let connector = Connector {
                addresses: addresses.clone(),
                shared: self.crew.shared(),
                recorder: self.recorder(),
                schedule: self.worker_schedule(index),
                pacing: self.plan.pacing,
                operations: self.share_of_messages(index),
                worker: index,
            };
            self.add_driver(move || move || connector.run());
        }
        for group in 0..self.plan.groups {
            let joiner = Joiner {
                client: self.plan.client.clone(),
                group: format!("chronik-bench-{:x}-join-{group}", self.crew.shared.run),
                topics: self.plan.topics.clone(),
                shared: self.crew.shared(),
                recorder: self.recorder(),
            };
            self.add_servant(move || joiner.run());
        }
        Ok(())
    }

    fn add_topic_workers(&mut self) -> Result<(), BenchError> {
        for index in 0..self.workers() {
            let cluster = crate::topic::Cluster::connect(&self.plan.bootstrap, &self.plan.client)?;
            let worker = TopicWorker {
                cluster,
                shared: self.crew.shared(),
                recorder: self.recorder(),
                partitions: self.plan.partitions,
                replicas: self.plan.replication_factor.unwrap_or_else(|| {
                    self.stage
                        .topics
                        .first()
                        .map_or(1, |topic| topic.replication_factor)
                }),
                operations: self.share_of_messages(index),
                worker: index,
            };
            self.add_driver(move || move || worker.run());
        }
        Ok(())
    }

    fn workers(&self) -> u32 {
        match self.plan.drive {
            Drive::Closed { concurrency } => concurrency,
            Drive::Open { .. } => self.plan.producers,
        }
    }

    fn worker_schedule(&self, index: u32) -> Option<Schedule> {
        match &self.plan.drive {
            Drive::Closed { .. } => None,
            Drive::Open {
                profile, arrival, ..
            } => Some(Schedule::new(
                profile.clone(),
                *arrival,
                index,
                self.plan.producers,
                self.plan.seed,
            )),
        }
    }

    fn share_of_messages(&self, index: u32) -> Option<u64> {
        let workers = u64::from(self.workers());
        self.plan
            .messages
            .map(|total| total / workers + u64::from(u64::from(index) < total % workers))
    }
}

fn all_partitions(topics: &[TopicLayout]) -> Vec<(String, i32)> {
    let of_topic = |topic: &TopicLayout| {
        let name = topic.name.clone();
        (0..topic.partitions as i32).map(move |partition| (name.clone(), partition))
    };
    topics.iter().flat_map(of_topic).collect()
}

/// Deals partitions out to consumers like cards.
fn shares(from: &Offsets, consumers: u32) -> Vec<Positions> {
    let mut shares = vec![Positions::new(); consumers as usize];
    for (number, (place, offset)) in from.iter().enumerate() {
        shares[number % consumers as usize].insert(place.clone(), *offset);
    }
    shares.retain(|share| !share.is_empty());
    shares
}
