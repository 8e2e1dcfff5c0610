//! Replicas on the move: what they get from this node, how fast, and when it is whose turn.
//!
//! While there is a throttle, or an operation stands still, the groups keep back what their learners on the move lack.
//! They stand in one line, and each gets one message when its turn comes, as long as the throttle is open: nobody else
//! is in that line. One that is paused does not stand in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chronik_core::catalog::Catalog;
use chronik_core::group::eraftpb::Message;
use chronik_core::group::payload_bytes;
use chronik_core::ids::{GroupUid, ReplicaId};
use chronik_core::throttle::Throttle;

use super::inspect;
use super::replica::Replica;
use super::shard::Shard;

pub(super) struct CatchUp {
    began: Instant,
    throttle: Throttle,
    /// Groups that have something to release, each of them once.
    line: VecDeque<GroupUid>,
}

/// How fast something went lately.
#[derive(Debug, Default)]
pub(super) struct Flow {
    total: u64,
    /// What the total was when; the oldest first.
    marks: VecDeque<(Instant, u64)>,
}

/// The rate is that of so long a while.
const WINDOW: Duration = Duration::from_secs(5);
const MARK_EVERY: Duration = Duration::from_millis(250);
/// A single message is no rate.
const LEAST_SPAN: Duration = Duration::from_secs(1);

impl Default for CatchUp {
    fn default() -> CatchUp {
        CatchUp {
            began: Instant::now(),
            throttle: Throttle::default(),
            line: VecDeque::new(),
        }
    }
}

impl CatchUp {
    /// When somebody who waits may send; none if nobody waits.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let opens_in = self
            .throttle
            .opens_in_ms()
            .filter(|_| !self.line.is_empty());
        opens_in.map(|ms| now + Duration::from_millis(ms))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Flow {
    /// So many bytes left now.
    pub(super) fn note(&mut self, now: Instant, bytes: u64) {
        let newest = self.marks.back();
        if newest.is_none_or(|(at, _)| now.duration_since(*at) >= MARK_EVERY) {
            self.marks.push_back((now, self.total));
            let is_old = |(at, _): &mut (Instant, u64)| now.duration_since(*at) > WINDOW;
            while self.marks.pop_front_if(is_old).is_some() {}
        }
        self.total += bytes;
    }

    /// Bytes in a second.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let mut marks = self.marks.iter();
        let oldest = marks.find(|(at, _)| now.duration_since(*at) <= WINDOW);
        let Some((since, before)) = oldest else {
            return 0;
        };
        let span = now.duration_since(*since).max(LEAST_SPAN);
        ((self.total - before) as f64 / span.as_secs_f64()) as u64
    }
}

impl Shard {
    /// What the catalog says of throttles and pauses is so from now on, on whichever node a group is led.
    pub(super) fn pace_moves(&mut self) {
        let Some(catalog) = self.meta().map(|meta| meta.catalog.clone()) else {
            return;
        };
        let now_ms = self.catch_up.now_ms();
        self.catch_up.throttle.limit(now_ms, catalog.throttle);
        let mut waiting = Vec::new();
        for (group, replica) in &mut self.replicas {
            let paced = replica.paced(&catalog);
            replica.pace(&paced);
            if replica.group().has_waiting() {
                waiting.push(*group);
            }
        }
        waiting.into_iter().for_each(|group| self.touch(group));
    }

    /// A group that has something to release stands in line, unless its move stands still.
    pub(super) fn line_up(&mut self, group: GroupUid) {
        let has_waiting = |replica: &Replica| replica.group().has_waiting();
        if !self.replicas.get(&group).is_some_and(has_waiting) || self.is_paused(group) {
            return;
        }
        if let Some(replica) = self.replicas.get_mut(&group)
            && !std::mem::replace(&mut replica.is_in_line, true)
        {
            self.catch_up.line.push_back(group);
        }
    }

    /// One message after the other leaves, as long as the throttle is open.
    pub(super) fn release_catch_up(&mut self) {
        let now_ms = self.catch_up.now_ms();
        while self.catch_up.throttle.is_open(now_ms) {
            let Some(group) = self.catch_up.line.pop_front() else {
                return;
            };
            let is_paused = self.is_paused(group);
            let Some(replica) = self.replicas.get_mut(&group) else {
                continue;
            };
            replica.is_in_line = false;
            if is_paused {
                continue;
            }
            if let Some(message) = replica.release() {
                self.catch_up.throttle.spend(payload_bytes(&message));
                self.send(group, vec![message]);
                self.line_up(group);
            }
        }
    }

    fn is_paused(&self, group: GroupUid) -> bool {
        let replica = self.replicas.get(&group);
        let catalog = self.meta().map(|meta| &meta.catalog);
        let pair = replica.zip(catalog);
        pair.is_some_and(|(replica, catalog)| replica.is_paused(catalog))
    }
}

impl Replica {
    /// Its move stands still.
    pub(super) fn is_paused(&self, catalog: &Catalog) -> bool {
        self.moving.is_some_and(|id| catalog.paused.contains(&id))
    }

    /// The bytes of a message that a replica on the move gets to catch up; none of any other message.
    pub(super) fn catch_up_bytes(&self, message: &Message) -> u64 {
        let is_coming = || self.coming.contains(&ReplicaId(message.to).node());
        match self.moving.is_some() && is_coming() && self.group().learns(message.to) {
            true => payload_bytes(message),
            false => 0,
        }
    }

    /// What operators want to know of a move.
    pub(super) fn catch_up(
        &self,
        now: Instant,
        log_bytes: u64,
        has_turns: bool,
    ) -> Option<inspect::CatchUp> {
        let group = self.group();
        self.moving.filter(|_| group.is_leader())?;
        let learners = group.members().learners;
        let held_back = learners.iter().copied();
        let held_back = held_back.filter(|learner| group.waits_for_release(*learner));
        Some(inspect::CatchUp {
            log_bytes,
            bytes_per_second: self.flow.rate(now),
            held_back: held_back.map(|learner| ReplicaId(learner).node()).collect(),
            waits_for_turn: !has_turns && learners.is_empty(),
        })
    }

    /// Whose messages have to wait for their turn.
    fn paced(&self, catalog: &Catalog) -> Vec<u64> {
        if self.moving.is_none() || (catalog.throttle.is_none() && !self.is_paused(catalog)) {
            return Vec::new();
        }
        let coming = self.coming.iter();
        coming
            .map(|node| self.number_of(*node, catalog).0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_while() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut flow = Flow::default();
        assert_eq!(flow.rate(at(0)), 0);
        flow.note(at(0), 500);
        assert_eq!(flow.rate(at(0)), 500, "a message is spread over a second");
        (1..=100).for_each(|step| flow.note(at(step * 100), 100));
        assert!((980..=1040).contains(&flow.rate(at(10_000))));
        assert!(flow.marks.len() <= 21);
        assert_eq!(flow.rate(at(16_000)), 0);
    }
}
