//! The receiving half of a producer: its poll thread judges and times every message exactly once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronik_check::header::Header;
use chronik_check::history::Value;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext, PurgeConfig};

use super::account::AccountEvent;
use super::gate::Gate;
use super::shared::Shared;
use crate::native::{self, Fate};
use crate::recorder::{Recorder, Tag};
use crate::window::Phase;

const POLL_SLICE: Duration = Duration::from_millis(20);
/// After the end of the load: messages that were given up are reported within one of them.
const LAST_POLLS: u32 = 250;
/// Acknowledgements go to the account in pieces.
const ACKED_BATCH: usize = 512;
const LATENESS_BITS: u32 = 24;
const LATENESS_MAX_US: u64 = (1 << LATENESS_BITS) - 1;

/// Intended send time and lateness in the one word that travels with a message: 40 bits of microseconds are twelve days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendTimes {
    pub(crate) intended_us: u64,
    pub(crate) lateness_us: u64,
}

/// Topics and partitions that an open transaction has written to.
pub(crate) type Touched = Arc<Mutex<BTreeSet<(String, i32)>>>;

/// What librdkafka calls back; it runs on the poll thread only.
pub(crate) struct Deliveries {
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) statistics: SyncSender<Vec<u8>>,
    /// Partitions touched since the last commit; only transactions use it.
    pub(crate) touched: Option<Touched>,
}

/// What the poll thread owns.
struct Desk {
    recorder: Recorder,
    account: Option<SyncSender<AccountEvent>>,
    acked: Vec<Value>,
    is_open_loop: bool,
}

thread_local! {
    /// The callback gets no owner, so its thread is the owner.
    static DESK: RefCell<Option<Desk>> = const { RefCell::new(None) };
}

/// Polls until the load is finished and every message is decided.
pub(crate) fn poll_loop(
    producer: &BaseProducer<Deliveries>,
    recorder: Recorder,
    account: Option<SyncSender<AccountEvent>>,
    is_open_loop: bool,
) {
    let context = Arc::clone(producer.client().context());
    let desk = Desk {
        recorder,
        account,
        acked: Vec::new(),
        is_open_loop,
    };
    DESK.set(Some(desk));
    let clock = context.shared.clock();
    let mut was_purged = false;
    let mut polls_left = LAST_POLLS;
    loop {
        producer.poll(POLL_SLICE);
        with_desk(|desk| {
            desk.recorder.rotate(clock.now_ns());
            desk.settle(false);
        });
        if context.shared.is_purged() && !was_purged {
            was_purged = true;
            producer.purge(PurgeConfig::default().queue().inflight());
        }
        let is_decided = context.gate.outstanding() == 0;
        if context.shared.is_finished() {
            polls_left -= 1;
            if is_decided || polls_left == 0 {
                break;
            }
        }
    }
    with_desk(|desk| desk.settle(true));
    DESK.set(None);
}

impl SendTimes {
    pub(crate) fn pack(self) -> usize {
        let lateness = self.lateness_us.min(LATENESS_MAX_US);
        ((self.intended_us << LATENESS_BITS) | lateness) as usize
    }

    pub(crate) fn unpack(word: usize) -> Self {
        let word = word as u64;
        Self {
            intended_us: word >> LATENESS_BITS,
            lateness_us: word & LATENESS_MAX_US,
        }
    }

    pub(crate) fn is_saturated(self) -> bool {
        self.lateness_us >= LATENESS_MAX_US
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {
        // Errors arrive through `error` and are counted; the log would repeat them without a number.
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // Parsed elsewhere; a report that finds no room is followed by another.
        let _ = self.statistics.try_send(statistics.to_vec());
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        with_desk(|desk| desk.recorder.error(client_error_name(&error)));
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, word: usize) {
        let now_ns = self.shared.clock().now_ns();
        let times = SendTimes::unpack(word);
        with_desk(|desk| {
            desk.recorder.rotate(now_ns);
            match result {
                Ok(message) => {
                    desk.acknowledge(message, times, now_ns);
                    self.shared.acked.fetch_add(1, Ordering::Relaxed);
                    if let Some(touched) = &self.touched {
                        let place = (message.topic().to_owned(), message.partition());
                        touched
                            .lock()
                            .expect("nobody panics while counting partitions")
                            .insert(place);
                    }
                }
                Err((error, message)) => desk.fail(error, message, times, now_ns),
            }
        });
        self.gate.leave();
    }
}

impl Desk {
    fn acknowledge(&mut self, message: &BorrowedMessage<'_>, times: SendTimes, now_ns: u64) {
        let intended_ns = times.intended_us * 1_000;
        let bytes = message.payload_len() as u64;
        let phase = self.recorder.acknowledged(intended_ns, now_ns, bytes);
        self.time(phase, times, now_ns);
        let broker = native::broker_id(message);
        if broker >= 0 {
            let response_us = (now_ns / 1_000).saturating_sub(times.intended_us);
            self.recorder
                .record(Tag::Broker(broker), phase, response_us);
        }
        if self.account.is_some()
            && let Some(payload) = message.payload()
            && let Ok(header) = Header::decode(payload)
        {
            self.acked.push(header.value);
            self.settle(false);
        }
    }

    fn fail(
        &mut self,
        error: &KafkaError,
        message: &BorrowedMessage<'_>,
        times: SendTimes,
        now_ns: u64,
    ) {
        let intended_ns = times.intended_us * 1_000;
        let phase = self.recorder.window().phase_of(intended_ns);
        let is_inside = self.recorder.window().contains(now_ns);
        let is_open = matches!(
            error,
            KafkaError::MessageProduction(
                RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight
            )
        );
        let is_undecided = native::fate(message) != Fate::NotPersisted;
        let counters = self.recorder.counters();
        counters.undecided += u64::from(is_undecided);
        if is_open {
            counters.censored += u64::from(phase == Phase::Window);
            self.time(phase, times, now_ns);
            return;
        }
        counters.failed += 1;
        counters.window_failed += u64::from(is_inside);
        counters.intended_failed += u64::from(phase == Phase::Window);
        self.recorder.error(client_error_name(error));
    }

    /// A message that is still open has taken at least this long.
    fn time(&mut self, phase: Phase, times: SendTimes, now_ns: u64) {
        let response_us = (now_ns / 1_000).saturating_sub(times.intended_us);
        let service_us = response_us.saturating_sub(times.lateness_us);
        if self.is_open_loop {
            self.recorder.record(Tag::AckResponse, phase, response_us);
        }
        self.recorder.record(Tag::AckService, phase, service_us);
        if times.is_saturated() {
            self.recorder.counters().saturated += 1;
        }
    }

    fn settle(&mut self, is_last: bool) {
        let is_due = self.acked.len() >= ACKED_BATCH || is_last;
        if is_due
            && !self.acked.is_empty()
            && let Some(account) = &self.account
        {
            // The account may be behind: waiting here is honest, forgetting would not be.
            let _ = account.send(AccountEvent::Acked(std::mem::take(&mut self.acked)));
        }
    }
}

/// A short, stable name for the table of errors.
pub(crate) fn client_error_name(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => format!("{code:?}"),
        None => error.to_string(),
    }
}

fn with_desk(act: impl FnOnce(&mut Desk)) {
    DESK.with_borrow_mut(|desk| {
        if let Some(desk) = desk {
            act(desk);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_travel_in_one_word() {
        let times = SendTimes {
            intended_us: 24 * 3_600 * 1_000_000,
            lateness_us: 16_000_000,
        };
        assert_eq!(SendTimes::unpack(times.pack()), times);
        let late = SendTimes {
            lateness_us: 99_000_000,
            ..times
        };
        assert!(SendTimes::unpack(late.pack()).is_saturated());
        assert_eq!(
            SendTimes::unpack(late.pack()).intended_us,
            times.intended_us
        );
    }
}
