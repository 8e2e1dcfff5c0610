//! Readers that write down all they see: one follows the end of a partition, one begins anew again and again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chronik_check::history::{
    Action, Content, Isolation, ListOffsetsEnd, Name, Poll, PollMode, Record,
};

use super::router::Router;
use super::{Clients, TOPIC, rest};
use crate::seed::Stream;
use crate::wire::{Fetched, LATEST, error_code, fetch, list_offsets};

pub(super) const FETCH_BOUND: Duration = Duration::from_secs(3);
pub(super) const FETCH_WAIT: Duration = Duration::from_millis(200);
pub(super) const FETCH_BYTES: i32 = 1 << 20;
const BACKOFF: Duration = Duration::from_millis(60);
/// How often the end of the log is asked for beside reading it.
const ASK_END_EVERY: Duration = Duration::from_millis(500);
/// A pause before reading everything again, so that a long log does not become the load itself.
const REREAD_PAUSE: Duration = Duration::from_secs(2);

/// One reader of one partition.
#[derive(Debug)]
pub(super) struct Auditor {
    clients: Clients,
    proc: u32,
    partition: i32,
    name: Name,
    router: Router,
    position: u64,
    begins_anew: bool,
    asks_for_end: bool,
    next_ask: Instant,
}

impl Auditor {
    /// Follows the end.
    pub(super) fn tail(clients: Clients, partition: i32, asks_for_end: bool) -> Auditor {
        Auditor::new(clients, partition, false, asks_for_end)
    }

    /// Reads from the start to the end, again and again: a restart must not change what was read before.
    pub(super) fn rereading(clients: Clients, partition: i32) -> Auditor {
        Auditor::new(clients, partition, true, false)
    }

    fn new(clients: Clients, partition: i32, begins_anew: bool, asks_for_end: bool) -> Auditor {
        let proc = clients.journal.next_proc();
        let chance = Stream::new(clients.seed, &format!("auditor {proc}"));
        Auditor {
            proc,
            partition,
            name: clients.name_of(partition),
            router: Router::new(clients.bootstrap.clone(), partition, chance),
            position: 0,
            begins_anew,
            asks_for_end,
            next_ask: Instant::now(),
            clients,
        }
    }

    pub(super) fn run(mut self) {
        self.record(Action::Assign(vec![(self.name.clone(), Some(0))]));
        while !self.clients.progress.readers_stop() {
            if !self.read_once() {
                self.router.forget();
                rest(BACKOFF);
            } else if self.asks_for_end && Instant::now() >= self.next_ask {
                self.next_ask = Instant::now() + ASK_END_EVERY;
                self.ask_end();
            }
        }
        self.record(Action::ProcExit {
            node: None,
            expected: true,
        });
    }

    /// One fetch; `false` asks for a new connection.
    fn read_once(&mut self) -> bool {
        let (partition, position) = (self.partition, self.position);
        let Some(Ok((_, connection))) = self.router.connect() else {
            return false;
        };
        let op = self.clients.journal.next_operation();
        self.clients
            .journal
            .record(self.proc, Action::PollInvoke { op });
        let fetched = fetch(
            connection,
            (TOPIC, partition),
            position,
            FETCH_BYTES,
            FETCH_WAIT,
            FETCH_BOUND,
        );
        match fetched {
            Ok(fetched) if fetched.error == error_code::NONE => self.take(op, &fetched),
            Ok(fetched) if fetched.error == error_code::OFFSET_OUT_OF_RANGE => {
                self.record(Action::PollFailed { op });
                // The log is shorter than what was read. The final read decides whether that is a loss.
                self.seek(0);
                true
            }
            _ => {
                self.record(Action::PollFailed { op });
                false
            }
        }
    }

    fn take(&mut self, op: u64, fetched: &Fetched) -> bool {
        let hash = self.clients.hash_of(self.partition);
        let Some((records, next)) = runs_of(fetched, self.position, self.clients.run, hash) else {
            self.record(Action::PollFailed { op });
            return false;
        };
        let count: u64 = records.iter().map(|record| u64::from(record.count)).sum();
        self.clients
            .progress
            .read_records
            .fetch_add(count, Ordering::Relaxed);
        let high_watermark = u64::try_from(fetched.high_watermark).ok();
        self.record(Action::Poll(Poll {
            op,
            mode: PollMode::Assign,
            group: None,
            generation: None,
            isolation: Isolation::Uncommitted,
            transaction: None,
            records: vec![(self.name.clone(), records)],
            high_watermarks: high_watermark
                .map(|end| (self.name.clone(), end))
                .into_iter()
                .collect(),
        }));
        self.position = next;
        if self.begins_anew && high_watermark.is_some_and(|end| next >= end) && next > 0 {
            rest(REREAD_PAUSE);
            self.seek(0);
        }
        true
    }

    fn seek(&mut self, to: u64) {
        self.position = to;
        self.record(Action::Seek(vec![(self.name.clone(), Some(to))]));
    }

    fn ask_end(&mut self) {
        let partition = self.partition;
        let Some(Ok((_, connection))) = self.router.connect() else {
            return;
        };
        let op = self.clients.journal.next_operation();
        self.clients
            .journal
            .record(self.proc, Action::ListOffsetsInvoke { op });
        let answer = list_offsets(connection, (TOPIC, partition), LATEST, FETCH_BOUND);
        let latest = match &answer {
            Ok(Ok(end)) => vec![(self.name.clone(), *end)],
            _ => Vec::new(),
        };
        self.record(Action::ListOffsetsEnd(ListOffsetsEnd { op, latest }));
        if !matches!(answer, Ok(Ok(_))) {
            self.router.forget();
        }
    }

    fn record(&self, action: Action) {
        self.clients.journal.record(self.proc, action);
    }
}

/// What was read from a position on, as runs of consecutive records, and the next position.
pub(super) fn runs_of(
    fetched: &Fetched,
    position: u64,
    run: u64,
    partition_hash: u32,
) -> Option<(Vec<Record>, u64)> {
    let mut runs: Vec<Record> = Vec::new();
    let mut next = position;
    // A batch that cannot be read is as good as no answer; if it stays so, the final read never ends, and that shows.
    for record in fetched.records().ok()? {
        let offset = u64::try_from(record.offset).ok()?;
        // A broker sends whole batches, from the one that holds the position.
        if offset < position {
            continue;
        }
        next = next.max(offset + 1);
        if record.is_control {
            continue;
        }
        let content = Content::of_payload(record.value, run, partition_hash);
        let leader_epoch = Some(record.leader_epoch).filter(|epoch| *epoch >= 0);
        match runs.last_mut() {
            Some(last) if continues(last, offset, content, leader_epoch) => last.count += 1,
            _ => runs.push(Record {
                offset,
                content,
                leader_epoch,
                count: 1,
            }),
        }
    }
    Some((runs, next))
}

fn continues(last: &Record, offset: u64, content: Content, leader_epoch: Option<i32>) -> bool {
    let count = u64::from(last.count);
    match (last.content, content) {
        (Content::Value(first), Content::Value(value)) => {
            last.offset + count == offset
                && first.plus(count) == value
                && last.leader_epoch == leader_epoch
        }
        _ => false,
    }
}
