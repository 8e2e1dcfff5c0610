//! Who stands for election when: at once where nobody leads and this node should, later where others come first.
//!
//! Raft's own timeouts remain as the backup. What is done here costs at most a vote that is refused: safety is Raft's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use chronik_core::group::Peer;
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_fault::Fault;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::history::Why;
use super::inspect::Sight;
use super::replica::Replica;
use super::shard::Shard;
use crate::peer::{Doubt, Liveness};

/// What is known of other nodes, and when which group is looked at.
#[derive(Default)]
pub(super) struct Elections {
    /// Nodes that are there, and since when.
    alive: BTreeMap<NodeId, Instant>,
    /// Nodes that went, since when and why.
    gone: BTreeMap<NodeId, (Instant, Doubt)>,
    due: BinaryHeap<Reverse<(Instant, GroupUid)>>,
    scheduled: BTreeSet<GroupUid>,
    /// When this node stood last, of groups that have no leader since then.
    stood_at: BTreeMap<GroupUid, Instant>,
    handing_over: Option<HandOver>,
    /// Groups whose leader an operator chose, and until when the preferred one does not get them back.
    held: BTreeMap<GroupUid, Instant>,
}

/// This node stops: it leads nothing that another one could lead.
struct HandOver {
    reply: oneshot::Sender<()>,
}

/// Between the candidacies of two survivors: the first must have had its chance.
const RANK_PAUSE: Duration = Duration::from_millis(400);
/// How soon a candidacy that came to nothing is repeated: survivors do not notice a death in the same millisecond,
/// and those who have not yet refuse without a word.
const REPEAT_AFTER: Duration = Duration::from_millis(50);
/// Votes that were asked for get this long to arrive: standing again begins another term.
const VOTES_AFTER: Duration = Duration::from_millis(500);
/// A node that starts waits for signs of a leader first: heartbeats come twice a second.
const START_PAUSE: Duration = Duration::from_millis(600);
/// An election that others began gets this long.
const OTHERS_PAUSE: Duration = Duration::from_millis(500);
/// Candidacies in one cycle, so that a dead node with many leaders does not stall everything else.
const MAX_CAMPAIGNS: usize = 200;
/// A tick that is later than this: the others suspect a node by then.
const ABSENCE: Duration = Duration::from_secs(1);
/// A node that just came back may be about to go again.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// How long an operator's choice of a leader lasts.
const HOLD: Duration = Duration::from_secs(600);
/// Leaders that move back to their preferred nodes at once.
const MAX_TRANSFERS: usize = 50;
/// Entries that whoever takes over may lack: writes wait until it has them.
const MOST_MISSING: u64 = 64;

impl Elections {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    pub(super) fn is_handing_over(&self) -> bool {
        self.handing_over.is_some()
    }

    pub(super) fn is_alive(&self, node: NodeId) -> bool {
        self.alive.contains_key(&node)
    }

    /// What is known of every node that was ever heard of.
    pub(super) fn sights(&self, now: Instant) -> Vec<Sight> {
        let sight = |node: &NodeId, is_alive: bool, since: Instant| Sight {
            node: *node,
            is_alive,
            since: now - since,
        };
        let alive = self.alive.iter();
        let alive = alive.map(|(node, since)| sight(node, true, *since));
        let gone = self.gone.iter();
        let gone = gone.map(|(node, (since, _))| sight(node, false, *since));
        alive.chain(gone).collect()
    }

    /// Nodes that no client can talk to.
    pub(super) fn away(&self) -> BTreeSet<NodeId> {
        let gone = self.gone.iter();
        let away = gone.filter(|(_, (_, why))| *why != Doubt::Stalled);
        away.map(|(node, _)| *node).collect()
    }

    fn schedule(&mut self, group: GroupUid, at: Instant) {
        if self.scheduled.insert(group) {
            self.due.push(Reverse((at, group)));
        }
    }
}

impl Shard {
    pub(super) fn liveness(&mut self, change: Liveness) {
        match change {
            Liveness::Alive { node, .. } => {
                info!(%node, "node is alive");
                self.elections.alive.insert(node, Instant::now());
                self.elections.gone.remove(&node);
                self.look_for_leaders(START_PAUSE);
                self.publish_view();
            }
            Liveness::Suspect { node, why } => {
                warn!(%node, "node is suspected: others lead its partitions");
                self.elections.alive.remove(&node);
                let before = self.elections.gone.insert(node, (Instant::now(), why));
                if before.is_none() {
                    self.suspect(node);
                }
                self.publish_view();
            }
            Liveness::Unreachable(node) => self.unreachable(node),
        }
    }

    /// A group just began here: the first of its nodes that is there stands at once, and alone.
    pub(super) fn elect_newborn(&mut self, group: GroupUid) {
        let Some(rank) = self.rank(group) else {
            return;
        };
        let pause = RANK_PAUSE * rank;
        self.elections.schedule(group, Instant::now() + pause);
    }

    /// Every group of the last run looks for a leader.
    pub(super) fn elect_after_start(&mut self) {
        let now = Instant::now();
        let groups: Vec<GroupUid> = self.replicas.keys().copied().collect();
        for group in groups {
            match self.replicas[&group].group().is_alone() {
                true => self.elections.schedule(group, now),
                // All nodes may start at once: those that stand in the same moment would take each other's votes.
                false => {
                    let pause = START_PAUSE + RANK_PAUSE * self.place_among(group, |_| true);
                    self.elections.schedule(group, now + pause);
                }
            }
        }
    }

    /// A group lost its leader, or an election began: if it comes to nothing, this node helps.
    pub(super) fn leader_lost(&mut self, group: GroupUid) {
        if let Some(rank) = self.rank(group) {
            let pause = OTHERS_PAUSE + RANK_PAUSE * rank;
            self.elections.schedule(group, Instant::now() + pause);
        }
    }

    /// Stands for election where it is time.
    pub(super) fn run_elections(&mut self) {
        let now = Instant::now();
        for _ in 0..MAX_CAMPAIGNS {
            let is_due = |due: &Reverse<(Instant, GroupUid)>| due.0.0 <= now;
            if !self.elections.due.peek().is_some_and(is_due) {
                break;
            }
            let Reverse((_, group)) = self.elections.due.pop().expect("there is one");
            self.elections.scheduled.remove(&group);
            self.stand(group, now);
        }
    }

    /// Lets others lead, as this node stops.
    pub(super) fn hand_over(&mut self, reply: oneshot::Sender<()>) {
        self.elections.handing_over = Some(HandOver { reply });
        info!(
            groups = self.led_groups().len(),
            "leadership is handed over"
        );
        self.transfer_everything();
        self.note_handed_over();
    }

    /// Whoever waits for the end of the hand-over is told once nothing is left to hand over.
    pub(super) fn note_handed_over(&mut self) {
        if self.elections.handing_over.is_none() {
            return;
        }
        let left = self
            .led_groups()
            .into_iter()
            .filter(|group| self.successor(*group).is_some())
            .count();
        if left == 0
            && let Some(done) = self.elections.handing_over.take()
        {
            let _ = done.reply.send(());
        }
    }

    /// Tries again to hand over what was not taken.
    pub(super) fn push_hand_over(&mut self) {
        if self.elections.is_handing_over() {
            self.transfer_everything();
            self.note_handed_over();
        }
    }

    /// Hands over whatever another node could lead.
    pub(super) fn transfer_everything(&mut self) {
        self.led_groups()
            .into_iter()
            .for_each(|group| self.transfer_away(group));
    }

    /// Leads back to preferred nodes what others lead, a few at a time.
    pub(super) fn balance_leaders(&mut self) {
        if self.elections.is_handing_over() {
            return;
        }
        let settled = |node: &NodeId| {
            let since = self.elections.alive.get(node);
            since.is_some_and(|since| since.elapsed() >= SETTLED_AFTER)
        };
        let now = Instant::now();
        self.elections.held.retain(|_, until| now < *until);
        let mut moves = Vec::new();
        for (uid, replica) in &self.replicas {
            if self.elections.held.contains_key(uid) {
                continue;
            }
            let Some(preferred) = replica.preference.first().filter(|node| settled(node)) else {
                continue;
            };
            if *preferred == self.settings.node || !replica.serves() || moves.len() == MAX_TRANSFERS
            {
                continue;
            }
            if let Some(to) = self.able_to_lead(replica, *preferred) {
                moves.push((*uid, to));
            }
        }
        for (group, to) in moves {
            self.transfer(group, to);
        }
    }

    /// An operator lets this node lead a group: for a while the preferred node does not get it back by itself.
    pub(super) fn keep_leading(&mut self, group: GroupUid) {
        let until = Instant::now() + HOLD;
        self.elections.held.insert(group, until);
    }

    /// Hands groups to the nodes that somebody wants to lead them, where that costs nobody anything.
    pub(super) fn hand_to(&mut self, wanted: Vec<(GroupUid, NodeId)>) {
        for (group, node) in wanted {
            let is_there = self.elections.is_alive(node);
            let replica = self.replicas.get(&group).filter(|_| is_there);
            if let Some(to) = replica.and_then(|replica| self.able_to_lead(replica, node)) {
                self.transfer(group, to);
            }
        }
    }

    /// The replica on a node, if it could lead at once instead of this one.
    fn able_to_lead(&self, replica: &Replica, node: NodeId) -> Option<u64> {
        let to = replica.able_to_lead(node)?;
        self.is_of_today(ReplicaId(to)).then_some(to)
    }

    fn stand(&mut self, group: GroupUid, now: Instant) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        if replica.group().leadership().leader != 0 || self.elections.is_handing_over() {
            self.elections.stood_at.remove(&group);
            return;
        }
        let Some(rank) = self.rank(group) else {
            return;
        };
        let stood_at = self.elections.stood_at.get(&group);
        let is_waiting = replica.group().is_candidate()
            && stood_at.is_some_and(|stood_at| now - *stood_at < VOTES_AFTER);
        if !is_waiting && let Some(replica) = self.replicas.get_mut(&group) {
            replica.campaign();
            self.elections.stood_at.insert(group, now);
            self.touch(group);
        }
        self.elections
            .schedule(group, now + REPEAT_AFTER + RANK_PAUSE * rank);
    }

    /// How many of a group's voters that are there come before this one; none if they are too few to elect anybody.
    fn rank(&self, group: GroupUid) -> Option<u32> {
        let replica = self.replicas.get(&group)?;
        let members = replica.group().members();
        let me = self.settings.node;
        let is_there = |node: NodeId| node == me || self.elections.alive.contains_key(&node);
        if !members.is_majority(|voter| is_there(ReplicaId(voter).node())) {
            return None;
        }
        let votes = members.voters.contains(&replica.group().replica());
        votes.then(|| self.place_among(group, is_there))
    }

    /// How many of a group's voters that count come before this node.
    fn place_among(&self, group: GroupUid, counts: impl Fn(NodeId) -> bool) -> u32 {
        let replica = &self.replicas[&group];
        let place = |node: NodeId| {
            let preferred = replica.preference.iter().position(|other| *other == node);
            (preferred.unwrap_or(usize::MAX), node)
        };
        let own = place(self.settings.node);
        let members = replica.group().members();
        let nodes = members.voters.iter().map(|voter| ReplicaId(*voter).node());
        let before = nodes.filter(|node| counts(*node) && place(*node) < own);
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }

    /// Groups without a leader are looked at soon.
    fn look_for_leaders(&mut self, pause: Duration) {
        let leaderless = |replica: &Replica| replica.group().leadership().leader == 0;
        let groups: Vec<GroupUid> = self
            .replicas
            .iter()
            .filter(|(_, replica)| leaderless(replica))
            .map(|(group, _)| *group)
            .collect();
        let now = Instant::now();
        for group in groups {
            // A group that never had an entry has no leader to wait for.
            let is_newborn = self.replicas[&group].group().last_index() == 1;
            let pause = if is_newborn { Duration::ZERO } else { pause };
            if let Some(rank) = self.rank(group) {
                self.elections
                    .schedule(group, now + pause + RANK_PAUSE * rank);
            }
        }
    }

    /// The leaders of a node are given up: whoever is first among the survivors stands.
    fn suspect(&mut self, node: NodeId) {
        let now = Instant::now();
        let led_there = |replica: &Replica| {
            let leader = replica.group().leadership().leader;
            leader != 0 && ReplicaId(leader).node() == node
        };
        let groups: Vec<GroupUid> = self
            .replicas
            .iter()
            .filter(|(_, replica)| led_there(replica))
            .map(|(group, _)| *group)
            .collect();
        for group in groups {
            let replica = self.replicas.get_mut(&group).expect("it is among the keys");
            let leader = replica.group().leadership().leader;
            replica.suspect(leader);
            self.history.because(group, Why::Suspected(node));
            self.touch(group);
            if let Some(rank) = self.rank(group) {
                self.elections.schedule(group, now + RANK_PAUSE * rank);
            }
        }
        self.unreachable(node);
        self.abdicate_where_alone();
    }

    /// Gives up what this node leads with too few others there to commit anything: clients that wait would wait for
    /// as long as it takes Raft to count, and others may lead already.
    fn abdicate_where_alone(&mut self) {
        let me = self.settings.node;
        let is_there = |voter: u64| {
            let node = ReplicaId(voter).node();
            node == me || self.elections.alive.contains_key(&node)
        };
        let is_alone = |group: &GroupUid| {
            let members = self.replicas[group].group().members();
            !members.is_majority(is_there)
        };
        let groups: Vec<GroupUid> = self.led_groups().into_iter().filter(is_alone).collect();
        if groups.is_empty() {
            return;
        }
        warn!(
            groups = groups.len(),
            "too few nodes answer: leadership is given up"
        );
        self.abdicate_from(groups);
    }

    fn abdicate_from(&mut self, groups: Vec<GroupUid>) {
        for group in groups {
            if let Some(replica) = self.replicas.get_mut(&group) {
                replica.abdicate();
                self.touch(group);
            }
        }
    }

    /// A process that got no time for so long may have been replaced, and what it would show first is what was there
    /// before. It leads nothing until it was elected again.
    pub(super) fn notice_absence(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.upkeep.due);
        if late < ABSENCE || self.settings.planted.is(Fault::ReadNotConfirmed) {
            return;
        }
        let groups = self.led_groups();
        if self.is_single() || groups.is_empty() {
            return;
        }
        warn!(
            late_ms = late.as_millis() as u64,
            groups = groups.len(),
            "this process got no time: leadership is given up"
        );
        self.abdicate_from(groups);
    }

    /// What was sent to a node may be lost: leaders probe before they send more.
    fn unreachable(&mut self, node: NodeId) {
        for replica in self.replicas.values_mut() {
            if !replica.group().is_leader() {
                continue;
            }
            let members = replica.group().members();
            let all = members.voters.iter().chain(&members.learners);
            let there = all
                .copied()
                .find(|member| ReplicaId(*member).node() == node);
            if let Some(peer) = there {
                replica.unreachable(peer);
            }
        }
    }

    fn led_groups(&self) -> Vec<GroupUid> {
        self.replicas
            .iter()
            .filter(|(_, replica)| replica.group().is_leader())
            .map(|(group, _)| *group)
            .collect()
    }

    pub(super) fn transfer_away(&mut self, group: GroupUid) {
        if let Some(to) = self.successor(group) {
            self.history.because(group, Why::Stopping);
            self.transfer(group, to);
        }
    }

    fn transfer(&mut self, group: GroupUid, to: u64) {
        let replica = self
            .replicas
            .get_mut(&group)
            .expect("only hosted groups are led");
        if replica.transfer(to).is_ok() {
            self.touch(group);
        }
    }

    /// The voter that is there and has most of the log; one that is to leave only if there is no other.
    fn successor(&self, group: GroupUid) -> Option<u64> {
        let replica = self.replicas.get(&group)?;
        let stays = |peer: u64| replica.preference.contains(&ReplicaId(peer).node());
        let group = replica.group();
        let members = group.members();
        let peers = group.peers();
        peers
            .iter()
            .filter(|peer| {
                peer.replica != group.replica() && members.voters.contains(&peer.replica)
            })
            .filter(|peer| {
                let replica = ReplicaId(peer.replica);
                self.elections.alive.contains_key(&replica.node()) && self.is_of_today(replica)
            })
            .max_by_key(|peer| (stays(peer.replica), peer.matched))
            .map(|peer| peer.replica)
    }
}

impl Replica {
    /// The voter on a node, if it lacks next to nothing.
    fn able_to_lead(&self, node: NodeId) -> Option<u64> {
        let group = self.group();
        let members = group.members();
        let of_node = |voter: &&u64| ReplicaId(**voter).node() == node;
        let to = *members.voters.iter().find(of_node)?;
        let has_all =
            |peer: &Peer| peer.replica == to && peer.matched + MOST_MISSING >= group.last_index();
        let is_able =
            to != group.replica() && group.is_in_sync(to) && group.peers().iter().any(has_all);
        is_able.then_some(to)
    }
}
