//! A small correct cluster with producers, consumers, a group and transactions that records its own history.

use chronik_check::history::*;

pub(crate) const GROUP: &str = "g";
/// Partitions of the transactional plane come after the plain ones.
pub(crate) const TRANSACTIONAL: [&str; 2] = ["x/0", "x/1"];

/// splitmix64: the same seed gives the same history on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a partition's log holds; a transaction marker holds nothing.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) value: Option<Value>,
    pub(crate) epoch: i32,
}

pub(crate) struct Log {
    pub(crate) name: Name,
    pub(crate) entries: Vec<Entry>,
    pub(crate) epoch: i32,
    pub(crate) leader: u32,
}

struct Producer {
    id: u32,
    idempotent: bool,
    seqs: Vec<u64>,
    wires: Vec<Wire>,
    in_flight: Vec<Flight>,
}

#[derive(Clone, Copy)]
struct Flight {
    op: u64,
    partition: usize,
    value: Value,
    count: u32,
    offset: Option<u64>,
}

struct Consumer {
    proc: u32,
    next: Vec<u64>,
}

/// The cluster and its history so far.
pub(crate) struct World {
    pub(crate) rng: Dice,
    pub(crate) events: Vec<Event>,
    pub(crate) logs: Vec<Log>,
    pub(crate) plain: usize,
    pub(crate) committed: Vec<u64>,
    pub(crate) generation: i32,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    group: Vec<Consumer>,
    ops: u64,
    time_ns: u64,
    transactions: u64,
}

impl World {
    /// Runs `steps` random steps of a cluster in which nothing goes wrong that may not.
    pub(crate) fn run(seed: u64, steps: usize) -> World {
        let mut world = World::new(seed);
        for _ in 0..steps {
            world.step();
        }
        world.drain();
        world
    }

    fn new(seed: u64) -> World {
        let mut rng = Dice(seed);
        let plain = 1 + rng.below(3) as usize;
        let names: Vec<String> = (0..plain).map(|n| format!("t/{n}")).collect();
        let names = names.iter().map(String::as_str).chain(TRANSACTIONAL);
        let logs: Vec<Log> = names
            .map(|name| Log {
                name: name.into(),
                entries: Vec::new(),
                epoch: 1,
                leader: 1,
            })
            .collect();
        let producers = (0..2 + rng.below(3) as u32)
            .map(|id| Producer {
                id,
                idempotent: id == 0 || rng.percent(60),
                seqs: vec![0; plain],
                wires: vec![wire(9000 + i64::from(id), 0, 0); plain],
                in_flight: Vec::new(),
            })
            .collect();
        let mut world = World {
            rng,
            events: Vec::new(),
            committed: vec![0; plain],
            plain,
            generation: 0,
            producers,
            consumers: Vec::new(),
            group: Vec::new(),
            ops: 0,
            time_ns: 0,
            transactions: 0,
            logs,
        };
        for proc in [50, 51] {
            world.add_consumer(proc);
        }
        for proc in [60, 61] {
            let next = vec![0; plain];
            world.group.push(Consumer { proc, next });
        }
        world.rebalance();
        world
    }

    fn add_consumer(&mut self, proc: u32) {
        let at = self
            .logs
            .iter()
            .map(|log| (log.name.clone(), Some(0)))
            .collect();
        self.record(proc, Action::Assign(at));
        let next = vec![0; self.logs.len()];
        self.consumers.push(Consumer { proc, next });
    }

    pub(crate) fn record(&mut self, proc: u32, action: Action) {
        self.time_ns += 1 + self.rng.below(1_000);
        let time_ns = self.time_ns;
        self.events.push(Event {
            time_ns,
            proc,
            action,
        });
    }

    pub(crate) fn op(&mut self) -> u64 {
        self.ops += 1;
        self.ops
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..30 => self.send(),
            30..55 => self.answer(),
            55..80 => self.consume(),
            80..88 => self.consume_in_group(),
            88..90 => self.rebalance(),
            90..93 => self.list_offsets(),
            93..95 => self.change_leader(),
            95..97 => self.report_digests(),
            _ => self.transact(),
        }
    }

    fn send(&mut self) {
        let (who, partition) = (
            self.rng.below(self.producers.len() as u64) as usize,
            self.rng.below(self.plain as u64) as usize,
        );
        let count = 1 + self.rng.below(4) as u32;
        if self.producers[who].in_flight.len() >= 3 {
            return;
        }
        let op = self.op();
        let producer = &mut self.producers[who];
        let value = value(producer.id, producer.seqs[partition]);
        let wire = producer.wires[partition];
        producer.seqs[partition] += u64::from(count);
        producer.wires[partition].base_sequence += count as i32;
        producer.in_flight.push(Flight {
            op,
            partition,
            value,
            count,
            offset: None,
        });
        let wire = producer.idempotent.then_some(wire);
        let proc = producer.id;
        self.record(
            proc,
            invoke(op, &self.logs[partition].name, value, wire, count, None),
        );
    }

    /// The oldest send of a producer is appended, and sometimes answered.
    fn answer(&mut self) {
        let who = self.rng.below(self.producers.len() as u64) as usize;
        let Some(mut flight) = self.producers[who].in_flight.first().copied() else {
            return;
        };
        let alone = self.producers[who].in_flight.len() == 1;
        let fate = self.rng.below(100);
        // A producer that cannot be sure starts a new epoch; with others in flight it would have to fail them too.
        if alone && fate < 8 {
            return self.refuse(who);
        }
        if alone && fate < 14 {
            return self.leave_open(who);
        }
        if flight.offset.is_none() {
            flight.offset = Some(self.append(flight.partition, flight.value, flight.count));
            self.producers[who].in_flight[0] = flight;
        }
        if self.rng.percent(70) {
            self.producers[who].in_flight.remove(0);
            let offset = flight.offset.expect("it was appended");
            self.ack(self.producers[who].id, flight.op, flight.partition, offset);
        }
    }

    fn refuse(&mut self, who: usize) {
        if self.producers[who].in_flight[0].offset.is_some() {
            return;
        }
        let flight = self.producers[who].in_flight.remove(0);
        let error = AttemptResult::Error(KafkaError::NotEnoughReplicas);
        self.record(
            self.producers[who].id,
            end(flight.op, Outcome::Fail, None, &[error]),
        );
        self.new_epoch(who, flight.partition);
    }

    fn leave_open(&mut self, who: usize) {
        let flight = self.producers[who].in_flight.remove(0);
        if flight.offset.is_none() && self.rng.percent(50) {
            self.append(flight.partition, flight.value, flight.count);
        }
        self.record(
            self.producers[who].id,
            end(flight.op, Outcome::Info, None, &[AttemptResult::Timeout]),
        );
        self.new_epoch(who, flight.partition);
    }

    fn new_epoch(&mut self, who: usize, partition: usize) {
        let wire = &mut self.producers[who].wires[partition];
        (wire.epoch, wire.base_sequence) = (wire.epoch + 1, 0);
    }

    pub(crate) fn append(&mut self, partition: usize, value: Value, count: u32) -> u64 {
        let log = &mut self.logs[partition];
        let offset = log.entries.len() as u64;
        for step in 0..u64::from(count) {
            let value = Some(value.plus(step));
            log.entries.push(Entry {
                value,
                epoch: log.epoch,
            });
        }
        offset
    }

    pub(crate) fn ack(&mut self, proc: u32, op: u64, partition: usize, offset: u64) {
        let log = &self.logs[partition];
        let mut action = end(op, Outcome::Ok, Some(offset), &[]);
        if let Action::SendEnd(end) = &mut action {
            (end.leader_epoch, end.node) = (Some(log.epoch), Some(log.leader));
        }
        self.record(proc, action);
    }

    /// One send of a new producer from invocation to acknowledgement, at the end of the log.
    pub(crate) fn send_whole(&mut self, producer: u32, seq: u64, partition: usize) -> u64 {
        let op = self.op();
        let value = value(producer, seq);
        self.record(
            producer,
            invoke(op, &self.logs[partition].name, value, None, 1, None),
        );
        let offset = self.append(partition, value, 1);
        self.ack(producer, op, partition, offset);
        offset
    }

    fn consume(&mut self) {
        let who = self.rng.below(self.consumers.len() as u64) as usize;
        let partition = self.rng.below(self.logs.len() as u64) as usize;
        let most = 1 + self.rng.below(12);
        let (proc, from) = (
            self.consumers[who].proc,
            self.consumers[who].next[partition],
        );
        let op = self.op();
        self.record(proc, Action::PollInvoke { op });
        let (records, next) = self.records(partition, from, most);
        self.consumers[who].next[partition] = next;
        let mut poll = poll(op, PollMode::Assign);
        poll.high_watermarks = vec![(
            self.logs[partition].name.clone(),
            self.stable_end(partition),
        )];
        if partition >= self.plain {
            poll.isolation = Isolation::Committed;
        }
        poll.records = vec![(self.logs[partition].name.clone(), records)];
        self.record(proc, Action::Poll(poll));
    }

    /// Records one by one, without markers and without what is not decided.
    pub(crate) fn records(&self, partition: usize, from: u64, most: u64) -> (Vec<Record>, u64) {
        let to = self.stable_end(partition).min(from + most);
        let log = &self.logs[partition];
        let mut records = Vec::new();
        for offset in from..to {
            let entry = log.entries[offset as usize];
            if let Some(value) = entry.value {
                records.push(record(offset, Content::Value(value), entry.epoch));
            }
        }
        (records, to.max(from))
    }

    /// Transactions run from beginning to end in one step, so everything is decided.
    pub(crate) fn stable_end(&self, partition: usize) -> u64 {
        self.logs[partition].entries.len() as u64
    }

    fn owner(&self, partition: usize) -> usize {
        (partition + self.generation as usize) % 2
    }

    fn consume_in_group(&mut self) {
        let partition = self.rng.below(self.plain as u64) as usize;
        let member = self.owner(partition);
        let most = 1 + self.rng.below(12);
        let (proc, from) = (self.group[member].proc, self.group[member].next[partition]);
        let (records, next) = self.records(partition, from, most);
        if records.is_empty() {
            return;
        }
        self.group[member].next[partition] = next;
        let name = self.logs[partition].name.clone();
        let op = self.op();
        self.record(
            proc,
            Action::Poll(self.group_poll(op, name.clone(), records)),
        );
        if self.rng.percent(60) {
            let (op, outcome) = (self.op(), self.rng.percent(85));
            let generation = self.generation;
            self.record(proc, commit(op, generation, &name, next));
            let outcome = if outcome { Outcome::Ok } else { Outcome::Info };
            self.record(proc, Action::CommitEnd(CommitEnd { op, outcome }));
            // An unanswered commit happened half of the time.
            if outcome == Outcome::Ok || self.rng.percent(50) {
                self.committed[partition] = next;
            }
        }
    }

    pub(crate) fn group_poll(&self, op: u64, name: Name, records: Vec<Record>) -> Poll {
        let mut poll = poll(op, PollMode::Group);
        poll.group = Some(GROUP.into());
        poll.generation = Some(self.generation);
        poll.records = vec![(name, records)];
        poll
    }

    /// Every partition goes to the other member, which resumes at what is committed.
    fn rebalance(&mut self) {
        self.generation += 1;
        for partition in 0..self.plain {
            let member = self.owner(partition);
            let (proc, name) = (self.group[member].proc, self.logs[partition].name.clone());
            let op = self.op();
            self.record(
                proc,
                Action::FetchCommittedInvoke {
                    op,
                    group: GROUP.into(),
                },
            );
            let offset = (self.committed[partition] > 0).then_some(self.committed[partition]);
            let offsets = vec![(name.clone(), offset)];
            self.record(
                proc,
                Action::FetchCommittedEnd(FetchCommittedEnd { op, offsets }),
            );
            let resumed = self.committed[partition];
            self.group[member].next[partition] = resumed;
            let generation = self.generation;
            self.record(proc, assigned(generation, &name, resumed));
        }
    }

    fn list_offsets(&mut self) {
        let partition = self.rng.below(self.plain as u64) as usize;
        let op = self.op();
        self.record(70, Action::ListOffsetsInvoke { op });
        let latest = vec![(
            self.logs[partition].name.clone(),
            self.stable_end(partition),
        )];
        self.record(70, Action::ListOffsetsEnd(ListOffsetsEnd { op, latest }));
    }

    fn change_leader(&mut self) {
        let partition = self.rng.below(self.plain as u64) as usize;
        let log = &mut self.logs[partition];
        log.epoch += 1;
        log.leader = 1 + (log.leader % 3);
        let view = LeaderView {
            term: log.epoch as u64,
            leader: log.leader,
        };
        let groups = vec![(log.name.clone(), view)];
        for node in 1..=3 {
            let groups = groups.clone();
            self.record(0, Action::RaftStatus(RaftStatus { node, groups }));
        }
    }

    fn report_digests(&mut self) {
        let partition = self.rng.below(self.plain as u64) as usize;
        let commit = self.stable_end(partition);
        if commit == 0 {
            return;
        }
        for node in 1..=3 {
            // A replica that lags vouches for less; what it holds above may differ.
            let (last, commit) = match node {
                3 => (commit / 2, commit / 2),
                _ => (commit - 1, commit),
            };
            let digests = vec![(
                last,
                last.wrapping_mul(31) ^ u64::from(node == 3 && last >= commit),
            )];
            let partition = self.logs[partition].name.clone();
            let digest = LogDigest {
                node,
                partition,
                commit,
                digests,
            };
            self.record(0, Action::LogDigest(digest));
        }
    }

    /// A transaction over both partitions of its plane, committed or aborted.
    fn transact(&mut self) {
        self.transactions += 1;
        let (transaction, producer) = (self.transactions, 30 + (self.transactions % 2) as u32);
        let commits = self.rng.percent(70);
        for partition in self.plain..self.logs.len() {
            let (op, value) = (self.op(), value(producer, transaction * 10));
            let name = self.logs[partition].name.clone();
            self.record(
                producer,
                invoke(op, &name, value, None, 2, Some(transaction)),
            );
            let offset = self.append(partition, value, 2);
            self.ack(producer, op, partition, offset);
        }
        let op = self.op();
        let end = Transaction {
            op,
            transaction,
            commit: commits,
        };
        self.record(producer, Action::TransactionInvoke(end));
        for log in &mut self.logs[self.plain..] {
            if !commits {
                let aborted = log.entries.len() - 2;
                log.entries[aborted..]
                    .iter_mut()
                    .for_each(|entry| entry.value = None);
            }
            let epoch = log.epoch;
            log.entries.push(Entry { value: None, epoch });
        }
        let outcome = Outcome::Ok;
        self.record(producer, Action::TransactionEnd { op, outcome });
    }

    /// Answers everything and lets the tail consumers catch up half of the time.
    fn drain(&mut self) {
        for who in 0..self.producers.len() {
            while let Some(flight) = self.producers[who].in_flight.first().copied() {
                let offset = match flight.offset {
                    Some(offset) => offset,
                    None => self.append(flight.partition, flight.value, flight.count),
                };
                self.producers[who].in_flight.remove(0);
                self.ack(self.producers[who].id, flight.op, flight.partition, offset);
            }
        }
    }

    /// The final read of every partition, from a new consumer for each.
    pub(crate) fn finish(mut self) -> Vec<Event> {
        for partition in 0..self.logs.len() {
            let proc = 200 + partition as u32;
            let name = self.logs[partition].name.clone();
            self.record(proc, Action::Assign(vec![(name.clone(), Some(0))]));
            let end = self.stable_end(partition);
            let mut from = 0;
            while from < end {
                let op = self.op();
                let (records, next) = self.records(partition, from, 16);
                from = next;
                let mut poll = poll(op, PollMode::Final);
                poll.isolation = Isolation::Committed;
                poll.records = vec![(name.clone(), records)];
                self.record(proc, Action::Poll(poll));
            }
            let read = FinalRead {
                partition: name,
                start: 0,
                end,
                reached: end,
            };
            self.record(proc, Action::Final(read));
        }
        self.events
    }
}

pub(crate) fn value(producer: u32, seq: u64) -> Value {
    Value {
        producer,
        incarnation: 0,
        seq,
    }
}

pub(crate) fn wire(producer_id: i64, epoch: i16, base_sequence: i32) -> Wire {
    Wire {
        producer_id,
        epoch,
        base_sequence,
    }
}

pub(crate) fn invoke(
    op: u64,
    partition: &Name,
    value: Value,
    wire: Option<Wire>,
    count: u32,
    transaction: Option<u64>,
) -> Action {
    Action::SendInvoke(SendInvoke {
        op,
        partition: partition.clone(),
        value,
        wire,
        count,
        acks: -1,
        transaction,
    })
}

pub(crate) fn end(
    op: u64,
    outcome: Outcome,
    offset: Option<u64>,
    results: &[AttemptResult],
) -> Action {
    let attempts = results.iter().map(|result| Attempt {
        node: None,
        result: *result,
        wire: None,
    });
    Action::SendEnd(SendEnd {
        op,
        outcome,
        partition: None,
        offset,
        leader_epoch: None,
        node: None,
        attempts: attempts.collect(),
    })
}

pub(crate) fn poll(op: u64, mode: PollMode) -> Poll {
    Poll {
        op,
        mode,
        group: None,
        generation: None,
        isolation: Isolation::Uncommitted,
        transaction: None,
        records: Vec::new(),
        high_watermarks: Vec::new(),
    }
}

pub(crate) fn record(offset: u64, content: Content, epoch: i32) -> Record {
    Record {
        offset,
        content,
        leader_epoch: Some(epoch),
        count: 1,
    }
}

pub(crate) fn commit(op: u64, generation: i32, name: &Name, offset: u64) -> Action {
    Action::CommitInvoke(Commit {
        op,
        group: GROUP.into(),
        generation,
        offsets: vec![(name.clone(), offset)],
    })
}

pub(crate) fn assigned(generation: i32, name: &Name, at: u64) -> Action {
    Action::Assigned {
        group: GROUP.into(),
        generation,
        positions: vec![(name.clone(), Some(at))],
    }
}
