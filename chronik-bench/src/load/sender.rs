//! The sending half of a producer: one thread, one schedule, no allocation of its own and no random number.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chronik_check::header::{ANY_PARTITION, Header};
use chronik_check::history::Value;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::delivery::{Deliveries, SendTimes, Touched, client_error_name};
use super::gate::Gate;
use super::shared::Shared;
use crate::clock::Clock;
use crate::pacer::{Pacing, Schedule};
use crate::recorder::{Recorder, Tag};
use crate::window::Phase;
use crate::workload::{Keys, PayloadPool};

const QUEUE_FULL_WAIT: Duration = Duration::from_millis(1);
const TRANSACTION_BOUND: Duration = Duration::from_secs(60);

/// Everything one sending thread owns.
pub(crate) struct Sender {
    pub(crate) producer: Arc<BaseProducer<Deliveries>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) recorder: Recorder,
    /// `None` is the closed loop: the next message leaves as soon as there is room.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) pacing: Pacing,
    pub(crate) topics: Vec<String>,
    pub(crate) keys: Keys,
    pub(crate) pool: PayloadPool,
    pub(crate) producer_id: u32,
    pub(crate) incarnation: u32,
    /// Ends after so many messages inside the window.
    pub(crate) messages: Option<u64>,
    pub(crate) transaction: Option<TransactionState>,
}

/// Messages per transaction and the partitions that the open one has touched.
pub(crate) struct TransactionState {
    pub(crate) messages: u64,
    pub(crate) touched: Touched,
}

/// The state of the send loop.
struct Progress {
    clock: Clock,
    seq: u64,
    counted: u64,
    in_transaction: u64,
    /// Messages meant to leave before this instant are late because the cluster had no room.
    excused_before_ns: u64,
}

/// When a message was meant to leave and when it did.
struct Departure {
    intended_ns: u64,
    actual_ns: u64,
}

impl Sender {
    /// Sends until the window, the count or the user ends it.
    pub(crate) fn run(mut self) {
        let mut progress = Progress {
            clock: self.shared.clock(),
            seq: 0,
            counted: 0,
            in_transaction: 0,
            excused_before_ns: 0,
        };
        while let Some(departure) = self.next_departure(&mut progress) {
            if !self.begin_transaction(&mut progress) {
                break;
            }
            self.send(&mut progress, &departure);
            self.end_transaction(&mut progress, false);
            if self.messages.is_some_and(|limit| progress.counted >= limit) {
                break;
            }
        }
        self.end_transaction(&mut progress, true);
    }

    /// Waits for the next instant and for room; `None` when the load is over.
    fn next_departure(&mut self, progress: &mut Progress) -> Option<Departure> {
        let intended_ns = self.schedule.as_mut().map(Schedule::next_ns);
        let mut was_blocked = false;
        loop {
            let now_ns = progress.clock.now_ns();
            self.recorder.rotate(now_ns);
            let due_ns = intended_ns.unwrap_or(now_ns);
            if self.shared.is_stopped() || due_ns >= self.shared.window.end_ns() {
                return None;
            }
            if now_ns < due_ns {
                self.pacing.spend(due_ns - now_ns);
                continue;
            }
            if self.gate.has_room() {
                if was_blocked {
                    progress.excused_before_ns = now_ns;
                }
                return Some(Departure {
                    intended_ns: due_ns,
                    actual_ns: now_ns,
                });
            }
            // Waiting for room is what a closed loop does all the time.
            if !was_blocked && intended_ns.is_some() {
                self.recorder.counters().blocked += 1;
            }
            was_blocked = true;
            self.gate.await_room();
        }
    }

    fn send(&mut self, progress: &mut Progress, departure: &Departure) {
        let phase = self.shared.window.phase_of(departure.intended_ns);
        let mut actual_ns = departure.actual_ns;
        let header = Header {
            run: self.shared.run,
            partition_hash: ANY_PARTITION,
            value: Value {
                producer: self.producer_id,
                incarnation: self.incarnation,
                seq: progress.seq,
            },
            intended_ns: departure.intended_ns,
        };
        let topic = &self.topics[progress.seq as usize % self.topics.len()];
        let payload = self.pool.next_payload(&header);
        let key = self.keys.next_key();
        self.gate.enter();
        loop {
            let lateness_us = actual_ns.saturating_sub(departure.intended_ns) / 1_000;
            let times = SendTimes {
                intended_us: departure.intended_ns / 1_000,
                lateness_us,
            };
            let mut record: BaseRecord<'_, [u8], [u8], usize> =
                BaseRecord::with_opaque_to(topic, times.pack()).payload(payload);
            record.key = key;
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                    if !self.shared.is_purged() =>
                {
                    self.recorder.counters().blocked += 1;
                    thread::sleep(QUEUE_FULL_WAIT);
                    actual_ns = progress.clock.now_ns();
                    progress.excused_before_ns = actual_ns;
                    self.recorder.rotate(actual_ns);
                }
                Err((error, _)) => {
                    self.gate.leave();
                    refuse(&mut self.recorder, &error, phase);
                    // A producer that refuses everything must not turn the loop into a spin.
                    thread::sleep(QUEUE_FULL_WAIT);
                    return;
                }
            }
        }
        progress.seq += 1;
        progress.in_transaction += 1;
        let counters = self.recorder.counters();
        counters.sent += 1;
        if phase == Phase::Window {
            counters.intended += 1;
            progress.counted += 1;
        }
        if self.schedule.is_some() && departure.intended_ns >= progress.excused_before_ns {
            let lateness_us = actual_ns.saturating_sub(departure.intended_ns) / 1_000;
            self.recorder.record(Tag::Lateness, phase, lateness_us);
        }
    }

    fn begin_transaction(&mut self, progress: &mut Progress) -> bool {
        if self.transaction.is_none() || progress.in_transaction > 0 {
            return true;
        }
        match self.producer.begin_transaction() {
            Ok(()) => true,
            Err(error) => {
                self.recorder.error(client_error_name(&error));
                false
            }
        }
    }

    fn end_transaction(&mut self, progress: &mut Progress, is_last: bool) {
        let Some(transaction) = &self.transaction else {
            return;
        };
        let is_due = progress.in_transaction >= transaction.messages || is_last;
        if progress.in_transaction == 0 || !is_due {
            return;
        }
        let begin_ns = progress.clock.now_ns();
        // Committing flushes first, and flushing wakes only every 100 ms: drained before, it finds nothing to do.
        let patience = Instant::now();
        while self.gate.outstanding() > 0 && patience.elapsed() < TRANSACTION_BOUND {
            thread::sleep(Duration::from_micros(200));
            self.recorder.rotate(progress.clock.now_ns());
        }
        let committed = self.producer.commit_transaction(TRANSACTION_BOUND);
        if let Err(error) = committed {
            self.recorder.error(client_error_name(&error));
            let aborted = self.producer.abort_transaction(TRANSACTION_BOUND);
            if let Err(error) = aborted {
                self.recorder.error(client_error_name(&error));
            }
        }
        let end_ns = progress.clock.now_ns();
        let phase = self.shared.window.phase_of(begin_ns);
        self.recorder
            .record(Tag::Commit, phase, (end_ns - begin_ns) / 1_000);
        let touched = std::mem::take(
            &mut *transaction
                .touched
                .lock()
                .expect("nobody panics while counting partitions"),
        );
        let counters = self.recorder.counters();
        counters.transactions += 1;
        counters.markers += touched.len() as u64;
        progress.in_transaction = 0;
    }
}

fn refuse(recorder: &mut Recorder, error: &KafkaError, phase: Phase) {
    let counters = recorder.counters();
    counters.sent += 1;
    counters.failed += 1;
    counters.intended += u64::from(phase == Phase::Window);
    counters.intended_failed += u64::from(phase == Phase::Window);
    recorder.error(client_error_name(error));
}
