//! One member of the consumer group: joins, reads what it is given, commits, and says each step of it.

use std::time::{Duration, Instant};

use chronik_check::history::{
    Action, Commit, CommitEnd, FetchCommittedEnd, Isolation, Name, Outcome, Poll, PollMode,
};

use super::auditor::{FETCH_BOUND, FETCH_BYTES, runs_of};
use super::router::Router;
use super::{Clients, GROUP, TOPIC, rest, rest_until};
use crate::seed::Stream;
use crate::wire::{
    CallFailed, Connection, Joined, commit_offsets, committed_offsets, decode_assignment,
    encode_assignment, error_code, fetch, find_coordinator, heartbeat, join_group, leave_group,
    sync_group,
};

const SESSION: Duration = Duration::from_secs(6);
/// A join waits for the others, up to a session.
const JOIN_BOUND: Duration = Duration::from_secs(12);
const CALL_BOUND: Duration = Duration::from_secs(3);
const BACKOFF: Duration = Duration::from_millis(100);
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const READ_WAIT: Duration = Duration::from_millis(50);
/// A zombie takes part for so long before it falls silent.
const AWAKE: Duration = Duration::from_secs(2);
/// Longer than a session: the others have taken over by then.
const SILENCE: Duration = Duration::from_secs(9);

/// A member that comes back after everything that throws it out.
#[derive(Debug)]
pub(super) struct Member {
    clients: Clients,
    proc: u32,
    manner: Manner,
    chance: Stream,
    member_id: String,
}

/// How a member behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It stays in touch.
    Orderly,
    /// It falls silent for longer than a session, and then commits as if nothing had happened.
    Zombie,
}

/// Membership in one generation.
struct Session {
    coordinator: Connection,
    generation: i32,
    owned: Vec<Owned>,
}

struct Owned {
    partition: i32,
    name: Name,
    router: Router,
    position: u64,
    committed: u64,
}

impl Member {
    pub(super) fn new(clients: Clients, manner: Manner) -> Member {
        let proc = clients.journal.next_proc();
        Member {
            proc,
            manner,
            chance: Stream::new(clients.seed, &format!("member {proc}")),
            member_id: String::new(),
            clients,
        }
    }

    pub(super) fn run(mut self) {
        while !self.stops() {
            if let Some(mut session) = self.join() {
                self.consume(&mut session);
                self.give_up(&session);
                if self.stops() {
                    // The broker notices a member that is gone by itself, too; this is politeness.
                    let _ =
                        leave_group(&mut session.coordinator, GROUP, &self.member_id, CALL_BOUND);
                }
            }
            rest(BACKOFF);
        }
        self.record(Action::ProcExit {
            node: None,
            expected: true,
        });
    }

    fn join(&mut self) -> Option<Session> {
        let mut order = self.clients.bootstrap.to_vec();
        self.chance.shuffle(&mut order);
        let found = order.into_iter().find_map(|address| {
            let mut connection = Connection::open(address, CALL_BOUND).ok()?;
            find_coordinator(&mut connection, GROUP, CALL_BOUND).ok()?
        })?;
        let mut coordinator = Connection::open(found.address, CALL_BOUND).ok()?;
        let joined = self.join_until_known(&mut coordinator)?;
        let assignments = self.assign(&joined);
        let place = (joined.generation, joined.member.as_str());
        let mine = sync_group(&mut coordinator, GROUP, place, &assignments, JOIN_BOUND)
            .ok()?
            .ok()?;
        let partitions = decode_assignment(&mine).ok()?;
        let committed = self.committed(&mut coordinator, &partitions)?;
        let owned = committed.into_iter().map(|(partition, position)| {
            let route = Stream::new(self.chance.next(), "member route");
            Owned {
                partition,
                name: self.clients.name_of(partition),
                router: Router::new(self.clients.bootstrap.clone(), partition, route),
                position: position.unwrap_or(0),
                committed: position.unwrap_or(0),
            }
        });
        let owned: Vec<Owned> = owned.collect();
        let positions = owned
            .iter()
            .map(|owned| (owned.name.clone(), Some(owned.position)));
        self.record(Action::Assigned {
            group: Name::from(GROUP),
            generation: joined.generation,
            positions: positions.collect(),
        });
        Some(Session {
            coordinator,
            generation: joined.generation,
            owned,
        })
    }

    /// The broker gives a new member its name first and lets it in with it afterwards.
    fn join_until_known(&mut self, coordinator: &mut Connection) -> Option<Joined> {
        const TRIES: u32 = 3;
        for _ in 0..TRIES {
            let joined = join_group(
                coordinator,
                GROUP,
                &self.member_id,
                TOPIC,
                SESSION,
                JOIN_BOUND,
            )
            .ok()?;
            match joined.error {
                error_code::NONE => {
                    self.member_id.clone_from(&joined.member);
                    return Some(joined);
                }
                error_code::MEMBER_ID_REQUIRED => self.member_id = joined.member,
                error_code::UNKNOWN_MEMBER_ID => self.member_id.clear(),
                _ => return None,
            }
        }
        None
    }

    /// The leader's plan: ranges; nobody else makes one.
    fn assign(&self, joined: &Joined) -> Vec<(String, Vec<u8>)> {
        let mut members = joined.members.clone();
        members.sort();
        let count = members.len();
        let partitions = self.clients.partitions as usize;
        let ranges = members.into_iter().enumerate().map(|(place, member)| {
            let range = place * partitions / count..(place + 1) * partitions / count;
            let range = range.map(|partition| i32::try_from(partition).expect("few partitions"));
            (member, encode_assignment(TOPIC, &range.collect::<Vec<_>>()))
        });
        ranges.collect()
    }

    fn committed(
        &self,
        coordinator: &mut Connection,
        partitions: &[i32],
    ) -> Option<Vec<(i32, Option<u64>)>> {
        let op = self.clients.journal.next_operation();
        self.record(Action::FetchCommittedInvoke {
            op,
            group: Name::from(GROUP),
        });
        let found = committed_offsets(coordinator, GROUP, TOPIC, partitions, CALL_BOUND);
        let found = found.ok().and_then(Result::ok);
        let offsets = found.iter().flatten();
        let offsets =
            offsets.map(|(partition, offset)| (self.clients.name_of(*partition), *offset));
        self.record(Action::FetchCommittedEnd(FetchCommittedEnd {
            op,
            offsets: offsets.collect(),
        }));
        found
    }

    fn consume(&mut self, session: &mut Session) {
        let mut next_commit = Instant::now() + COMMIT_EVERY;
        let falls_silent = Instant::now() + AWAKE;
        while !self.stops() {
            for owned in &mut session.owned {
                self.read(session.generation, owned);
            }
            if self.manner == Manner::Zombie && Instant::now() >= falls_silent {
                rest_until(Instant::now() + SILENCE, || self.stops());
                self.commit(session);
                return;
            }
            if session.owned.is_empty() {
                rest(BACKOFF);
            }
            if Instant::now() < next_commit {
                continue;
            }
            next_commit = Instant::now() + COMMIT_EVERY;
            let place = (session.generation, self.member_id.as_str());
            let beat = heartbeat(&mut session.coordinator, GROUP, place, CALL_BOUND);
            let is_member = matches!(beat, Ok(error_code::NONE));
            // During a rebalance the old generation may still say how far it came.
            let may_commit = is_member || matches!(beat, Ok(error_code::REBALANCE_IN_PROGRESS));
            if !(may_commit && self.commit(session) && is_member) {
                return;
            }
        }
        self.commit(session);
    }

    fn read(&self, generation: i32, owned: &mut Owned) {
        let Some(Ok((_, connection))) = owned.router.connect() else {
            return;
        };
        let op = self.clients.journal.next_operation();
        self.record(Action::PollInvoke { op });
        let place = (TOPIC, owned.partition);
        let fetched = fetch(
            connection,
            place,
            owned.position,
            FETCH_BYTES,
            READ_WAIT,
            FETCH_BOUND,
        );
        let hash = self.clients.hash_of(owned.partition);
        let runs = match &fetched {
            Ok(fetched) if fetched.error == error_code::NONE => {
                runs_of(fetched, owned.position, self.clients.run, hash)
            }
            _ => None,
        };
        let Some((records, next)) = runs else {
            self.record(Action::PollFailed { op });
            owned.router.forget();
            return;
        };
        self.record(Action::Poll(Poll {
            op,
            mode: PollMode::Group,
            group: Some(Name::from(GROUP)),
            generation: Some(generation),
            isolation: Isolation::Uncommitted,
            transaction: None,
            records: vec![(owned.name.clone(), records)],
            high_watermarks: Vec::new(),
        }));
        owned.position = next;
    }

    /// Commits what was read; `false` when the broker no longer takes it from this member.
    fn commit(&self, session: &mut Session) -> bool {
        let moved = session
            .owned
            .iter()
            .filter(|owned| owned.position > owned.committed);
        let offsets: Vec<(i32, u64)> = moved
            .map(|owned| (owned.partition, owned.position))
            .collect();
        if offsets.is_empty() {
            return true;
        }
        let op = self.clients.journal.next_operation();
        let named = offsets
            .iter()
            .map(|(partition, offset)| (self.clients.name_of(*partition), *offset));
        self.record(Action::CommitInvoke(Commit {
            op,
            group: Name::from(GROUP),
            generation: session.generation,
            offsets: named.collect(),
        }));
        let place = (session.generation, self.member_id.as_str());
        let answer = commit_offsets(
            &mut session.coordinator,
            GROUP,
            place,
            TOPIC,
            &offsets,
            CALL_BOUND,
        );
        let outcome = match &answer {
            Ok(error_code::NONE) => Outcome::Ok,
            Ok(error_code::ILLEGAL_GENERATION | error_code::UNKNOWN_MEMBER_ID) => Outcome::Fail,
            Err(CallFailed::NotSent(_)) => Outcome::Fail,
            _ => Outcome::Info,
        };
        self.record(Action::CommitEnd(CommitEnd { op, outcome }));
        if outcome == Outcome::Ok {
            for owned in &mut session.owned {
                owned.committed = owned.position;
            }
        }
        outcome == Outcome::Ok
    }

    fn give_up(&self, session: &Session) {
        self.record(Action::Revoked {
            group: Name::from(GROUP),
            generation: session.generation,
            partitions: session
                .owned
                .iter()
                .map(|owned| owned.name.clone())
                .collect(),
        });
    }

    fn stops(&self) -> bool {
        self.clients.progress.readers_stop()
    }

    fn record(&self, action: Action) {
        self.clients.journal.record(self.proc, action);
    }
}
