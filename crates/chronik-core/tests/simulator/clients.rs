//! Producers: idempotent ones that try again until they know, and plain ones that try once.

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use chronik_core::partition::batch::{self, BatchHeader, HEADER_LEN};
use chronik_core::partition::{Acks, Answer};

/// Whom an answer is for.
pub(crate) type Ticket = u64;

use crate::coverage::Coverage;
use crate::rng::Rng;
use crate::truth::BatchName;

/// A producer of one partition.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) group: usize,
    /// Negative for one without sequences.
    producer: i64,
    acks: Acks,
    most_in_flight: usize,
    is_known: bool,
    next_sequence: i32,
    /// From the oldest batch that is not acknowledged on.
    window: VecDeque<Batch>,
    /// The node that it believes to lead.
    target: usize,
    /// When what is on its way counts as lost.
    patience_ends: u64,
}

#[derive(Clone, Debug)]
struct Batch {
    sequence: i32,
    records: i32,
    payload: u64,
    is_sent: bool,
    is_acknowledged: bool,
    attempts: u32,
}

/// A batch on its way to a node.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) ticket: Ticket,
    pub(crate) group: usize,
    pub(crate) target: usize,
    pub(crate) header: BatchHeader,
    pub(crate) bytes: BytesMut,
    pub(crate) acks: Acks,
}

#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) all: Vec<Client>,
    /// Whom an answer is for.
    tickets: BTreeMap<Ticket, (usize, BatchName)>,
    /// How many replicas were asked to hold what is on its way.
    pub(crate) asked: BTreeMap<Ticket, usize>,
    next_ticket: Ticket,
    next_payload: u64,
    /// No new batches: only what is not acknowledged yet.
    pub(crate) is_closing: bool,
}

const PATIENCE_US: u64 = 400_000;

impl Clients {
    pub(crate) fn add(
        &mut self,
        group: usize,
        is_idempotent: bool,
        most_in_flight: usize,
        acks: Acks,
    ) {
        let producer = match is_idempotent {
            true => 1000 + self.all.len() as i64,
            false => -1,
        };
        self.all.push(Client {
            group,
            producer,
            acks,
            most_in_flight,
            is_known: false,
            next_sequence: 0,
            window: VecDeque::new(),
            target: 0,
            patience_ends: 0,
        });
    }

    pub(crate) fn is_settled(&self) -> bool {
        let waits = |client: &Client| client.producer >= 0 && !client.window.is_empty();
        !self.all.iter().any(waits)
    }

    /// A client's turn: it may write something new, and sends all that is not on its way.
    pub(crate) fn act(
        &mut self,
        client: usize,
        now: u64,
        nodes: usize,
        rng: &mut Rng,
        coverage: &mut Coverage,
    ) -> Vec<Sent> {
        let writes = !self.is_closing && rng.per_mille(700);
        let payload = self.next_payload;
        let who = &mut self.all[client];
        if who.patience_ends < now
            && who
                .window
                .iter()
                .any(|batch| batch.is_sent && !batch.is_acknowledged)
        {
            who.lose_patience(nodes, rng);
        }
        if writes && who.window.len() < who.room() {
            self.next_payload += 1;
            who.write(payload, rng);
        }
        let mut sent = Vec::new();
        for batch in who.window.iter_mut().filter(|batch| !batch.is_sent) {
            batch.is_sent = true;
            batch.attempts += 1;
            coverage.batches_repeated += u64::from(batch.attempts > 1);
            who.patience_ends = now + PATIENCE_US;
            self.next_ticket += 1;
            let name = match who.producer {
                ..0 => BatchName::Plain {
                    payload: batch.payload,
                },
                producer => BatchName::Idempotent {
                    producer,
                    sequence: batch.sequence,
                },
            };
            self.tickets.insert(self.next_ticket, (client, name));
            let (header, bytes) = encode(who.producer, batch);
            sent.push(Sent {
                ticket: self.next_ticket,
                group: who.group,
                target: who.target,
                header,
                bytes,
                acks: who.acks,
            });
        }
        if who.producer < 0 {
            // It never tries again, whatever became of the batch.
            who.window.clear();
        }
        sent
    }

    /// A batch of one record that somebody sends by hand, as the only producer.
    pub(crate) fn by_hand(&mut self, target: usize, sequence: i32) -> Sent {
        if self.all.is_empty() {
            self.add(0, true, 0, Acks::All { least_replicas: 1 });
        }
        let producer = self.all[0].producer;
        self.next_ticket += 1;
        self.next_payload += 1;
        let ticket = self.next_ticket;
        let name = BatchName::Idempotent { producer, sequence };
        self.tickets.insert(ticket, (0, name));
        let batch = Batch {
            sequence,
            records: 1,
            payload: self.next_payload,
            is_sent: true,
            is_acknowledged: false,
            attempts: 1,
        };
        let (header, bytes) = encode(producer, &batch);
        Sent {
            ticket,
            group: 0,
            target,
            header,
            bytes,
            acks: self.all[0].acks,
        }
    }

    /// What a ticket stands for.
    pub(crate) fn name(&self, ticket: Ticket) -> BatchName {
        self.tickets[&ticket].1
    }

    /// How many replicas must hold a batch before its client is told, unless it may have been told before.
    pub(crate) fn least_replicas(&self, ticket: Ticket) -> Option<usize> {
        let (client, name) = self.tickets.get(&ticket)?;
        let is_first = self.all[*client].attempts(*name) == 1;
        self.asked.get(&ticket).copied().filter(|_| is_first)
    }

    pub(crate) fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        leader: Option<usize>,
        nodes: usize,
        rng: &mut Rng,
        coverage: &mut Coverage,
    ) {
        self.asked.remove(&ticket);
        let Some((client, name)) = self.tickets.remove(&ticket) else {
            return;
        };
        let who = &mut self.all[client];
        match answer {
            Answer::Appended { .. } => who.acknowledged(name, coverage),
            Answer::Written { .. } => coverage.batches_written += 1,
            Answer::Done => unreachable!("a client gives no orders"),
            Answer::NotEnoughReplicas => {
                coverage.replicas_missed += 1;
                who.send_again();
            }
            Answer::Refused(_) => {
                coverage.sequences_refused += 1;
                who.send_again();
            }
            Answer::NotLeader(_) => {
                who.target = leader.unwrap_or(rng.below(nodes as u64) as usize);
                who.send_again();
            }
            Answer::Unknown => {
                coverage.fates_unknown += 1;
                who.send_again();
            }
        }
    }
}

impl Client {
    /// A partition that does not know the producer takes any first sequence: nothing overtakes the first batch.
    fn room(&self) -> usize {
        match self.is_known {
            true => self.most_in_flight,
            false => 1,
        }
    }

    fn write(&mut self, payload: u64, rng: &mut Rng) {
        let records = rng.within(1, 3) as i32;
        self.window.push_back(Batch {
            sequence: self.next_sequence,
            records,
            payload,
            is_sent: false,
            is_acknowledged: false,
            attempts: 0,
        });
        self.next_sequence += records;
    }

    fn attempts(&self, name: BatchName) -> u32 {
        let BatchName::Idempotent { sequence, .. } = name else {
            return 0;
        };
        let batch = self.window.iter().find(|batch| batch.sequence == sequence);
        batch.map_or(0, |batch| batch.attempts)
    }

    fn lose_patience(&mut self, nodes: usize, rng: &mut Rng) {
        self.target = rng.below(nodes as u64) as usize;
        self.send_again();
    }

    fn send_again(&mut self) {
        for batch in &mut self.window {
            batch.is_sent = batch.is_acknowledged;
        }
    }

    fn acknowledged(&mut self, name: BatchName, coverage: &mut Coverage) {
        let BatchName::Idempotent { sequence, .. } = name else {
            coverage.plain_acknowledged += 1;
            return;
        };
        let of_name = |batch: &&mut Batch| batch.sequence == sequence && !batch.is_acknowledged;
        if let Some(batch) = self.window.iter_mut().find(of_name) {
            coverage.batches_acknowledged += 1;
            self.is_known = true;
            coverage.duplicates_answered += u64::from(batch.attempts > 1);
            batch.is_acknowledged = true;
            batch.is_sent = true;
        }
        // As many as the log remembers may be open, counted from the oldest: what follows it is open as well.
        while self
            .window
            .pop_front_if(|batch| batch.is_acknowledged)
            .is_some()
        {}
    }
}

fn encode(producer: i64, batch: &Batch) -> (BatchHeader, BytesMut) {
    let mut bytes = BytesMut::zeroed(HEADER_LEN + 8);
    let length = (bytes.len() - batch::LENGTH_PREFIX) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(batch.records - 1).to_be_bytes());
    bytes[43..51].copy_from_slice(&producer.to_be_bytes());
    let (epoch, sequence) = if producer < 0 {
        (-1i16, -1)
    } else {
        (0, batch.sequence)
    };
    bytes[51..53].copy_from_slice(&epoch.to_be_bytes());
    bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&batch.records.to_be_bytes());
    bytes[HEADER_LEN..].copy_from_slice(&batch.payload.to_be_bytes());
    let header = BatchHeader::read(&bytes).expect("it was just written");
    (header, bytes)
}
