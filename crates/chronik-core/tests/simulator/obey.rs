//! Obeys what replicas order, in their order, and checks every promise in the moment in which it is made.

use chronik_core::group::eraftpb::{Message, MessageType};
use chronik_core::group::{Action, Leadership, Persist};
use chronik_core::partition::{Answer, Log, Order};

use crate::clients::Ticket;

use crate::disk::{Notice, Record, What};
use crate::machine::{Machine, STATE_GROUP};
use crate::nemesis::OPERATOR;
use crate::world::{Event, World, slot};

impl World {
    /// Everything that follows from what a replica was told.
    pub(crate) fn settle(&mut self, node: usize, group: usize) {
        let Some(hosted) = self.nodes[node].hosted.get_mut(&group) else {
            return;
        };
        let mut orders = Vec::new();
        hosted.replica.drain(&mut orders);
        self.coverage.catch_ups_held += u64::from(hosted.replica.group().has_waiting());
        self.obey(node, group, orders);
        self.evict(node, group);
    }

    pub(crate) fn notice(&mut self, node: usize, notice: Notice) {
        let (group, id) = match notice {
            Notice::Ready { group, replica, .. } | Notice::Trimmed { group, replica, .. } => {
                (group, replica)
            }
        };
        let hosted = self.nodes[node].hosted.get_mut(&group);
        let Some(hosted) = hosted.filter(|hosted| hosted.id == id) else {
            return;
        };
        let mut orders = Vec::new();
        match notice {
            Notice::Ready { number, .. } => hosted.replica.persisted(number, &mut orders),
            Notice::Trimmed { trim, offset, .. } => {
                if trim.index > hosted.replica.group().trim().index {
                    self.coverage.trims += 1;
                    hosted.replica.trimmed(trim, offset);
                }
            }
        }
        self.obey(node, group, orders);
        self.settle(node, group);
    }

    fn obey(&mut self, node: usize, group: usize, orders: Vec<Order<Ticket>>) {
        let mut answers = Vec::new();
        for order in orders {
            match order {
                Order::Group(action) => self.obey_group(node, group, action),
                Order::Answer(ticket, answer) => answers.push((ticket, answer)),
                Order::HighWatermark(offset) => self.high_watermark(node, group, offset),
                Order::LogStart(_) => self.coverage.logs_shortened += 1,
            }
        }
        self.check_commit(node, group);
        for (ticket, answer) in answers {
            self.answer(node, group, ticket, answer);
        }
    }

    fn obey_group(&mut self, node: usize, group: usize, action: Action) {
        match action {
            Action::Leadership(leadership) => self.leadership(node, group, leadership),
            Action::Send(messages) => {
                for message in messages {
                    self.check_promise(node, group, &message);
                    self.send(node, group, message);
                }
            }
            Action::Persist(persist) => self.persist(node, group, persist),
            Action::Members { as_of, members } => {
                self.trace
                    .step("members", [node as u64, group as u64, as_of, 0]);
                self.trace.tell(|| describe_members(node, as_of, &members));
                self.coverage.member_changes += 1;
                self.coverage.joint_states += u64::from(members.is_joint());
                self.truths[group].members_changed(as_of, &members);
                let hosted = self.nodes[node].hosted.get_mut(&group);
                let hosted = hosted.expect("only hosted replicas order");
                let before = std::mem::replace(&mut hosted.members, members.clone());
                hosted.members_before.push(before);
                let replica = hosted.id;
                let what = What::Members(as_of, members);
                self.write(
                    node,
                    [Record {
                        group,
                        replica,
                        what,
                    }],
                    None,
                );
            }
            Action::Fetch(fetch) => {
                self.coverage.fetches += 1;
                let life = self.nodes[node].life;
                let delay = self.rng.within(100, 4000);
                self.after(
                    delay,
                    Event::Fetched {
                        node,
                        life,
                        group,
                        fetch,
                    },
                );
            }
            Action::ReadConfirmed { round, index } => {
                self.read_confirmed(node, group, round, index)
            }
            Action::Committed { .. } | Action::Apply(_) | Action::SnapshotWanted => {
                unreachable!("the replica keeps these for itself")
            }
        }
    }

    fn leadership(&mut self, node: usize, group: usize, leadership: Leadership) {
        let Leadership { term, leader } = leadership;
        self.trace
            .step("leadership", [node as u64, group as u64, term, leader]);
        let hosted = &self.nodes[node].hosted[&group];
        if leader != hosted.id {
            return;
        }
        self.coverage.elections += 1;
        self.trace
            .tell(|| format!("{} leads in term {term}", node + 1));
        let rows = &self.nodes[node].disk.rows[&group];
        let last_index = rows.last_index();
        self.truths[group].leads(term, leader, last_index, |index| rows.term(index));
    }

    fn persist(&mut self, node: usize, group: usize, persist: Persist) {
        let replica = self.nodes[node].hosted[&group].id;
        let Persist {
            number,
            install,
            hard_state,
            entries,
        } = persist;
        let first = entries.first().map_or(0, |entry| entry.index);
        self.trace.step(
            "persist",
            [node as u64, number, first, entries.len() as u64],
        );
        let mut records = Vec::with_capacity(entries.len() + 2);
        let mut record = |what| {
            records.push(Record {
                group,
                replica,
                what,
            })
        };
        if let Some(install) = install {
            self.tempt(node);
            self.coverage.snapshots_installed += 1;
            self.coverage.states_installed += u64::from(group == STATE_GROUP);
            let trim = install.trim;
            let hosted = self.nodes[node].hosted.get_mut(&group);
            let hosted = hosted.expect("only hosted replicas order");
            let own = hosted.replica.snapshot();
            assert!(own.is_none(), "a snapshot of one that is not durable yet");
            hosted.members = install.members.clone();
            self.trace
                .tell(|| format!("{} installs a snapshot at {}", node + 1, trim.index));
            record(What::Install(install));
        }
        let last = self.nodes[node].disk.rows[&group].last_index();
        if first != 0 && first <= last {
            self.coverage.truncations += 1;
            self.trace
                .tell(|| format!("{} replaces its entries from {first} on", node + 1));
        }
        if let Some(hard_state) = hard_state {
            record(What::HardState(hard_state));
        }
        for entry in entries {
            record(What::Entry(entry));
        }
        self.check_appended(node, group, &records);
        let notice = Notice::Ready {
            group,
            replica,
            number,
        };
        self.write(node, records, Some(notice));
    }

    fn check_appended(&mut self, node: usize, group: usize, records: &[Record]) {
        let rows = &self.nodes[node].disk.rows[&group];
        let mut previous = None;
        for record in records {
            match &record.what {
                What::Install(install) => previous = Some(install.trim.term),
                What::Entry(entry) => {
                    let term = previous.or_else(|| rows.term(entry.index - 1));
                    self.truths[group].appended(entry, term.expect("a log has no gap"));
                    previous = Some(entry.term);
                }
                _ => {}
            }
        }
    }

    /// What leaves must be true on disk already.
    fn check_promise(&mut self, node: usize, group: usize, message: &Message) {
        let disk = &self.nodes[node].disk;
        let rows = &disk.rows[&group];
        let term = self.nodes[node].hosted[&group].replica.group().term();
        match message.get_msg_type() {
            // One of an earlier term may speak of entries that were replaced meanwhile.
            MessageType::MsgAppendResponse if !message.reject && message.term == term => {
                assert!(
                    disk.is_durable_to(group, message.index),
                    "acknowledged is durable: {} acknowledges entry {} too early",
                    message.from,
                    message.index
                );
            }
            MessageType::MsgRequestVoteResponse if !message.reject => {
                let cast = (rows.hard_state.term, rows.hard_state.vote);
                assert!(
                    cast == (message.term, message.to) || cast.0 > message.term,
                    "a vote is durable: {} votes for {} in term {}",
                    message.from,
                    message.to,
                    message.term
                );
                self.truths[group].voted(message.from, message.term, message.to);
            }
            MessageType::MsgRequestVote => {
                let cast = (rows.hard_state.term, rows.hard_state.vote);
                assert!(
                    cast == (message.term, message.from) || cast.0 > message.term,
                    "a vote is durable: {} stands in term {}",
                    message.from,
                    message.term
                );
                self.truths[group].voted(message.from, message.term, message.from);
            }
            _ => {}
        }
    }

    pub(crate) fn send(&mut self, node: usize, group: usize, message: Message) {
        let way = (node, slot(message.to));
        let (rng, coverage) = (&mut self.rng, &mut self.coverage);
        let arrivals = self.network.send(self.now, way, &message, rng, coverage);
        let life = self.nodes[node].life;
        let peer = message.to;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            self.coverage.snapshots_sent += 1;
            let has_arrived = !arrivals.is_empty();
            let delay = self.rng.within(2000, 20_000);
            let report = Event::SnapshotSent {
                node,
                life,
                group,
                peer,
                has_arrived,
            };
            self.after(delay, report);
        } else if arrivals.is_empty() && self.rng.per_mille(200) {
            self.after(
                1000,
                Event::Unreachable {
                    node,
                    life,
                    group,
                    peer,
                },
            );
        }
        let Some((last, others)) = arrivals.split_last() else {
            return;
        };
        for at in others {
            self.at(*at, Event::Deliver(group, message.clone()));
        }
        self.at(*last, Event::Deliver(group, message));
    }

    fn high_watermark(&mut self, node: usize, group: usize, offset: i64) {
        let hosted = self.nodes[node].hosted.get_mut(&group);
        let hosted = hosted.expect("only hosted replicas order");
        assert!(
            offset >= hosted.high_watermark,
            "the high watermark never falls"
        );
        hosted.high_watermark = offset;
    }

    fn check_commit(&mut self, node: usize, group: usize) {
        let node_state = &mut self.nodes[node];
        let Some(hosted) = node_state.hosted.get_mut(&group) else {
            return;
        };
        let rows = &node_state.disk.rows[&group];
        assert_eq!(
            rows.last_index(),
            hosted.replica.group().stored_last_index(),
            "what Raft accepted was written"
        );
        let committed = hosted.replica.group().committed();
        if committed == hosted.seen_commit {
            return;
        }
        let truth = &mut self.truths[group];
        let term = hosted.replica.group().term();
        let mut new = Vec::new();
        for index in hosted.seen_commit + 1..=committed {
            let Some(entry) = rows.entry(index) else {
                assert!(
                    index <= rows.trim.index && index <= truth.committed(),
                    "replica {} knows entry {index} to be committed and does not have it",
                    hosted.id
                );
                continue;
            };
            if truth.commits(entry, term) {
                new.push((index, entry.term));
            }
        }
        hosted.seen_commit = committed;
        if let Machine::State(state) = &mut hosted.replica {
            let news = std::mem::take(&mut state.news);
            news.into_iter()
                .for_each(|(index, state)| truth.applied(index, state));
        }
        assert_eq!(
            hosted.replica.log().map_or(0, Log::high_watermark),
            truth.end_offset(committed),
            "offsets are the same everywhere: replica {} at entry {committed}",
            hosted.id
        );
        self.trace
            .tell(|| format!("{} commits {committed}", node + 1));
        self.check_durable(node, group, &new);
    }

    /// What becomes committed is on the disks of a majority, in the eyes of the disks.
    fn check_durable(&mut self, node: usize, group: usize, new: &[(u64, u64)]) {
        for &(index, term) in new {
            self.coverage.commits += 1;
            self.trace.step("commit", [group as u64, index, term, 0]);
            let holds = |replica: u64| {
                let disk = &self.nodes[slot(replica)].disk;
                disk.holds(group, replica, index, term)
            };
            // A change that is committed in the same moment is in effect for what follows.
            let hosted = &self.nodes[node].hosted[&group];
            let mut members = hosted.members_before.iter().chain([&hosted.members]);
            assert!(
                members.any(|members| members.is_majority(holds)),
                "acknowledged is durable: entry {index} is not on the disks of a majority"
            );
        }
        let hosted = self.nodes[node].hosted.get_mut(&group);
        hosted
            .expect("only hosted replicas commit")
            .members_before
            .clear();
    }

    fn answer(&mut self, node: usize, group: usize, ticket: Ticket, answer: Answer) {
        self.trace
            .step("answer", [node as u64, ticket, self.now, 0]);
        if answer == Answer::Done || ticket == OPERATOR {
            return;
        }
        let leader = match answer {
            Answer::Appended { base_offset } => {
                let name = self.clients.name(ticket);
                self.truths[group].acknowledged(name, base_offset);
                self.check_held(group, ticket, base_offset);
                None
            }
            Answer::NotLeader(leadership) if leadership.leader != 0 => {
                Some(slot(leadership.leader))
            }
            _ => None,
        };
        self.trace
            .tell(|| format!("{} answers {ticket}: {}", node + 1, in_words(answer)));
        if !self.rng.per_mille(self.plan.client_loss) {
            let delay = self.rng.within(300, 3000);
            self.after(delay, Event::Reply(ticket, answer, leader));
        }
    }

    fn read_confirmed(&mut self, node: usize, group: usize, round: u64, index: u64) {
        let hosted = self.nodes[node].hosted.get_mut(&group);
        let hosted = hosted.expect("only hosted replicas order");
        while let Some((_, floor)) = hosted.reads.pop_front_if(|(asked, _)| *asked <= round) {
            self.coverage.reads_confirmed += 1;
            assert!(index >= floor, "a read sees what was committed before it");
        }
        self.trace
            .tell(|| format!("{} may read as of {index}", node + 1));
    }

    /// As many replicas hold it as the client asked for, in the eyes of their disks.
    fn check_held(&self, group: usize, ticket: Ticket, base_offset: i64) {
        let Some(least) = self.clients.least_replicas(ticket) else {
            return;
        };
        let truth = &self.truths[group];
        let Some((index, term)) = truth.place_of(base_offset) else {
            return;
        };
        // Whoever was a member when it was written may have gone since then.
        if truth.members.0 > index {
            return;
        }
        let holds = |node: &&crate::world::Node| {
            let hosted = node.hosted.get(&group).map_or(0, |hosted| hosted.id);
            node.disk.holds(group, hosted, index, term)
        };
        let known = self
            .nodes
            .iter()
            .filter(|node| node.hosted.contains_key(&group));
        let down = self.nodes.len() - known.clone().count();
        assert!(
            known.filter(holds).count() + down >= least,
            "acknowledged is held by as many as asked for: entry {index}"
        );
    }

    fn evict(&mut self, node: usize, group: usize) {
        if let Some(hosted) = self.nodes[node].hosted.get_mut(&group) {
            let committed = hosted.replica.group().committed();
            hosted
                .replica
                .evict(committed.saturating_sub(self.plan.cached_entries));
        }
    }
}

fn describe_members(node: usize, as_of: u64, members: &chronik_core::group::Members) -> String {
    let mut line = format!("{} has voters {:?}", node + 1, members.voters);
    if members.is_joint() {
        line += &format!(" and {:?}", members.voters_outgoing);
    }
    if !members.learners.is_empty() {
        line += &format!(", learners {:?}", members.learners);
    }
    line + &format!(" as of {as_of}")
}

fn in_words(answer: Answer) -> String {
    match answer {
        Answer::Appended { base_offset } => format!("it is at offset {base_offset}"),
        Answer::Written { base_offset } => format!("it is written at offset {base_offset}"),
        Answer::Done => "it is carried out".to_owned(),
        Answer::NotEnoughReplicas => "too few replicas keep up".to_owned(),
        Answer::Refused(refused) => refused.to_string(),
        Answer::NotLeader(Leadership { leader: 0, .. }) => "nobody leads".to_owned(),
        Answer::NotLeader(leadership) => {
            format!(
                "{} leads in term {}",
                slot(leadership.leader) + 1,
                leadership.term
            )
        }
        Answer::Unknown => "its fate is unknown".to_owned(),
    }
}
