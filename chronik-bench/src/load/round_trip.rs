//! One record in flight per worker, from its send to its own receipt: the latency of an idle cluster.

use std::sync::Arc;
use std::time::Duration;

use chronik_check::header::{ANY_PARTITION, Header};
use chronik_check::history::Value;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord};

use super::account::examine;
use super::delivery::{Deliveries, SendTimes, client_error_name};
use super::gate::Gate;
use super::reader::ReaderContext;
use super::shared::Shared;
use crate::recorder::{Recorder, Tag};
use crate::window::Phase;
use crate::workload::PayloadPool;

const POLL_SLICE: Duration = Duration::from_millis(20);
/// A record that is not back by then counts as failed, and the worker goes on.
const RETURN_BOUND_NS: u64 = 30_000_000_000;

/// A producer and a consumer of one partition.
pub(crate) struct RoundTripper {
    pub(crate) producer: Arc<BaseProducer<Deliveries>>,
    pub(crate) consumer: BaseConsumer<ReaderContext>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) recorder: Recorder,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) pool: PayloadPool,
    pub(crate) worker: u32,
    pub(crate) messages: Option<u64>,
}

impl RoundTripper {
    pub(crate) fn run(mut self) {
        let clock = self.shared.clock();
        let mut counted = 0;
        let mut seq = 0;
        while !self.shared.is_stopped() && clock.now_ns() < self.shared.window.end_ns() {
            let sent_ns = clock.now_ns();
            let phase = self.shared.window.phase_of(sent_ns);
            if self.send(seq, sent_ns) {
                self.await_return(seq, sent_ns, phase);
            }
            seq += 1;
            counted += u64::from(phase == Phase::Window);
            if self.messages.is_some_and(|limit| counted >= limit) {
                break;
            }
        }
    }

    fn send(&mut self, seq: u64, sent_ns: u64) -> bool {
        let header = Header {
            run: self.shared.run,
            partition_hash: ANY_PARTITION,
            value: Value {
                producer: self.worker,
                incarnation: 0,
                seq,
            },
            intended_ns: sent_ns,
        };
        let payload = self.pool.next_payload(&header);
        let times = SendTimes {
            intended_us: sent_ns / 1_000,
            lateness_us: 0,
        };
        let record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, times.pack())
                .partition(self.partition)
                .payload(payload);
        self.gate.enter();
        let counters = self.recorder.counters();
        counters.sent += 1;
        counters.intended += u64::from(self.shared.window.contains(sent_ns));
        match self.producer.send(record) {
            Ok(()) => true,
            Err((error, _)) => {
                self.gate.leave();
                self.recorder.counters().failed += 1;
                self.recorder.error(client_error_name(&error));
                false
            }
        }
    }

    fn await_return(&mut self, seq: u64, sent_ns: u64, phase: Phase) {
        let clock = self.shared.clock();
        loop {
            let message = self.consumer.poll(POLL_SLICE);
            let now_ns = clock.now_ns();
            self.recorder.rotate(now_ns);
            if let Some(Ok(message)) = message {
                self.recorder.consumed(now_ns, message.payload_len() as u64);
                let header = examine(message.payload().unwrap_or_default(), self.shared.run);
                let is_own = header.is_ok_and(|header| {
                    header.value.producer == self.worker && header.value.seq == seq
                });
                if is_own {
                    let latency_us = (now_ns - sent_ns) / 1_000;
                    self.recorder.record(Tag::RoundTrip, phase, latency_us);
                    return;
                }
            }
            if now_ns - sent_ns > RETURN_BOUND_NS || self.shared.is_purged() {
                self.recorder.error("NotReturned");
                return;
            }
        }
    }
}
