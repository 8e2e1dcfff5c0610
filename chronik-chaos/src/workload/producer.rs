//! One producer of one partition: a batch at a time, every attempt written down, nothing retried in hiding.

use std::time::{Duration, Instant};

use chronik_check::classify::{classify, classify_result};
use chronik_check::header::{Header, body_hash};
use chronik_check::history::{
    Action, Attempt, AttemptResult, KafkaError, Name, Outcome, SendEnd, SendInvoke, Value, Wire,
};

use super::router::Router;
use super::{Clients, TOPIC, rest, rest_until};
use crate::seed::Stream;
use crate::wire::{CallFailed, ProduceAnswer, Sequence, error_code, init_producer_id, produce};

/// A batch that is not acknowledged within this stays open for ever: the producer goes on under a new identity.
const DELIVERY_BOUND: Duration = Duration::from_secs(20);
/// A node that is away is given up after this, so that the gap which is measured is the cluster's and not ours.
const REQUEST_BOUND: Duration = Duration::from_millis(1_500);
/// What the broker is told, shorter than our own patience, so that its word comes first.
const BROKER_BOUND: Duration = Duration::from_millis(1_200);
const BACKOFF: Duration = Duration::from_millis(40);

/// A producer with its place in its sequence.
#[derive(Debug)]
pub(super) struct Producer {
    clients: Clients,
    proc: u32,
    producer: u32,
    partition: i32,
    name: Name,
    chance: Stream,
    router: Router,
    incarnation: u32,
    next_seq: u64,
    identity: Option<(i64, i16)>,
}

/// A batch before it is sent.
struct Batch {
    op: u64,
    first: Value,
    values: Vec<Vec<u8>>,
    sequence: Sequence,
}

impl Producer {
    pub(super) fn new(clients: Clients, producer: u32, partition: i32) -> Producer {
        let stream = |name: &str| Stream::new(clients.seed, &format!("{name} {producer}"));
        Producer {
            proc: clients.journal.next_proc(),
            producer,
            partition,
            name: clients.name_of(partition),
            chance: stream("producer"),
            router: Router::new(
                clients.bootstrap.clone(),
                partition,
                stream("producer route"),
            ),
            incarnation: 0,
            next_seq: 0,
            identity: None,
            clients,
        }
    }

    pub(super) fn run(mut self) {
        let workload = &self.clients.workload;
        let lanes = workload.producers * self.clients.partitions;
        let every = Duration::from_secs_f64(f64::from(lanes) / f64::from(workload.rate));
        // Lanes do not beat as one.
        let mut due = Instant::now() + every.mul_f64(self.chance.fraction());
        while !self.clients.progress.producers_stop() {
            rest_until(due, || self.clients.progress.producers_stop());
            if self.identified() {
                self.send_one(due);
            } else {
                rest(BACKOFF);
            }
            // After a stall the load goes on at its rate; what was not sent meanwhile is not made up for.
            due = (due + every).max(Instant::now());
        }
    }

    /// An idempotent producer needs a number from the broker before its first batch.
    fn identified(&mut self) -> bool {
        if !self.clients.workload.idempotent || self.identity.is_some() {
            return true;
        }
        let asked = match self.router.connect() {
            Some(Ok((_, connection))) => init_producer_id(connection, REQUEST_BOUND),
            _ => return false,
        };
        if let Ok(Ok(identity)) = asked {
            self.identity = Some(identity);
            return true;
        }
        self.router.forget();
        false
    }

    fn send_one(&mut self, due: Instant) {
        let batch = self.next_batch(due);
        let wire = self.identity.map(|_| Wire {
            producer_id: batch.sequence.producer_id,
            epoch: batch.sequence.epoch,
            base_sequence: batch.sequence.base,
        });
        self.record(Action::SendInvoke(SendInvoke {
            op: batch.op,
            partition: self.name.clone(),
            value: batch.first,
            wire,
            count: u32::try_from(batch.values.len()).expect("a batch has few records"),
            acks: self.clients.workload.acks,
            transaction: None,
        }));
        let invoked_ns = self.clients.journal.clock.now_ns();
        let mut end = self.deliver(&batch);
        end.outcome = classify(&end, self.clients.contract);
        if end.outcome == Outcome::Ok {
            self.count(&end, invoked_ns, batch.values.len() as u64);
        } else {
            // What became of the batch may be unknown for ever, so its sequence cannot go on.
            self.incarnation += 1;
            self.next_seq = 0;
            self.identity = None;
        }
        self.record(Action::SendEnd(end));
    }

    fn next_batch(&mut self, due: Instant) -> Batch {
        let workload = &self.clients.workload;
        let count = 1 + self.chance.below(u64::from(workload.batch));
        let first = Value {
            producer: self.producer,
            incarnation: self.incarnation,
            seq: self.next_seq,
        };
        self.next_seq += count;
        let late_ns = u64::try_from(due.elapsed().as_nanos()).unwrap_or(0);
        let intended_ns = self.clients.journal.clock.now_ns().saturating_sub(late_ns);
        let values = (0..count).map(|step| {
            let value = first.plus(step);
            let chance = &mut self.chance;
            payload(&self.clients, self.partition, value, intended_ns, chance)
        });
        let values = values.collect();
        let sequence = self
            .identity
            .map_or(Sequence::NONE, |(producer_id, epoch)| Sequence {
                producer_id,
                epoch,
                // The wire's sequence has 31 bits and goes around.
                base: i32::try_from(first.seq & 0x7fff_ffff).expect("31 bits fit"),
            });
        Batch {
            op: self.clients.journal.next_operation(),
            first,
            values,
            sequence,
        }
    }

    /// Tries until it is acknowledged, refused for good, or too late.
    fn deliver(&mut self, batch: &Batch) -> SendEnd {
        let deadline = Instant::now() + DELIVERY_BOUND;
        let mut end = SendEnd {
            op: batch.op,
            outcome: Outcome::Info,
            partition: None,
            offset: None,
            leader_epoch: None,
            node: None,
            attempts: Vec::new(),
        };
        while Instant::now() < deadline {
            let Some((node, answer)) = self.attempt(batch) else {
                // Nobody knows a leader: that is no attempt.
                if self.clients.progress.producers_stop() {
                    break;
                }
                rest(BACKOFF);
                continue;
            };
            let (result, offset) = verdict_of(&answer);
            end.node = u32::try_from(node).ok();
            end.attempts.push(Attempt {
                node: end.node,
                result,
                wire: None,
            });
            if classify_result(result, self.clients.contract) == Outcome::Ok {
                end.offset = offset;
                return end;
            }
            let attempts_max = self.clients.workload.attempts as usize;
            let gives_up = attempts_max > 0 && end.attempts.len() >= attempts_max;
            if is_final(result) || gives_up || self.clients.progress.producers_stop() {
                break;
            }
            self.router.forget();
            rest(BACKOFF);
        }
        if end.attempts.is_empty() {
            end.attempts.push(Attempt {
                node: None,
                result: AttemptResult::NotSent,
                wire: None,
            });
        }
        self.router.forget();
        end
    }

    fn attempt(&mut self, batch: &Batch) -> Option<(i32, Result<ProduceAnswer, CallFailed>)> {
        let acks = self.clients.workload.acks;
        let partition = self.partition;
        let (node, connection) = match self.router.connect()? {
            Ok(found) => found,
            Err((node, failed)) => return Some((node, Err(failed))),
        };
        let answer = produce(
            connection,
            (TOPIC, partition),
            &batch.values,
            batch.sequence,
            acks,
            (BROKER_BOUND, REQUEST_BOUND),
            TIMESTAMP_MS,
        );
        Some((node, answer))
    }

    fn count(&self, end: &SendEnd, invoked_ns: u64, records: u64) {
        let acked_end = end.offset.map_or(0, |offset| offset + records);
        let progress = self.clients.progress.of(self.partition);
        progress.acked(invoked_ns, acked_end);
    }

    fn record(&self, action: Action) {
        self.clients.journal.record(self.proc, action);
    }
}

/// One record's bytes: who it is, and a body of as many equal bytes as the workload says.
pub(super) fn payload(
    clients: &Clients,
    partition: i32,
    value: Value,
    intended_ns: u64,
    chance: &mut Stream,
) -> Vec<u8> {
    let body = vec![chance.next() as u8; clients.workload.body_bytes as usize];
    let header = Header {
        run: clients.run,
        partition_hash: clients.hash_of(partition),
        value,
        intended_ns,
    };
    let mut payload = header.encode(body_hash(&body)).to_vec();
    payload.extend_from_slice(&body);
    payload
}

/// Records carry no time of day: nothing here is retained by time, and runs repeat better without it.
const TIMESTAMP_MS: i64 = 1_700_000_000_000;

fn verdict_of(answer: &Result<ProduceAnswer, CallFailed>) -> (AttemptResult, Option<u64>) {
    match answer {
        Ok(ProduceAnswer {
            error: error_code::NONE,
            base_offset,
        }) => (AttemptResult::Ok, u64::try_from(*base_offset).ok()),
        Ok(ProduceAnswer { error, .. }) => {
            (AttemptResult::Error(KafkaError::from_code(*error)), None)
        }
        Err(CallFailed::NotSent(_)) => (AttemptResult::NotSent, None),
        Err(CallFailed::Timeout) => (AttemptResult::Timeout, None),
        // An answer that cannot be read says as little as none.
        Err(CallFailed::Disconnected(_) | CallFailed::Answer(_)) => {
            (AttemptResult::Disconnected, None)
        }
    }
}

/// Errors that another attempt cannot turn into anything better.
fn is_final(result: AttemptResult) -> bool {
    use KafkaError as Kafka;
    matches!(
        result,
        AttemptResult::Error(
            Kafka::MessageTooLarge
                | Kafka::InvalidTopic
                | Kafka::InvalidRecord
                | Kafka::OutOfOrderSequence
                | Kafka::InvalidProducerEpoch
                | Kafka::ProducerFenced
                | Kafka::UnsupportedVersion
        )
    )
}
