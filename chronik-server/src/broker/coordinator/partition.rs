//! One led partition of `__consumer_offsets`: first it loads, then it serves.

use std::collections::{BTreeMap, VecDeque};

use chronik_core::catalog::topic_config::LogConfig;
use chronik_core::consumer_group::{
    Action, AppendError, Coordinator, Event, GroupError, RawRecord, Reply, Request, Ticket, Token,
};
use chronik_core::ids::GroupUid;
use chronik_core::partition::BatchHeader;
use tokio::sync::oneshot;

use super::load::Loaded;
use super::{Options, batch};
use crate::broker::{Appended, Appends, Broker, PendingAppend, all_replicas};

/// Requests that may wait while a partition loads.
const WAITING_MAX: usize = 1_024;
/// More records than this do not go into one batch with others.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// A question and where its answer goes.
pub(super) struct Ask {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, GroupError>>,
}

pub(super) struct Partition {
    pub(super) group: GroupUid,
    /// The epoch in which this node leads it. Another one makes everything here worthless.
    pub(super) epoch: i32,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    Loading { waiting: Vec<Ask> },
    Serving(Box<Serving>),
}

pub(super) struct Serving {
    coordinator: Coordinator,
    config: LogConfig,
    /// How many nodes hold the partition.
    replicas: usize,
    open: BTreeMap<Ticket, oneshot::Sender<Result<Reply, GroupError>>>,
    tickets: u64,
    /// Ordered by the state machine and not yet handed to the log.
    to_write: Vec<(Token, Vec<RawRecord>)>,
    /// Batches on their way; outcomes are told in this order.
    written: VecDeque<Written>,
    batches: u64,
    /// The first offset that the image does not cover.
    next_offset: i64,
    bytes_since_kept: u64,
    kept_bytes: u64,
}

/// One batch, the orders in it, and what became of it.
struct Written {
    batch: u64,
    tokens: Vec<Token>,
    records: usize,
    bytes: usize,
    outcome: Option<Result<Appended, AppendError>>,
}

/// A batch whose outcome is to be awaited.
pub(super) struct OnItsWay {
    pub(super) group: GroupUid,
    pub(super) epoch: i32,
    pub(super) batch: u64,
    pub(super) pending: PendingAppend,
}

impl Partition {
    pub(super) fn loading(group: GroupUid, epoch: i32) -> Partition {
        Partition {
            group,
            epoch,
            stage: Stage::Loading {
                waiting: Vec::new(),
            },
        }
    }

    pub(super) fn ask(&mut self, now_ms: u64, ask: Ask) {
        match &mut self.stage {
            Stage::Loading { waiting } if waiting.len() < WAITING_MAX => waiting.push(ask),
            Stage::Loading { .. } => refuse(ask, GroupError::CoordinatorLoadInProgress),
            Stage::Serving(serving) => serving.ask(now_ms, ask),
        }
    }

    pub(super) fn begin(
        &mut self,
        now_ms: u64,
        options: &Options,
        (config, replicas): (LogConfig, usize),
        loaded: Loaded,
    ) {
        let serving = Serving::new(now_ms, options, (config, replicas), loaded);
        let before = std::mem::replace(&mut self.stage, Stage::Serving(Box::new(serving)));
        if let Stage::Loading { waiting } = before {
            waiting.into_iter().for_each(|ask| self.ask(now_ms, ask));
        }
    }

    /// Everyone who waits is told why it ends.
    pub(super) fn end(self, error: GroupError) {
        match self.stage {
            Stage::Loading { waiting } => waiting.into_iter().for_each(|ask| refuse(ask, error)),
            Stage::Serving(serving) => serving.end(),
        }
    }

    pub(super) fn serving(&mut self) -> Option<&mut Serving> {
        match &mut self.stage {
            Stage::Serving(serving) => Some(serving),
            Stage::Loading { .. } => None,
        }
    }
}

impl Serving {
    fn new(
        now_ms: u64,
        options: &Options,
        (config, replicas): (LogConfig, usize),
        loaded: Loaded,
    ) -> Serving {
        Serving {
            coordinator: Coordinator::load(options.groups.clone(), loaded.image, now_ms),
            config,
            replicas,
            open: BTreeMap::new(),
            tickets: 0,
            to_write: Vec::new(),
            written: VecDeque::new(),
            batches: 0,
            next_offset: loaded.next_offset,
            bytes_since_kept: 0,
            kept_bytes: 0,
        }
    }

    pub(super) fn ask(&mut self, now_ms: u64, ask: Ask) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket, ask.reply);
        self.step(
            now_ms,
            Event::Request {
                ticket,
                request: ask.request,
            },
        );
    }

    pub(super) fn forget_topic(&mut self, now_ms: u64, topic: &str) {
        self.step(
            now_ms,
            Event::TopicDeleted {
                topic: topic.to_owned(),
            },
        );
    }

    pub(super) fn group_count(&self) -> usize {
        self.coordinator.image().groups().count()
    }

    pub(super) fn next_deadline_ms(&self) -> u64 {
        self.coordinator.next_deadline_ms()
    }

    pub(super) fn tick_if_due(&mut self, now_ms: u64) {
        if self.coordinator.next_deadline_ms() <= now_ms {
            self.step(now_ms, Event::Tick);
        }
    }

    /// Takes the outcome of a batch, and tells the state machine all outcomes that are next in order.
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        batch: u64,
        outcome: Result<Appended, AppendError>,
    ) {
        if let Some(written) = self
            .written
            .iter_mut()
            .find(|written| written.batch == batch)
        {
            written.outcome = Some(outcome);
        }
        while let Some(outcome) = self.written.front().and_then(|written| written.outcome) {
            let written = self.written.pop_front().expect("there is a front");
            if let Ok(appended) = outcome {
                self.next_offset = appended.base_offset + written.records as i64;
                self.bytes_since_kept += written.bytes as u64;
            }
            for token in written.tokens {
                self.step(
                    now_ms,
                    Event::Appended {
                        token,
                        result: outcome.map(|_| ()),
                    },
                );
            }
        }
    }

    /// Puts everything ordered so far into as few batches as fit, for one hand-over to the log.
    pub(super) fn write(
        &mut self,
        group: GroupUid,
        epoch: i32,
        now_ms: u64,
        appends: &mut Appends,
        on_their_way: &mut Vec<OnItsWay>,
    ) {
        let mut orders = std::mem::take(&mut self.to_write).into_iter().peekable();
        while let Some((token, mut records)) = orders.next() {
            let mut tokens = vec![token];
            let mut bytes = size(&records);
            while let Some((token, more)) =
                orders.next_if(|(_, more)| bytes + size(more) <= BATCH_BYTES_MAX)
            {
                bytes += size(&more);
                tokens.push(token);
                records.extend(more);
            }
            let encoded = batch::encode(&records, i64::try_from(now_ms).unwrap_or(i64::MAX));
            let header = BatchHeader::read(&encoded).expect("a batch of our own");
            self.batches += 1;
            let (batch, bytes) = (self.batches, encoded.len());
            self.written.push_back(Written {
                batch,
                tokens,
                records: records.len(),
                bytes,
                outcome: None,
            });
            let acks = all_replicas(&self.config, self.replicas);
            match appends.push(
                group,
                &self.config,
                header,
                encoded,
                acks,
                header.max_timestamp,
            ) {
                Ok(pending) => on_their_way.push(OnItsWay {
                    group,
                    epoch,
                    batch,
                    pending,
                }),
                Err(error) => self.settle(now_ms, batch, Err(refusal(&error))),
            }
        }
    }

    /// Keeps the state once enough was written since the last time, so that the records behind it can go. Large
    /// states are kept less often: what is written for them stays a fraction of what clients write.
    pub(super) fn keep_state(&mut self, broker: &Broker, group: GroupUid, after_bytes: u64) {
        if self.bytes_since_kept < after_bytes.max(self.kept_bytes.saturating_mul(4)) {
            return;
        }
        let state = self.coordinator.image().snapshot();
        self.kept_bytes = state.len() as u64;
        self.bytes_since_kept = 0;
        broker.keep_state(group, self.next_offset, state);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.to_write.is_empty()
    }

    fn end(mut self) {
        let mut actions = Vec::new();
        self.coordinator.stop(&mut actions);
        for action in actions {
            if let Action::Reply { ticket, reply } = action {
                answer(&mut self.open, ticket, reply);
            }
        }
    }

    fn step(&mut self, now_ms: u64, event: Event) {
        let mut actions = Vec::new();
        self.coordinator.step(now_ms, event, &mut actions);
        for action in actions {
            match action {
                Action::Reply { ticket, reply } => answer(&mut self.open, ticket, reply),
                Action::Append { token, records } => self.to_write.push((token, records)),
            }
        }
    }
}

type Open = BTreeMap<Ticket, oneshot::Sender<Result<Reply, GroupError>>>;

/// Whoever hung up does not want to know any more.
fn answer(open: &mut Open, ticket: Ticket, reply: Reply) {
    let sender = open.remove(&ticket).expect("each ticket is answered once");
    _ = sender.send(Ok(reply));
}

pub(super) fn refuse(ask: Ask, error: GroupError) {
    _ = ask.reply.send(Err(error));
}

pub(super) fn refusal(error: &crate::broker::AppendError) -> AppendError {
    use crate::broker::AppendError as Refused;
    match error {
        Refused::NotLeader(_) | Refused::UnknownGroup | Refused::Stopping => AppendError::NotLeader,
        Refused::TooLarge { .. } => AppendError::TooLarge,
        Refused::Sequence(_)
        | Refused::NotEnoughReplicas
        | Refused::Overloaded
        | Refused::DiskFull
        | Refused::Unknown => AppendError::Unavailable,
    }
}

fn size(records: &[RawRecord]) -> usize {
    records
        .iter()
        .map(|record| record.key.len() + record.value.as_ref().map_or(0, |value| value.len()))
        .sum()
}
