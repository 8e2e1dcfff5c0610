//! From one generation to the next: everyone joins again, the leader assigns, and time does not wait for the slow.

use super::append::Purpose;
use super::coordinator::Turn;
use super::error::GroupError;
use super::group::{FirstRound, Group, Phase};
use super::member::Member;
use super::message::Reply;

/// How soon we look again when nobody has joined: a member's own timeout may be zero.
const LOOK_AGAIN_MIN_MS: u64 = 1_000;

impl Group {
    pub(super) fn prepare_unless_preparing(&mut self, turn: &mut Turn<'_>) {
        if matches!(
            self.phase,
            Phase::Empty | Phase::Completing { .. } | Phase::Stable
        ) {
            self.prepare(turn);
        }
    }

    /// Asks everyone to join again.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Completing { .. }) {
            self.abandon_assignment(turn, GroupError::RebalanceInProgress);
        }
        self.sync_ends_ms = None;
        let round_ms = self.rebalance_timeout_ms();
        let phase = if matches!(self.phase, Phase::Empty) {
            let delay_ms = turn.config.initial_rebalance_delay_ms;
            let first = FirstRound {
                left_ms: round_ms.saturating_sub(delay_ms),
                member_came: false,
            };
            Phase::Preparing {
                ends_ms: turn.now_ms.saturating_add(delay_ms),
                first: Some(first),
            }
        } else {
            Phase::Preparing {
                ends_ms: turn.now_ms.saturating_add(round_ms),
                first: None,
            }
        };
        self.enter(phase, turn.now_ms);
    }

    /// Everyone who waits for an assignment of this round is refused.
    pub(super) fn abandon_assignment(&mut self, turn: &mut Turn<'_>, error: GroupError) {
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(ticket) = member.parked_sync.take() {
                member.renew(turn.now_ms);
                turn.reply(ticket, Reply::Sync(Err(error)));
            }
        }
    }

    /// Lets time pass: ends what is over, removes who is gone.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        let now_ms = turn.now_ms;
        self.named.retain(|_, ends_ms| *ends_ms > now_ms);
        self.remove_all(turn, |member| {
            member
                .gone_at_ms()
                .is_some_and(|gone_at_ms| gone_at_ms <= now_ms)
        });
        if self.sync_ends_ms.is_some_and(|ends_ms| ends_ms <= now_ms) {
            self.sync_ends_ms = None;
            self.remove_all(turn, |member| !member.has_synced);
        }
        if self.round_is_over(turn) {
            self.end_round(turn);
        }
    }

    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        let members_ms = self.members.values().filter_map(Member::gone_at_ms).min();
        let named_ms = self.named.values().min().copied();
        let round_ms = match self.phase {
            Phase::Preparing { ends_ms, .. } => Some(ends_ms),
            _ => None,
        };
        [members_ms, named_ms, round_ms, self.sync_ends_ms]
            .into_iter()
            .flatten()
            .min()
    }

    fn rebalance_timeout_ms(&self) -> u64 {
        self.members
            .values()
            .map(|member| member.rebalance_timeout_ms)
            .max()
            .unwrap_or(0)
    }

    /// Removes members; a group that had a generation needs another one.
    fn remove_all(&mut self, turn: &mut Turn<'_>, is_gone: impl Fn(&Member) -> bool) {
        let gone = self
            .members
            .iter()
            .filter(|(_, member)| is_gone(member))
            .map(|(id, _)| id.clone());
        let gone: Vec<String> = gone.collect();
        for member_id in &gone {
            self.remove_member(turn, member_id);
        }
        if !gone.is_empty() {
            self.prepare_unless_preparing(turn);
        }
    }

    fn round_is_over(&mut self, turn: &Turn<'_>) -> bool {
        let all_joined = self.named.is_empty()
            && self
                .members
                .values()
                .all(|member| member.parked_join.is_some());
        let Phase::Preparing { ends_ms, first } = &mut self.phase else {
            return false;
        };
        let is_late = *ends_ms <= turn.now_ms;
        let Some(first) = first else {
            return is_late || all_joined;
        };
        // A round that begins does not end because all are here: more may come, and while they do it goes on.
        let delay_ms = first.left_ms.min(turn.config.initial_rebalance_delay_ms);
        if !is_late || !first.member_came || delay_ms == 0 {
            return is_late;
        }
        first.left_ms -= delay_ms;
        first.member_came = false;
        *ends_ms = turn.now_ms.saturating_add(delay_ms);
        false
    }

    fn end_round(&mut self, turn: &mut Turn<'_>) {
        let has_left =
            |member: &Member| member.parked_join.is_none() && member.instance_id.is_none();
        self.remove_all(turn, has_left);
        if self.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect_joined_leader() {
            self.begin_generation(turn);
        } else {
            // Only static members are left and none has come yet: their sessions will tell.
            let wait_ms = self.rebalance_timeout_ms().max(LOOK_AGAIN_MIN_MS);
            self.phase = Phase::Preparing {
                ends_ms: turn.now_ms.saturating_add(wait_ms),
                first: None,
            };
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.advance_generation();
        self.protocol_name = None;
        self.leader = None;
        self.enter(Phase::Empty, turn.now_ms);
        let record = self.to_record(|_, member| member.assignment.clone());
        let purpose = Purpose::Emptied {
            group: self.id.clone(),
        };
        self.store(turn, vec![record], purpose);
    }

    /// Someone who joined this round must lead it.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &String| {
            self.members
                .get(id)
                .is_some_and(|member| member.parked_join.is_some())
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let successor = self.members.keys().find(|id| has_joined(id)).cloned();
        let is_found = successor.is_some();
        self.leader = successor.or(self.leader.take());
        is_found
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.advance_generation();
        self.protocol_name = Some(
            self.elect_protocol()
                .expect("a join without a common protocol is refused"),
        );
        self.enter(Phase::Completing { storing: false }, turn.now_ms);
        self.sync_ends_ms = Some(turn.now_ms.saturating_add(self.rebalance_timeout_ms()));
        let member_ids: Vec<String> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let member = self.member_mut(&member_id);
            member.has_synced = false;
            member.is_new = false;
            member.renew(turn.now_ms);
            if let Some(ticket) = member.parked_join.take() {
                turn.reply(ticket, Reply::Join(Ok(self.joined(&member_id))));
            }
        }
    }

    fn advance_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }
}
