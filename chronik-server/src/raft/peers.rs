//! Messages between this node's replicas and those of other nodes, and entries read from disk for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use chronik_core::group::Fetch;
use chronik_core::group::eraftpb::{Entry, EntryType, Message, MessageType};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_core::partition::batch;
use chronik_fault::{Fault, Planted};
use chronik_inbox::Sender;
use chronik_wal::{From, Plan, Reader};
use tracing::warn;

use super::effects::CHANGES_MEMBERS;
use super::event::Event;
use super::records::batches_of;
use super::shard::Shard;
use crate::metrics::Metrics;
use crate::peer::{GroupMessage, Lane};

/// Votes for groups that this node is about to learn of.
#[derive(Default)]
pub(super) struct Held {
    messages: VecDeque<(Instant, GroupUid, Message)>,
}

/// How long a vote waits for its group.
const HOLD_FOR: Duration = Duration::from_secs(2);
const MAX_HELD: usize = 16 * 1024;
/// Reads for lagging replicas that wait for the disk.
const MAX_FETCHES: usize = 256;

impl Shard {
    /// Hands a group's messages to the transport; what it does not take is lost, which Raft is told.
    pub(super) fn send(&mut self, group: GroupUid, messages: Vec<Message>) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        for message in messages {
            let to = message.to;
            let node = ReplicaId(to).node();
            let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
            let lane = lane_of(&message);
            let catch_up_bytes = replica.catch_up_bytes(&message);
            let message = GroupMessage {
                group: group.0,
                message,
            };
            let sent = self.peers.send(node, lane, message);
            if catch_up_bytes > 0 && sent.is_ok() {
                replica.flow.note(Instant::now(), catch_up_bytes);
                self.metrics.raft.catch_up_bytes.add(catch_up_bytes);
            }
            if is_snapshot {
                replica.snapshot_sent(to, sent.is_ok());
            } else if sent.is_err() && replica.group().is_leader() {
                replica.unreachable(to);
            }
        }
    }

    /// Messages of another node, in its order.
    pub(super) fn receive(&mut self, from: NodeId, messages: Vec<GroupMessage>) {
        for GroupMessage { group, message } in messages {
            // A node speaks for its own replicas only.
            if ReplicaId(message.from).node() == from {
                self.deliver(GroupUid(group), message);
            }
        }
    }

    /// Votes that came before their group.
    pub(super) fn deliver_held(&mut self, group: GroupUid) {
        let held = std::mem::take(&mut self.held.messages);
        for (until, uid, message) in held {
            match uid == group {
                true => self.deliver(uid, message),
                false => self.held.messages.push_back((until, uid, message)),
            }
        }
    }

    /// Reads entries that a lagging replica needs, on a thread that may block.
    pub(super) fn fetch_for_peer(&mut self, group: GroupUid, fetch: Fetch) {
        let max_bytes = usize::try_from(fetch.max_bytes).unwrap_or(usize::MAX);
        let plan = self
            .index
            .plan(group.0, From::Index(fetch.low), max_bytes.min(1 << 20));
        let job = Job { group, fetch, plan };
        if self.fetches.try_send(job).is_err()
            && let Some(replica) = self.replicas.get_mut(&group)
        {
            // The peer asks again with its next heartbeat.
            replica.fetched(fetch, Vec::new());
        }
    }

    pub(super) fn fetched(&mut self, group: GroupUid, fetch: Fetch, entries: Vec<Entry>) {
        if let Some(replica) = self.replicas.get_mut(&group) {
            replica.fetched(fetch, entries);
            self.touch(group);
        }
    }

    fn deliver(&mut self, group: GroupUid, message: Message) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            self.hold(group, message);
            return;
        };
        replica.step(message);
        self.touch(group);
    }

    fn hold(&mut self, group: GroupUid, message: Message) {
        let is_vote = matches!(
            message.get_msg_type(),
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote
        );
        let now = Instant::now();
        let held = &mut self.held.messages;
        while held.pop_front_if(|(until, ..)| *until <= now).is_some() {}
        if is_vote && held.len() < MAX_HELD {
            held.push_back((now + HOLD_FOR, group, message));
        }
    }
}

/// Appends keep one order, the empty ones as well: one that overtakes another is refused and costs a round.
fn lane_of(message: &Message) -> Lane {
    match message.get_msg_type() {
        MessageType::MsgAppend | MessageType::MsgSnapshot => Lane::Bulk,
        _ => Lane::Control,
    }
}

/// Drops messages whose batches were damaged on their way, before anybody takes them for good.
pub(super) fn sound(from: NodeId, messages: &mut Vec<GroupMessage>, metrics: &Arc<Metrics>) {
    messages.retain(|message| {
        // Questions about what is committed carry entries, too, which are none of a log.
        let has_batches = message.group != GroupUid::META.0
            && message.message.get_msg_type() == MessageType::MsgAppend;
        let is_sound = !has_batches || message.message.entries.iter().all(is_sound_entry);
        if !is_sound {
            metrics.raft.damaged_messages.increment();
            warn!(%from, group = message.group, "a message with damaged batches was dropped");
        }
        is_sound
    });
}

fn is_sound_entry(entry: &Entry) -> bool {
    let Some(bytes) = batches_of(entry) else {
        return true;
    };
    batch::each(bytes).all(|batch| {
        batch.is_ok_and(|(header, bytes)| {
            header.last_offset_delta >= 0 && header.crc == batch::checksum(bytes)
        })
    })
}

/// Entries to be read for a replica of another node.
pub(super) struct Job {
    group: GroupUid,
    fetch: Fetch,
    plan: Plan,
}

/// Starts the thread that reads for lagging replicas.
pub(super) fn start_reading(
    reader: Reader,
    inbox: Sender<Event>,
    planted: Planted,
) -> std::io::Result<SyncSender<Job>> {
    let (jobs, work) = sync_channel(MAX_FETCHES);
    std::thread::Builder::new()
        .name("catch-up".to_owned())
        .spawn(move || read_all(&reader, &inbox, &work, planted))?;
    Ok(jobs)
}

fn read_all(reader: &Reader, inbox: &Sender<Event>, work: &Receiver<Job>, planted: Planted) {
    while let Ok(Job { group, fetch, plan }) = work.recv() {
        let mut entries: Vec<Entry> = match reader.read(&plan) {
            Ok(stored) => stored
                .into_iter()
                .map(entry_of)
                .take_while(|entry| entry.index < fetch.high)
                .collect(),
            Err(error) => {
                warn!(%group, %error, "entries for a lagging replica could not be read");
                Vec::new()
            }
        };
        if planted.is(Fault::CatchUpDropsBatch)
            && let Some(last) = entries.last_mut()
        {
            last.data.clear();
        }
        let fetched = Event::Fetched {
            group,
            fetch,
            entries,
        };
        // The shard has ended: nobody needs them any more.
        if inbox.send(fetched).is_err() {
            return;
        }
    }
}

fn entry_of(stored: chronik_wal::StoredEntry) -> Entry {
    let mut entry = Entry {
        index: stored.row.index,
        term: stored.row.term,
        data: stored.bytes,
        ..Entry::default()
    };
    if stored.row.flags & CHANGES_MEMBERS != 0 {
        entry.set_entry_type(EntryType::EntryConfChangeV2);
    }
    entry
}
