//! What operators see of this node's groups, and the one thing they may tell them: who shall lead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use tokio::sync::oneshot;
use tracing::info;

use super::history::Why;
use super::replica::Replica;
use super::shard::Shard;

/// Everything this node knows of its groups, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) groups: Vec<GroupView>,
    pub(crate) sights: Vec<Sight>,
}

/// Another node, as this one sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) node: NodeId,
    pub(crate) is_alive: bool,
    pub(crate) since: Duration,
}

/// One group as its replica here sees it.
#[derive(Clone, Debug)]
pub(crate) struct GroupView {
    pub(crate) group: GroupUid,
    pub(crate) role: Role,
    pub(crate) term: u64,
    pub(crate) leader: Option<NodeId>,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) persisted: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// For how long this term and leader are known.
    pub(crate) since: Duration,
    pub(crate) voters: Vec<ReplicaId>,
    pub(crate) learners: Vec<ReplicaId>,
    pub(crate) outgoing: Vec<ReplicaId>,
    /// Empty unless it leads.
    pub(crate) progress: Vec<Progress>,
    /// None unless it leads and moves.
    pub(crate) catch_up: Option<CatchUp>,
}

/// What a leader knows of replicas of its group that are on the move.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    pub(crate) log_bytes: u64,
    pub(crate) bytes_per_second: u64,
    /// For which something waits until the throttle is open.
    pub(crate) held_back: Vec<NodeId>,
    /// This node copies as many groups as it does at once.
    pub(crate) waits_for_turn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Leader,
    Follower,
    Candidate,
    Learner,
    /// It was a member, and is none any more.
    Absent,
}

/// How far a member is, in the eyes of its leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) replica: ReplicaId,
    pub(crate) matched: u64,
    pub(crate) lag_entries: u64,
    pub(crate) lag: Duration,
    pub(crate) is_active: bool,
    pub(crate) is_in_sync: bool,
}

/// An operator's wish that another node leads a group.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) group: GroupUid,
    /// The member that has most of the log, if nobody is named.
    pub(crate) to: Option<NodeId>,
    /// Refused in another term.
    pub(crate) expected_term: Option<u64>,
    /// Only says what would be done.
    pub(crate) is_dry_run: bool,
    pub(crate) reply: oneshot::Sender<Result<Transferring, TransferError>>,
}

/// A transfer that was begun, or would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transferring {
    pub(crate) to: NodeId,
    pub(crate) term: u64,
    pub(crate) lag_entries: u64,
    pub(crate) voters: usize,
    pub(crate) voters_alive: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("this node has no replica of the group")]
    Unknown,
    #[error("this node does not lead the group")]
    NotLeader(Option<NodeId>),
    #[error("the group is in term {present}, not in term {expected}")]
    Stale { present: u64, expected: u64 },
    #[error("node {0} leads the group already")]
    LeadsAlready(NodeId),
    #[error("node {0} has no vote in the group")]
    NotAVoter(NodeId),
    #[error("node {0} does not answer")]
    Unreachable(NodeId),
    #[error("node {node} lacks {entries} entries, which would stop all writes until it has them")]
    Lagging { node: NodeId, entries: u64 },
    #[error("no other voter of the group is there")]
    NobodyElse,
    #[error("leadership is being handed over already")]
    InProgress,
}

/// When the log had which length: how long ago a member fell behind. It grows coarser with age, never longer.
#[derive(Debug, Default)]
pub(super) struct Trail {
    marks: VecDeque<(Instant, u64)>,
}

const MAX_MARKS: usize = 64;
/// A member that lacks more gets its entries first, and the group takes no writes meanwhile.
const MAX_TRANSFER_LAG: u64 = 1000;

impl Trail {
    /// The log has this length now.
    pub(super) fn note(&mut self, now: Instant, last: u64) {
        if self.marks.back().is_some_and(|(_, known)| *known >= last) {
            return;
        }
        if self.marks.len() == MAX_MARKS {
            let mut position = 0;
            self.marks.retain(|_| {
                position += 1;
                position % 2 == 1
            });
        }
        self.marks.push_back((now, last));
    }

    pub(super) fn forget(&mut self) {
        self.marks.clear();
    }

    /// For how long something has been there that lies behind `matched`.
    fn lag(&self, now: Instant, matched: u64) -> Duration {
        let missed = self.marks.iter().find(|(_, last)| *last > matched);
        missed.map_or(Duration::ZERO, |(since, _)| now - *since)
    }
}

impl Shard {
    /// A snapshot for operators, made only when they ask.
    pub(super) fn inspect(&self) -> Inspection {
        let now = Instant::now();
        let has_turns = self.has_turns();
        let groups = self.replicas.iter().map(|(group, replica)| GroupView {
            catch_up: replica.catch_up(now, self.index.bytes(group.0), has_turns),
            ..view(replica, now)
        });
        let mut groups: Vec<GroupView> = groups.collect();
        groups.sort_unstable_by_key(|view| view.group);
        Inspection {
            groups,
            sights: self.elections.sights(now),
        }
    }

    /// Hands a group over as an operator wishes, unless that would stop it.
    pub(super) fn transfer_for_operator(&mut self, transfer: Transfer) {
        let outcome = self.check_transfer(&transfer).and_then(|(to, plan)| {
            if !transfer.is_dry_run {
                info!(group = %transfer.group, to = %plan.to, term = plan.term, "an operator hands leadership over");
                let replica = self.replicas.get_mut(&transfer.group);
                let replica = replica.ok_or(TransferError::Unknown)?;
                replica
                    .transfer(to.0)
                    .map_err(|_| TransferError::InProgress)?;
                self.history.because(transfer.group, Why::Operator);
                self.touch(transfer.group);
            }
            Ok(plan)
        });
        // Whoever asked may have given up.
        let _ = transfer.reply.send(outcome);
    }

    fn check_transfer(
        &self,
        transfer: &Transfer,
    ) -> Result<(ReplicaId, Transferring), TransferError> {
        let me = self.settings.node;
        let replica = self
            .replicas
            .get(&transfer.group)
            .ok_or(TransferError::Unknown)?;
        let view = view(replica, Instant::now());
        if view.role != Role::Leader {
            return Err(TransferError::NotLeader(view.leader));
        }
        if let Some(expected) = transfer.expected_term.filter(|term| *term != view.term) {
            let present = view.term;
            return Err(TransferError::Stale { present, expected });
        }
        let is_there = |node: NodeId| node == me || self.elections.is_alive(node);
        let to = match transfer.to {
            Some(node) if node == me => return Err(TransferError::LeadsAlready(node)),
            Some(node) => {
                let lives = |voter: ReplicaId| voter.node() == node && self.is_of_today(voter);
                named(&view, lives).ok_or(TransferError::NotAVoter(node))?
            }
            None => {
                let may_lead = |voter: ReplicaId| {
                    voter.node() != me && is_there(voter.node()) && self.is_of_today(voter)
                };
                most_of_the_log(&view, may_lead).ok_or(TransferError::NobodyElse)?
            }
        };
        let node = to.replica.node();
        if !is_there(node) {
            return Err(TransferError::Unreachable(node));
        }
        if to.lag_entries > MAX_TRANSFER_LAG {
            let entries = to.lag_entries;
            return Err(TransferError::Lagging { node, entries });
        }
        let alive = view
            .voters
            .iter()
            .filter(|voter| is_there(voter.node()))
            .count();
        let plan = Transferring {
            to: node,
            term: view.term,
            lag_entries: to.lag_entries,
            voters: view.voters.len(),
            voters_alive: alive,
        };
        Ok((to.replica, plan))
    }
}

fn named(view: &GroupView, is_meant: impl Fn(ReplicaId) -> bool) -> Option<Progress> {
    let voter = view.voters.iter().find(|voter| is_meant(**voter))?;
    let mut peers = view.progress.iter();
    peers.find(|peer| peer.replica == *voter).copied()
}

fn most_of_the_log(view: &GroupView, may_lead: impl Fn(ReplicaId) -> bool) -> Option<Progress> {
    let candidates = view.progress.iter().copied();
    candidates
        .filter(|peer| view.voters.contains(&peer.replica) && may_lead(peer.replica))
        .max_by_key(|peer| peer.matched)
}

fn view(replica: &Replica, now: Instant) -> GroupView {
    let group = replica.group();
    let members = group.members();
    let leadership = group.leadership();
    let me = group.replica();
    let role = match () {
        () if group.is_leader() => Role::Leader,
        () if group.is_candidate() => Role::Candidate,
        () if members.is_voter(me) => Role::Follower,
        () if members.learners.contains(&me) => Role::Learner,
        () => Role::Absent,
    };
    let last = group.last_index();
    let peers = group.peers().into_iter();
    let progress = peers.map(|peer| {
        let is_self = peer.replica == me;
        let matched = if is_self { last } else { peer.matched };
        Progress {
            replica: ReplicaId(peer.replica),
            matched,
            lag_entries: last.saturating_sub(matched),
            lag: replica.trail.lag(now, matched),
            is_active: peer.is_active,
            is_in_sync: group.is_in_sync(peer.replica),
        }
    });
    let ids = |replicas: &[u64]| replicas.iter().map(|id| ReplicaId(*id)).collect();
    GroupView {
        group: group.uid(),
        role,
        term: group.term(),
        leader: (leadership.leader != 0).then(|| ReplicaId(leadership.leader).node()),
        commit: group.committed(),
        applied: group.trimmable(),
        persisted: group.persisted_index(),
        first: group.trim().index + 1,
        last,
        since: now - replica.led_since,
        progress: progress.collect(),
        voters: ids(&members.voters),
        learners: ids(&members.learners),
        outgoing: ids(&members.voters_outgoing),
        catch_up: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_the_oldest_entry_that_is_missing() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut trail = Trail::default();
        trail.note(at(0), 10);
        trail.note(at(1), 10);
        trail.note(at(2), 20);
        assert_eq!(trail.lag(at(5), 20), Duration::ZERO);
        assert_eq!(trail.lag(at(5), 19), Duration::from_secs(3));
        assert_eq!(trail.lag(at(5), 3), Duration::from_secs(5));
        trail.forget();
        assert_eq!(trail.lag(at(5), 3), Duration::ZERO);
    }

    #[test]
    fn a_long_trail_keeps_its_beginning_and_its_bound() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut trail = Trail::default();
        (0..10_000).for_each(|second| trail.note(at(second), second + 1));
        assert!(trail.marks.len() <= MAX_MARKS);
        assert_eq!(trail.lag(at(10_000), 0), Duration::from_secs(10_000));
    }
}
