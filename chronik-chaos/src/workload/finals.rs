//! The last read of everything, after the heal: what it does not find is lost.

use std::time::{Duration, Instant};

use chronik_check::history::{Action, FinalRead, Isolation, Poll, PollMode};

use super::auditor::{FETCH_BOUND, FETCH_BYTES, FETCH_WAIT, runs_of};
use super::router::Router;
use super::{Clients, TOPIC, rest, spawn};
use crate::net::Network;
use crate::seed::Stream;
use crate::wire::{Connection, EARLIEST, LATEST, error_code, fetch, list_offsets};
use std::sync::atomic::Ordering;

const ANEW_EVERY: Duration = Duration::from_millis(500);
/// A log that ends before what was acknowledged may still be loading; for longer than this it is lost.
const SHORT_BOUND: Duration = Duration::from_secs(15);

/// How the final reads ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalOutcome {
    pub(crate) read_records: u64,
    /// What was read of each partition, in their order.
    pub(crate) reads: Vec<FinalRead>,
    /// Partitions whose end was not reached in time.
    pub(crate) unreached: Vec<i32>,
}

/// Reads all partitions side by side, again from the start after any trouble, until `bound` is over.
pub(crate) fn read_finally(
    clients: &Clients,
    network: Option<&Network>,
    bound: Duration,
) -> std::io::Result<FinalOutcome> {
    let deadline = Instant::now() + bound;
    let partitions = i32::try_from(clients.partitions).expect("a topic has few partitions");
    let mut readers = Vec::new();
    for partition in 0..partitions {
        let clients = clients.clone();
        let read = move || read_partition(&clients, partition, deadline);
        readers.push((partition, spawn("final", network, read)?));
    }
    let mut outcome = FinalOutcome::default();
    for (partition, reader) in readers {
        match reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        {
            Some(read) => {
                outcome.read_records += read.end - read.start;
                outcome.reads.push(read);
            }
            None => outcome.unreached.push(partition),
        }
    }
    Ok(outcome)
}

fn read_partition(clients: &Clients, partition: i32, deadline: Instant) -> Option<FinalRead> {
    let chance = Stream::new(clients.seed, &format!("final {partition}"));
    let mut router = Router::new(clients.bootstrap.clone(), partition, chance);
    let mut farthest: Option<FinalRead> = None;
    let mut deadline = deadline;
    while Instant::now() < deadline {
        if let Some(Ok((_, connection))) = router.connect()
            && let Some(read) = read_all(clients, connection, partition, deadline)
        {
            let acked_end = clients
                .progress
                .of(partition)
                .acked_end
                .load(Ordering::Relaxed);
            let is_short = read.end < acked_end;
            if is_short && farthest.is_none() {
                deadline = deadline.min(Instant::now() + SHORT_BOUND);
            }
            farthest = Some(read.clone());
            if !is_short {
                clients.journal.record(0, Action::Final(read.clone()));
                return Some(read);
            }
        }
        if farthest.is_none() && router.says_no_such_partition() {
            // Somebody answers, and knows nothing of this partition: an empty log is what is left of it.
            deadline = deadline.min(Instant::now() + SHORT_BOUND);
            farthest = Some(FinalRead {
                partition: clients.name_of(partition),
                start: 0,
                end: 0,
                reached: 0,
            });
        }
        router.forget();
        rest(ANEW_EVERY);
    }
    // The log never came back to what was acknowledged: say so, the checker knows what that means.
    if let Some(read) = &farthest {
        clients.journal.record(0, Action::Final(read.clone()));
    }
    farthest
}

/// One read from the start to the end, by a client of its own.
fn read_all(
    clients: &Clients,
    connection: &mut Connection,
    partition: i32,
    deadline: Instant,
) -> Option<FinalRead> {
    let place = (TOPIC, partition);
    let start = list_offsets(connection, place, EARLIEST, FETCH_BOUND)
        .ok()?
        .ok()?;
    let end = list_offsets(connection, place, LATEST, FETCH_BOUND)
        .ok()?
        .ok()?;
    let proc = clients.journal.next_proc();
    let name = clients.name_of(partition);
    clients
        .journal
        .record(proc, Action::Assign(vec![(name.clone(), Some(start))]));
    let mut position = start;
    while position < end && Instant::now() < deadline {
        let fetched = fetch(
            connection,
            place,
            position,
            FETCH_BYTES,
            FETCH_WAIT,
            FETCH_BOUND,
        )
        .ok()?;
        if fetched.error != error_code::NONE {
            return None;
        }
        let hash = clients.hash_of(partition);
        let (records, next) = runs_of(&fetched, position, clients.run, hash)?;
        position = next;
        clients.journal.record(
            proc,
            Action::Poll(Poll {
                op: clients.journal.next_operation(),
                mode: PollMode::Final,
                group: None,
                generation: None,
                isolation: Isolation::Uncommitted,
                transaction: None,
                records: vec![(name.clone(), records)],
                high_watermarks: Vec::new(),
            }),
        );
    }
    clients.journal.record(
        proc,
        Action::ProcExit {
            node: None,
            expected: true,
        },
    );
    (position >= end).then_some(FinalRead {
        partition: name,
        start,
        end,
        reached: position,
    })
}
