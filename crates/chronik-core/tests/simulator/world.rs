//! The world: nodes, wires, clients and time, in one loop that a seed decides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use chronik_core::group::eraftpb::Message;
use chronik_core::group::{Fetch, Lag, Members, Settings, payload_bytes};
use chronik_core::ids::GroupUid;
use chronik_core::partition::{Acks, Answer, Log};
use chronik_core::throttle::Throttle;
use chronik_fault::Planted;

use crate::clients::{Clients, Sent, Ticket};
use crate::coverage::Coverage;
use crate::disk::{Crash, Disk, Notice, Record, What};
use crate::machine::{Machine, Restoring, STATE_GROUP};
use crate::mutants::Mutant;
use crate::nemesis::Plan;
use crate::network::Network;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::truth::Truth;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    /// Microseconds.
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    scheduled: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) truths: Vec<Truth>,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) mutant: Option<Mutant>,
}

pub(crate) struct Node {
    pub(crate) is_up: bool,
    /// Counts the lives of the process.
    pub(crate) life: u64,
    pub(crate) tick_us: u64,
    pub(crate) disk: Disk,
    /// Of what paced learners get from here.
    pub(crate) throttle: Throttle,
    pub(crate) hosted: BTreeMap<usize, Hosted>,
    /// Replicas that were ever created here, for the next incarnation's number.
    pub(crate) incarnations: u64,
}

/// A replica in a running process.
pub(crate) struct Hosted {
    pub(crate) id: u64,
    pub(crate) replica: Machine,
    /// Up to here its commits were compared with the truth.
    pub(crate) seen_commit: u64,
    pub(crate) high_watermark: i64,
    pub(crate) members: Members,
    /// Those that were in effect until the last event.
    pub(crate) members_before: Vec<Members>,
    /// Rounds of reads, and the least index that they may be answered with.
    pub(crate) reads: VecDeque<(u64, u64)>,
}

pub(crate) enum Event {
    Tick(usize),
    Deliver(usize, Message),
    Synced {
        node: usize,
        life: u64,
    },
    Fetched {
        node: usize,
        life: u64,
        group: usize,
        fetch: Fetch,
    },
    SnapshotSent {
        node: usize,
        life: u64,
        group: usize,
        peer: u64,
        has_arrived: bool,
    },
    Unreachable {
        node: usize,
        life: u64,
        group: usize,
        peer: u64,
    },
    Client(usize),
    Produce(Box<Sent>),
    Reply(Ticket, Answer, Option<usize>),
    Crash(usize, Crash),
    Restart(usize),
    Nemesis,
    Operator,
}

/// Replica numbers of one slot are this far apart.
const INCARNATION: u64 = 100;

/// The node that a replica lives on.
pub(crate) fn slot(replica: u64) -> usize {
    ((replica - 1) % INCARNATION) as usize
}

impl World {
    pub(crate) fn new(plan: Plan, trace: Trace, mutant: Option<Mutant>) -> World {
        let mut world = World {
            rng: Rng::new(plan.seed),
            now: 0,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            scheduled: 0,
            nodes: Vec::new(),
            network: Network::new(plan.weather),
            clients: Clients::default(),
            truths: Vec::new(),
            trace,
            coverage: Coverage::default(),
            mutant,
            plan,
        };
        world.found();
        world
    }

    /// One event. Every check is made on the way; what fails panics.
    pub(crate) fn step(&mut self) {
        let Reverse((at, _, place)) = self.queue.pop().expect("clocks never stop");
        self.now = at;
        self.coverage.steps += 1;
        self.free.push(place);
        match self.events[place].take().expect("an event happens once") {
            Event::Tick(node) => self.tick(node),
            Event::Deliver(group, message) => self.deliver(group, message),
            Event::Synced { node, life } => self.synced(node, life),
            Event::Fetched {
                node,
                life,
                group,
                fetch,
            } => self.fetched(node, life, group, fetch),
            Event::SnapshotSent {
                node,
                life,
                group,
                peer,
                has_arrived,
            } => {
                self.with(node, life, group, |replica| {
                    replica.snapshot_sent(peer, has_arrived)
                });
            }
            Event::Unreachable {
                node,
                life,
                group,
                peer,
            } => {
                self.with(node, life, group, |replica| replica.unreachable(peer));
            }
            Event::Client(client) => self.client_acts(client),
            Event::Produce(sent) => self.produce(*sent),
            Event::Reply(ticket, answer, leader) => {
                let nodes = self.nodes.len();
                let (rng, coverage) = (&mut self.rng, &mut self.coverage);
                self.clients
                    .answered(ticket, answer, leader, nodes, rng, coverage);
            }
            Event::Crash(node, how) => self.crash_for_a_while(node, how),
            Event::Restart(node) => self.restart(node),
            Event::Nemesis => self.nemesis(),
            Event::Operator => self.operate(),
        }
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, time: u64) {
        while self
            .queue
            .peek()
            .is_some_and(|Reverse((at, ..))| *at <= time)
        {
            self.step();
        }
        self.now = time;
    }

    pub(crate) fn after(&mut self, delay_us: u64, event: Event) {
        self.at(self.now + delay_us, event);
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) {
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                self.events.len() - 1
            }
        };
        self.scheduled += 1;
        self.queue.push(Reverse((time, self.scheduled, place)));
    }

    /// Lets a replica do something, and then everything that follows from it.
    pub(crate) fn with<T>(
        &mut self,
        node: usize,
        life: u64,
        group: usize,
        act: impl FnOnce(&mut Machine) -> T,
    ) -> Option<T> {
        let alive = self.nodes[node].is_up && self.nodes[node].life == life;
        let hosted = self.nodes[node].hosted.get_mut(&group).filter(|_| alive)?;
        let result = act(&mut hosted.replica);
        self.settle(node, group);
        Some(result)
    }

    /// The same, in whatever life the node is.
    pub(crate) fn with_now<T>(
        &mut self,
        node: usize,
        group: usize,
        act: impl FnOnce(&mut Machine) -> T,
    ) -> Option<T> {
        self.with(node, self.nodes[node].life, group, act)
    }

    pub(crate) fn crash(&mut self, node: usize, how: Crash) {
        let (rng, coverage) = (&mut self.rng, &mut self.coverage);
        match how {
            Crash::Kill => coverage.kills += 1,
            Crash::PowerCut => coverage.power_cuts += 1,
        }
        self.trace
            .step("crash", [node as u64, how as u64, self.now, 0]);
        let node = &mut self.nodes[node];
        node.disk.crash(how, rng, coverage);
        node.hosted.clear();
        node.is_up = false;
    }

    pub(crate) fn restart(&mut self, node: usize) {
        if self.nodes[node].is_up {
            return;
        }
        self.coverage.restarts += 1;
        self.trace.step("restart", [node as u64, self.now, 0, 0]);
        let mutant = self.mutant;
        self.nodes[node].is_up = true;
        self.nodes[node].life += 1;
        let restored = self.nodes[node].disk.recover(mutant);
        for (group, (id, restore)) in restored {
            let settings = self.settings(node, group, id);
            let replica = restore.into_machine(&settings);
            self.host(node, group, id, replica);
            self.settle(node, group);
        }
    }

    /// Creates a replica of a group on a node that has none.
    pub(crate) fn create(&mut self, node: usize, group: usize, voters: Vec<u64>) -> u64 {
        let joins = u64::from(voters.is_empty());
        self.coverage.replicas_born += joins;
        self.nodes[node].incarnations += joins;
        let id = node as u64 + 1 + INCARNATION * self.nodes[node].incarnations;
        let record = Record {
            group,
            replica: id,
            what: What::Create(voters.clone()),
        };
        let restore = Restoring::born(group, voters);
        self.write(node, [record], None);
        let replica = restore.into_machine(&self.settings(node, group, id));
        self.host(node, group, id, replica);
        id
    }

    pub(crate) fn destroy(&mut self, node: usize, group: usize) {
        let hosted = self.nodes[node].hosted.remove(&group);
        let replica = hosted.expect("only what is hosted is destroyed").id;
        self.coverage.replicas_destroyed += 1;
        self.trace
            .step("destroy", [node as u64, group as u64, replica, 0]);
        let what = What::Destroy;
        self.write(
            node,
            [Record {
                group,
                replica,
                what,
            }],
            None,
        );
    }

    pub(crate) fn write(
        &mut self,
        node: usize,
        records: impl IntoIterator<Item = Record>,
        notice: Option<Notice>,
    ) {
        self.nodes[node].disk.submit(records, notice);
        self.start_write(node);
    }

    pub(crate) fn start_write(&mut self, node: usize) {
        let (low, high) = self.plan.sync_us;
        let latency = self.rng.within(low, high);
        let Node { disk, life, .. } = &mut self.nodes[node];
        let begins = self.now.max(disk.full_until);
        if disk.start() {
            let ends = (begins + latency).max(disk.stalled_until);
            let life = *life;
            self.at(ends, Event::Synced { node, life });
        }
    }

    /// Trims a replica's log on its own disk.
    pub(crate) fn trim(&mut self, node: usize, group: usize, index: u64) {
        let Some(hosted) = self.nodes[node].hosted.get(&group) else {
            return;
        };
        let group_state = hosted.replica.group();
        if index <= group_state.trim().index || index > group_state.trimmable() {
            return;
        }
        let covered = self.nodes[node]
            .disk
            .applied_in_checkpoint(group, hosted.id);
        if group == STATE_GROUP && index > covered {
            return;
        }
        let term = group_state.term_of(index).expect("a kept entry has a term");
        let trim = chronik_core::group::Trim { index, term };
        let replica = hosted.id;
        let offset = self.truths[group].end_offset(index);
        self.trace
            .step("trim", [node as u64, group as u64, index, 0]);
        let notice = Notice::Trimmed {
            group,
            replica,
            trim,
            offset,
        };
        let what = What::Trim(trim, offset);
        self.write(
            node,
            [Record {
                group,
                replica,
                what,
            }],
            Some(notice),
        );
    }

    pub(crate) fn checkpoint(&mut self, node: usize) {
        if !self.nodes[node].disk.is_cut() {
            return;
        }
        let hosted = self.nodes[node].hosted.iter();
        let states = hosted
            .map(|(group, hosted)| (*group, hosted.id, hosted.replica.encode()))
            .collect();
        self.nodes[node].disk.begin_checkpoint(states);
        self.start_write(node);
    }

    /// Asks for a linearizable read: it must see everything that is committed now.
    pub(crate) fn read(&mut self, node: usize, group: usize) {
        let floor = self.truths[group].committed();
        let Some(hosted) = self.nodes[node].hosted.get_mut(&group) else {
            return;
        };
        let round = hosted.replica.read_index();
        hosted.reads.push_back((round, floor));
        self.settle(node, group);
    }

    /// The node that leads a group, in the eyes of the leader itself.
    pub(crate) fn leader(&self, group: usize) -> Option<usize> {
        let leads = |node: &&Node| {
            let hosted = node.hosted.get(&group);
            hosted.is_some_and(|hosted| hosted.replica.group().readiness().is_ok())
        };
        let newest = self
            .nodes
            .iter()
            .filter(leads)
            .max_by_key(|node| node.hosted[&group].replica.group().term())?;
        self.nodes
            .iter()
            .position(|node| std::ptr::eq(node, newest))
    }

    fn found(&mut self) {
        for node in 0..self.plan.nodes {
            self.nodes.push(Node {
                is_up: true,
                life: 1,
                tick_us: self.plan.tick_us,
                disk: Disk::new(self.plan.frames_per_segment),
                throttle: Throttle::default(),
                hosted: BTreeMap::new(),
                incarnations: 0,
            });
            let first = self.rng.within(1, self.plan.tick_us);
            self.at(first, Event::Tick(node));
        }
        let voters: Vec<u64> = (1..=self.plan.voters as u64).collect();
        for group in 0..self.plan.groups {
            self.truths
                .push(Truth::new(voters.clone(), group == STATE_GROUP));
            for node in 0..self.plan.voters {
                self.create(node, group, voters.clone());
            }
        }
        self.invite_clients();
        if self.plan.is_rough {
            self.after(50_000, Event::Nemesis);
            self.after(60_000, Event::Operator);
        }
    }

    fn host(&mut self, node: usize, group: usize, id: u64, replica: Machine) {
        let hosted = Hosted {
            id,
            seen_commit: replica.group().trim().index,
            members: replica.group().members(),
            members_before: Vec::new(),
            high_watermark: replica.log().map_or(0, Log::high_watermark),
            replica,
            reads: VecDeque::new(),
        };
        self.nodes[node].hosted.insert(group, hosted);
    }

    fn settings(&self, node: usize, group: usize, replica: u64) -> Settings {
        let slots = self.plan.nodes as u64;
        let rank = (node as u64 + self.plan.seed + group as u64) % slots;
        Settings {
            uid: GroupUid(1024 + group as u64),
            replica,
            boot: self.nodes[node].life,
            election_ticks: 10 + 3 * rank as usize,
            heartbeat_ticks: 3,
            applies_entries: group == STATE_GROUP,
            lag: Lag {
                most_ticks: 30,
                return_ticks: 10,
            },
            planted: self.mutant.map_or(Planted::NOTHING, Mutant::planted),
        }
    }

    fn tick(&mut self, node: usize) {
        let period = self.nodes[node].tick_us;
        self.after(period, Event::Tick(node));
        self.trace.step("tick", [node as u64, self.now, 0, 0]);
        if !self.nodes[node].is_up {
            return;
        }
        for group in 0..self.plan.groups {
            self.with_now(node, group, Machine::tick);
            let now_ms = self.now / 1000;
            while self.nodes[node].throttle.is_open(now_ms) && self.release(node, group) {}
        }
    }

    /// Sends a paced learner what has waited longest; says whether there was anything.
    pub(crate) fn release(&mut self, node: usize, group: usize) -> bool {
        let Node {
            hosted, throttle, ..
        } = &mut self.nodes[node];
        let hosted = hosted.get_mut(&group);
        let Some(message) = hosted.and_then(|hosted| hosted.replica.release()) else {
            return false;
        };
        throttle.spend(payload_bytes(&message));
        self.coverage.catch_ups_released += 1;
        self.trace
            .step("release", [node as u64, group as u64, message.to, self.now]);
        self.send(node, group, message);
        true
    }

    fn deliver(&mut self, group: usize, message: Message) {
        let node = slot(message.to);
        let described = [
            message.get_msg_type() as u64,
            message.from,
            message.to,
            message.index,
        ];
        self.trace.step("deliver", described);
        let life = self.nodes[node].life;
        let addressed = self.nodes[node].hosted.get(&group);
        if addressed.is_some_and(|hosted| hosted.id == message.to) {
            self.with(node, life, group, |replica| replica.step(message));
        }
    }

    fn synced(&mut self, node: usize, life: u64) {
        if self.nodes[node].life != life || !self.nodes[node].is_up {
            return;
        }
        let stalled_until = self.nodes[node].disk.stalled_until;
        if stalled_until > self.now {
            self.at(stalled_until, Event::Synced { node, life });
            return;
        }
        self.trace.step("synced", [node as u64, self.now, 0, 0]);
        let notices = self.nodes[node]
            .disk
            .synced(self.mutant, &mut self.coverage);
        for notice in notices {
            self.notice(node, notice);
        }
        self.start_write(node);
    }

    fn fetched(&mut self, node: usize, life: u64, group: usize, fetch: Fetch) {
        let most = self.rng.within(1, 40) as usize;
        let Some(rows) = self.nodes[node].disk.rows.get(&group) else {
            return;
        };
        let entries = rows.read(fetch.low, fetch.high, most);
        self.with(node, life, group, |replica| replica.fetched(fetch, entries));
    }

    fn client_acts(&mut self, client: usize) {
        let nodes = self.nodes.len();
        let (rng, coverage) = (&mut self.rng, &mut self.coverage);
        let sent = self.clients.act(client, self.now, nodes, rng, coverage);
        for sent in sent {
            self.trace
                .step("send", [sent.ticket, sent.target as u64, self.now, 0]);
            if !self.rng.per_mille(self.plan.client_loss) {
                let delay = self.rng.within(300, 3000);
                self.after(delay, Event::Produce(Box::new(sent)));
            }
        }
        let (low, high) = self.plan.client_us;
        let pause = self.rng.within(low, high);
        self.after(pause, Event::Client(client));
    }

    fn produce(&mut self, sent: Sent) {
        let Sent {
            ticket,
            group,
            target,
            header,
            bytes,
            acks,
        } = sent;
        self.trace
            .step("produce", [ticket, target as u64, self.now, 0]);
        let is_full = self.nodes[target].disk.full_until > self.now;
        if is_full || !self.nodes[target].hosted.contains_key(&group) {
            let nowhere = Answer::NotLeader(Default::default());
            self.after(1000, Event::Reply(ticket, nowhere, None));
            return;
        }
        let voters = self.nodes[target].hosted[&group].members.voters.len();
        let acks = match acks {
            Acks::Leader => Acks::Leader,
            // Nobody asks for more replicas than there are.
            Acks::All { least_replicas } => {
                let least_replicas = least_replicas.min(voters);
                self.clients.asked.insert(ticket, least_replicas);
                Acks::All { least_replicas }
            }
        };
        self.with_now(target, group, |replica| {
            replica.produce(ticket, header, bytes, acks)
        });
        if let Some(hosted) = self.nodes[target].hosted.get(&group) {
            self.coverage.batches_parked += hosted.replica.parked() as u64;
        }
    }
}
