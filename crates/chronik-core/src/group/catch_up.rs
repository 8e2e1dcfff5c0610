//! Learners that are paced: what they lack waits for its turn here, and nobody else waits for it.
//!
//! To Raft such a learner is behind a slow line. One message for it is under way or waits; the leader does not listen
//! to what would make another one, so that nothing is read for a learner that gets nothing.

use std::collections::{BTreeSet, VecDeque};

use raft::eraftpb::{Message, MessageType};

use super::{Action, Group, MAX_IN_FLIGHT};

#[derive(Default)]
pub(super) struct CatchUp {
    paced: BTreeSet<u64>,
    /// In the order in which they were made.
    waiting: VecDeque<Message>,
}

/// Messages for a paced learner that are under way at once.
const PACED_IN_FLIGHT: usize = 1;

impl Group {
    /// From now on what these peers lack waits for [`Group::release`], as long as they only learn.
    pub fn pace(&mut self, peers: &[u64]) {
        let is_same = peers.len() == self.catch_up.paced.len()
            && peers.iter().all(|peer| self.catch_up.paced.contains(peer));
        if !is_same {
            self.catch_up.paced = peers.iter().copied().collect();
            self.fit_windows();
        }
    }

    /// Whether there is something to release.
    pub fn has_waiting(&self) -> bool {
        !self.catch_up.waiting.is_empty()
    }

    /// Whether what a peer lacks waits here.
    pub fn waits_for_release(&self, peer: u64) -> bool {
        let mut waiting = self.catch_up.waiting.iter();
        waiting.any(|message| message.to == peer)
    }

    /// Whether a peer is a member without a vote.
    pub fn learns(&self, peer: u64) -> bool {
        let progress = self.node.raft.prs();
        progress.get(peer).is_some() && !progress.conf().voters().contains(peer)
    }

    /// The message that has waited longest, to be sent now.
    pub fn release(&mut self) -> Option<Message> {
        self.catch_up.waiting.pop_front()
    }

    /// Orders to send what does not have to wait.
    pub(super) fn send(&mut self, messages: Vec<Message>, out: &mut Vec<Action>) {
        let mut at_once = messages;
        if !self.catch_up.paced.is_empty() {
            let waits = |message: &mut Message| is_catch_up(message) && self.is_paced(message.to);
            let waiting: Vec<Message> = at_once.extract_if(.., waits).collect();
            self.catch_up.waiting.extend(waiting);
        }
        if !at_once.is_empty() {
            out.push(Action::Send(at_once));
        }
    }

    /// What waited for a peer that is not paced any more.
    pub(super) fn send_freed(&mut self, out: &mut Vec<Action>) {
        if !self.has_waiting() {
            return;
        }
        let waiting = std::mem::take(&mut self.catch_up.waiting).into_iter();
        let (waiting, freed) = waiting.partition(|message| self.is_paced(message.to));
        self.catch_up.waiting = waiting;
        self.send(freed.into(), out);
    }

    /// Another leader or another term: what waited is of no use.
    pub(super) fn forget_waiting(&mut self) {
        self.catch_up.waiting.clear();
        self.fit_windows();
    }

    /// As few messages under way to paced peers, and as many to others, as there should be.
    pub(super) fn fit_windows(&mut self) {
        if !self.is_leader() {
            return;
        }
        let peers: Vec<u64> = self.node.raft.prs().iter().map(|(peer, _)| *peer).collect();
        for peer in peers {
            let most = match self.is_paced(peer) {
                true => PACED_IN_FLIGHT,
                false => MAX_IN_FLIGHT,
            };
            self.node.raft.adjust_max_inflight_msgs(peer, most);
        }
    }

    /// Whether a message could do nothing but make another one for a peer for which one waits. It is a sign of life.
    pub(super) fn is_early(&mut self, message: &Message) -> bool {
        let asks_for_more = match message.get_msg_type() {
            MessageType::MsgHeartbeatResponse => true,
            MessageType::MsgAppendResponse => message.reject,
            _ => false,
        };
        let is_early =
            asks_for_more && message.term == self.term() && self.waits_for_release(message.from);
        if is_early && let Some(progress) = self.node.raft.mut_prs().get_mut(message.from) {
            progress.recent_active = true;
        }
        is_early
    }

    fn is_paced(&self, peer: u64) -> bool {
        self.catch_up.paced.contains(&peer) && self.learns(peer)
    }
}

fn is_catch_up(message: &Message) -> bool {
    matches!(
        message.get_msg_type(),
        MessageType::MsgAppend | MessageType::MsgSnapshot
    )
}

/// The bytes of a message that count: what somebody once wrote.
pub fn payload_bytes(message: &Message) -> u64 {
    let bytes = message.entries.iter().map(|entry| entry.data.len());
    bytes.sum::<usize>() as u64
}
