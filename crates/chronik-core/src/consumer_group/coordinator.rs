//! The door of the coordinator: its settings, its events, its actions, and the one function between them.

use chronik_fault::{Fault, Planted};

use super::append::{AppendError, Appends, Purpose, Token};
use super::error::GroupError;
use super::groups::Groups;
use super::image::Image;
use super::message::{Reply, Request, Ticket};
use super::records::{RawRecord, Record};
use super::{commit, delete, describe, expire, fetch, heartbeat, join, leave, sync};

/// The settings of a coordinator; Kafka's defaults unless a comment says why not.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a group that begins waits for further members.
    pub initial_rebalance_delay_ms: u64,
    pub session_timeout_min_ms: i32,
    pub session_timeout_max_ms: i32,
    /// How long a client may wait for the answer to its very first join.
    pub new_member_patience_ms: u64,
    /// Members of one group, those included that were only given an id.
    pub group_size_max: usize,
    /// What all members together may make the coordinator remember; one more is told to come back later.
    pub members_bytes_max: usize,
    pub offset_metadata_bytes_max: usize,
    pub offsets_retention_ms: u64,
    pub offsets_check_interval_ms: u64,
    /// A mistake to make on purpose, where a test wants to see it noticed.
    pub planted: Planted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Request {
        ticket: Ticket,
        request: Request,
    },
    /// Appends end in the order in which they were ordered.
    Appended {
        token: Token,
        result: Result<(), AppendError>,
    },
    TopicDeleted {
        topic: String,
    },
    /// Time went by: due when [`Coordinator::next_deadline_ms`] has come.
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Reply {
        ticket: Ticket,
        reply: Reply,
    },
    /// Append these in one batch and report the outcome.
    Append {
        token: Token,
        records: Vec<RawRecord>,
    },
}

/// The groups of one partition of `__consumer_offsets`.
///
/// `now_ms` is in milliseconds since 1970 and must never run backwards; it decides about timeouts and is written
/// into the records.
#[derive(Debug)]
pub struct Coordinator {
    config: Config,
    image: Image,
    pub(super) groups: Groups,
    appends: Appends,
    next_check_ms: u64,
}

/// What a verb works with: the time, the log's view, and a place for its orders.
pub(super) struct Turn<'a> {
    pub(super) now_ms: u64,
    pub(super) config: &'a Config,
    pub(super) image: &'a Image,
    appends: &'a mut Appends,
    out: &'a mut Vec<Action>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            initial_rebalance_delay_ms: 3_000,
            // Kafka asks for 6 s, to keep heartbeats rare; ours are cheap, and clients find failures sooner.
            session_timeout_min_ms: 1_000,
            session_timeout_max_ms: 1_800_000,
            new_member_patience_ms: 300_000,
            group_size_max: 10_000,
            members_bytes_max: 64 << 20,
            offset_metadata_bytes_max: 4_096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_check_interval_ms: 600_000,
            planted: Planted::NOTHING,
        }
    }
}

impl Coordinator {
    /// Takes up where the log left off: stored generations go on, their members have one session to show up.
    pub fn load(config: Config, image: Image, now_ms: u64) -> Coordinator {
        let image = match config.planted.is(Fault::CoordinatorForgets) {
            true => Image::default(),
            false => image,
        };
        let groups = Groups::load(&image, now_ms);
        let next_check_ms = now_ms.saturating_add(config.offsets_check_interval_ms);
        Coordinator {
            config,
            image,
            groups,
            appends: Appends::default(),
            next_check_ms,
        }
    }

    pub fn step(&mut self, now_ms: u64, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Request { ticket, request } => self.serve(now_ms, ticket, request, out),
            Event::Appended { token, result } => self.appended(now_ms, token, result, out),
            Event::TopicDeleted { topic } => {
                let (mut turn, groups) = self.turn(now_ms, out);
                delete::forget_topic(groups, &mut turn, &topic);
            }
            Event::Tick => self.tick(now_ms, out),
        }
    }

    /// When the next [`Event::Tick`] is due.
    pub fn next_deadline_ms(&self) -> u64 {
        self.groups
            .next_deadline_ms()
            .map_or(self.next_check_ms, |due_ms| due_ms.min(self.next_check_ms))
    }

    /// What was written and reported as written: the state to snapshot.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Orders whose outcome is still awaited. With none, the image stands for the whole log.
    pub fn appends_in_flight(&self) -> usize {
        self.appends.len()
    }

    /// Ends the coordinator: everyone who still waits is sent to look for another one.
    pub fn stop(mut self, out: &mut Vec<Action>) {
        for pending in self.appends.take_all() {
            if let Some((ticket, reply)) = pending.purpose.refusal(GroupError::NotCoordinator) {
                out.push(Action::Reply { ticket, reply });
            }
        }
        self.groups.refuse_all(GroupError::NotCoordinator, out);
    }

    fn serve(&mut self, now_ms: u64, ticket: Ticket, request: Request, out: &mut Vec<Action>) {
        let (mut turn, groups) = self.turn(now_ms, out);
        let turn = &mut turn;
        match request {
            Request::Join(request) => join::join(groups, turn, ticket, request),
            Request::Sync(request) => sync::sync(groups, turn, ticket, request),
            Request::Heartbeat(request) => heartbeat::heartbeat(groups, turn, ticket, request),
            Request::Leave(request) => leave::leave(groups, turn, ticket, request),
            Request::CommitOffsets(request) => commit::commit(groups, turn, ticket, request),
            Request::FetchOffsets(request) => fetch::fetch(groups, turn, ticket, request),
            Request::DeleteOffsets(request) => {
                delete::delete_offsets(groups, turn, ticket, request)
            }
            Request::DeleteGroup { group } => delete::delete_group(groups, turn, ticket, &group),
            Request::Describe { group } => describe::describe(groups, turn, ticket, &group),
            Request::List => describe::list(groups, turn, ticket),
        }
    }

    fn appended(
        &mut self,
        now_ms: u64,
        token: Token,
        result: Result<(), AppendError>,
        out: &mut Vec<Action>,
    ) {
        let pending = self.appends.take(token);
        if result.is_ok() {
            pending
                .records
                .into_iter()
                .for_each(|record| self.image.apply(record));
        }
        let (mut turn, groups) = self.turn(now_ms, out);
        pending.purpose.finish(groups, &mut turn, result);
    }

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        let check_is_due = now_ms >= self.next_check_ms;
        if check_is_due {
            self.next_check_ms = now_ms.saturating_add(self.config.offsets_check_interval_ms);
        }
        let (mut turn, groups) = self.turn(now_ms, out);
        for group in groups.due(now_ms) {
            groups.settle(&mut turn, &group);
        }
        if check_is_due {
            expire::expire(groups, &mut turn);
        }
    }

    fn turn<'a>(&'a mut self, now_ms: u64, out: &'a mut Vec<Action>) -> (Turn<'a>, &'a mut Groups) {
        let Coordinator {
            config,
            image,
            groups,
            appends,
            ..
        } = self;
        (
            Turn {
                now_ms,
                config,
                image,
                appends,
                out,
            },
            groups,
        )
    }
}

impl Turn<'_> {
    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.out.push(Action::Reply { ticket, reply });
    }

    /// Orders an append; `purpose` says what its outcome means.
    pub(super) fn append(&mut self, records: Vec<Record>, purpose: Purpose) {
        let raw = records.iter().map(Record::encode).collect();
        let token = self.appends.order(records, purpose);
        self.out.push(Action::Append {
            token,
            records: raw,
        });
    }
}
