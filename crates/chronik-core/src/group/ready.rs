//! What Raft wants, turned into orders: acceptance, durability, commitment.

use raft::StateRole;
use raft::eraftpb::{self, Entry};

use super::{
    Action, Fault, Group, HardState, Install, Leadership, Members, Persist, Unpersisted,
    changes_members, members,
};

impl Group {
    /// Everything up to this number is durable.
    pub fn persisted(&mut self, number: u64, out: &mut Vec<Action>) {
        while let Some(ready) = self
            .unpersisted
            .pop_front_if(|ready| ready.number <= number)
        {
            self.send(ready.messages, out);
        }
        self.node.on_persist_ready(number);
        if self.installing.take_if(|ready| *ready <= number).is_some() {
            let trimmed = self.trim().index;
            if self.node.raft.raft_log.applied < trimmed {
                self.node.advance_apply_to(trimmed);
            }
        }
    }

    /// The same tail after every event: turns what Raft wants into orders.
    pub fn drain(&mut self, out: &mut Vec<Action>) {
        if let Some(context) = self.reads.start() {
            self.node.read_index(context);
        }
        while self.node.has_ready() {
            self.accept_ready(out);
        }
        self.send_freed(out);
        self.note_commit(out);
        let view = self.node.mut_store();
        out.extend(view.take_fetches().into_iter().map(Action::Fetch));
        if view.take_snapshot_want() {
            out.push(Action::SnapshotWanted);
        }
        if let Some((round, index)) = self.reads.answered(self.committed) {
            out.push(Action::ReadConfirmed { round, index });
        }
    }

    /// One ready, from acceptance to what may leave now. No I/O happens between `ready` and `advance`.
    fn accept_ready(&mut self, out: &mut Vec<Action>) {
        let mut ready = self.node.ready();
        let number = ready.number();
        let hard_state = ready.hs().map(HardState::from_raft);
        let turns_term = ready.hs().is_some_and(|hs| self.turns_term(hs));
        let mut at_once = ready.take_messages();
        let mut after_persist = ready.take_persisted_messages();
        let install = self.accept_snapshot(&ready);
        let entries = ready.take_entries();
        let committed = ready.take_committed_entries();
        for read in ready.take_read_states() {
            self.reads.confirm(&read.request_ctx, read.index);
        }

        self.node.mut_store().append(&entries);
        if let Some(hard_state) = hard_state {
            self.node.mut_store().set_hard_state(hard_state);
            self.unwritten = Some(hard_state);
        }
        self.note_leadership(out);
        if turns_term {
            // A single voter with learners wins inside `campaign`: its appends wait for its term.
            after_persist.splice(0..0, at_once.drain(..));
        }
        if self.planted.is(Fault::AckBeforeSync) {
            at_once.append(&mut after_persist);
        }
        self.send(at_once, out);

        let writes = ready.must_sync();
        let waits = writes || !self.unpersisted.is_empty();
        if writes {
            if install.is_some() {
                self.installing = Some(number);
            }
            self.unpersisted.push_back(Unpersisted {
                number,
                messages: after_persist,
            });
            let hard_state =
                match turns_term || install.is_some() || entries.iter().any(changes_members) {
                    true => self.hard_state_to_write(),
                    false => None,
                };
            out.push(Action::Persist(Persist {
                number,
                install,
                hard_state,
                entries,
            }));
        } else if let Some(last) = self.unpersisted.back_mut() {
            // A ready without bytes may acknowledge entries of one that is still on its way.
            last.messages.append(&mut after_persist);
        } else {
            self.send(after_persist, out);
        }

        self.node.advance_append_async(ready);
        if !waits {
            self.node.on_persist_ready(number);
        }
        self.hand_out_committed(committed, out);
    }

    fn accept_snapshot(&mut self, ready: &raft::Ready) -> Option<Install> {
        if ready.snapshot().is_empty() {
            return None;
        }
        let install = Install::from_raft(ready.snapshot())
            .expect("a snapshot is checked before Raft sees it");
        self.node.mut_store().install(&install);
        self.members_as_of = install.members_as_of;
        Some(install)
    }

    /// A commit index alone is not worth a record: a leader tells it again. But an entry that changes members must
    /// not be acknowledged by a replica that could forget that the change before it is committed.
    fn hard_state_to_write(&mut self) -> Option<HardState> {
        let mut hard_state = self.unwritten.take();
        if self.planted.is(Fault::VoteNotPersisted)
            && let Some(hard_state) = &mut hard_state
        {
            hard_state.vote = 0;
        }
        hard_state
    }

    fn hand_out_committed(&mut self, mut committed: Vec<Entry>, out: &mut Vec<Action>) {
        let Some(last) = committed.last().map(|entry| entry.index) else {
            return;
        };
        for entry in committed.iter_mut().filter(|entry| changes_members(entry)) {
            self.change_committed(entry, out);
            // To the owner of a state it is an entry without content.
            *entry = Entry {
                index: entry.index,
                term: entry.term,
                ..Entry::default()
            };
        }
        if self.applies_entries {
            out.push(Action::Apply(committed));
        } else {
            self.node.advance_apply_to(last);
        }
        self.leave_if_removed();
    }

    fn change_committed(&mut self, entry: &Entry, out: &mut Vec<Action>) {
        if entry.index <= self.members_as_of {
            return;
        }
        self.members_as_of = entry.index;
        // Refused by every replica alike, as all of them make the same changes in the same order.
        let Ok(conf_state) = self
            .node
            .apply_conf_change(&members::committed(&entry.data))
        else {
            return;
        };
        let members = Members::from_raft(&conf_state);
        self.node.mut_store().set_conf_state(members.to_raft());
        self.fit_windows();
        out.push(Action::Members {
            as_of: entry.index,
            members,
        });
    }

    /// A leader that is no voter any more would go on for ever, and raft-rs 0.7 panics at its next commit.
    fn leave_if_removed(&mut self) {
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Leader && !raft.promotable() {
            raft.become_follower(raft.term, 0);
        }
    }

    fn turns_term(&self, hard_state: &eraftpb::HardState) -> bool {
        let stored = self.node.store().hard_state();
        hard_state.term != stored.term || hard_state.vote != stored.vote
    }

    fn note_leadership(&mut self, out: &mut Vec<Action>) {
        let known = Leadership {
            term: self.node.raft.term,
            leader: self.node.raft.leader_id,
        };
        assert!(known.term >= self.leadership.term, "a term never falls");
        if known != self.leadership {
            self.leadership = known;
            self.node.mut_store().forget_wants();
            self.forget_waiting();
            out.push(Action::Leadership(known));
        }
    }

    fn note_commit(&mut self, out: &mut Vec<Action>) {
        let committed = self.node.raft.raft_log.committed;
        assert!(committed >= self.committed, "a commit index never falls");
        if committed > self.committed {
            self.committed = committed;
            out.push(Action::Committed { index: committed });
        }
    }
}
