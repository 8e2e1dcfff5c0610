//! What a seed decides: how the cluster is built, what goes wrong, and what its operator does meanwhile.

use chronik_core::group::{Change, Members};
use chronik_core::partition::{Acks, Control};

use crate::clients::Ticket;

use crate::disk::Crash;
use crate::machine::{Machine, STATE_GROUP};
use crate::network::Weather;
use crate::rng::Rng;
use crate::world::{Event, World, slot};

/// Nobody waits for what operators order.
pub(crate) const OPERATOR: Ticket = 0;

/// The choices of a run that do not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) voters: usize,
    pub(crate) groups: usize,
    pub(crate) tick_us: u64,
    pub(crate) sync_us: (u64, u64),
    pub(crate) weather: Weather,
    pub(crate) frames_per_segment: usize,
    /// Entries behind the commit index that stay in memory.
    pub(crate) cached_entries: u64,
    pub(crate) client_us: (u64, u64),
    pub(crate) client_loss: u64,
    /// Replicas that must hold a batch before its client is told.
    pub(crate) least_replicas: usize,
    pub(crate) nemesis_us: (u64, u64),
    /// Things go wrong and operators are busy.
    pub(crate) is_rough: bool,
    /// Operators make learners wait, too.
    pub(crate) is_paced: bool,
}

impl Plan {
    /// Every seed is another cluster in another weather.
    pub(crate) fn random(seed: u64) -> Plan {
        let mut rng = Rng::new(seed.wrapping_mul(0x517c_c1b7_2722_0a95));
        let weathers = [
            (0, 0, 0, 300, 2_000),
            (10, 5, 5, 300, 4_000),
            (50, 20, 20, 500, 8_000),
            (5, 50, 100, 200, 20_000),
        ];
        let (lost, duplicated, overtaken, least_delay_us, most_delay_us) =
            *rng.pick(&weathers).expect("there are weathers");
        Plan {
            seed,
            nodes: 5,
            voters: *rng.pick(&[1, 3, 3, 3, 3, 5]).expect("there are sizes"),
            groups: 3,
            tick_us: 10_000,
            sync_us: *rng
                .pick(&[(100, 500), (500, 5_000), (3_000, 20_000)])
                .expect("there are disks"),
            weather: Weather {
                lost,
                duplicated,
                overtaken,
                least_delay_us,
                most_delay_us,
            },
            frames_per_segment: rng.within(1, 12) as usize,
            cached_entries: *rng.pick(&[0, 2, 10, 1000]).expect("there are caches"),
            client_us: *rng
                .pick(&[(3_000, 20_000), (10_000, 60_000)])
                .expect("there are clients"),
            client_loss: *rng.pick(&[0, 20, 100]).expect("there are losses"),
            least_replicas: 1 + (seed % 3) as usize,
            nemesis_us: *rng
                .pick(&[(20_000, 200_000), (100_000, 600_000)])
                .expect("there are paces"),
            is_rough: true,
            is_paced: seed % 2 == 1,
        }
    }

    /// A cluster in which nothing happens by itself but time.
    pub(crate) fn quiet(nodes: usize, voters: usize) -> Plan {
        Plan {
            seed: 0,
            nodes,
            voters,
            groups: 1,
            tick_us: 10_000,
            sync_us: (500, 500),
            weather: Weather {
                least_delay_us: 1000,
                most_delay_us: 1000,
                ..Weather::default()
            },
            frames_per_segment: 4,
            cached_entries: 2,
            client_us: (10_000, 10_000),
            client_loss: 0,
            least_replicas: 1,
            nemesis_us: (1, 1),
            is_rough: false,
            is_paced: false,
        }
    }
}

impl World {
    pub(crate) fn invite_clients(&mut self) {
        if !self.plan.is_rough {
            return;
        }
        let all = Acks::All {
            least_replicas: self.plan.least_replicas,
        };
        for in_flight in [5, 3, 1] {
            self.clients.add(0, true, in_flight, all);
        }
        self.clients.add(0, false, 1, all);
        self.clients.add(0, false, 1, Acks::Leader);
        for group in 1..self.plan.groups {
            // Nearly idle: its newest vote grows old on disk.
            self.clients.add(group, group != STATE_GROUP, 1, all);
        }
        for client in 0..self.clients.all.len() {
            let first = self.rng.within(1000, 100_000);
            self.after(first, Event::Client(client));
        }
    }

    /// Something goes wrong.
    pub(crate) fn nemesis(&mut self) {
        if !self.plan.is_rough {
            return;
        }
        let (low, high) = self.plan.nemesis_us;
        let pause = self.rng.within(low, high);
        self.after(pause, Event::Nemesis);
        let nodes = self.nodes.len();
        let victim = self.victim();
        let kind = self.rng.below(15);
        self.trace
            .step("nemesis", [kind, victim as u64, self.now, 0]);
        match kind {
            0 | 1 => self.crash_for_a_while(victim, Crash::Kill),
            2 | 3 => self.crash_for_a_while(victim, Crash::PowerCut),
            4 => self.split(),
            5 => {
                let other = (victim + self.rng.within(1, nodes as u64 - 1) as usize) % nodes;
                self.coverage.one_way_cuts += 1;
                self.network.cut(victim, other);
            }
            6 => {
                self.coverage.cuts += 1;
                for other in (0..nodes).filter(|other| *other != victim) {
                    self.network.cut(victim, other);
                    self.network.cut(other, victim);
                }
            }
            7..=9 => {
                self.network.heal();
                self.network.weather = self.plan.weather;
            }
            10 => {
                self.coverage.disk_stalls += 1;
                let until = self.now + self.rng.within(10_000, 600_000);
                self.nodes[victim].disk.stalled_until = until;
            }
            11 => {
                self.coverage.disks_full += 1;
                let until = self.now + self.rng.within(10_000, 300_000);
                self.nodes[victim].disk.full_until = until;
            }
            12 => {
                self.coverage.clock_drifts += 1;
                self.nodes[victim].tick_us = self.rng.within(6_000, 16_000);
            }
            13 => {
                self.network.weather.lost = 300;
                self.network.weather.duplicated = 100;
            }
            _ => {
                // All at once, as after a power cut of the room.
                for node in 0..nodes {
                    if self.rng.below(3) > 0 {
                        self.crash_for_a_while(node, Crash::PowerCut);
                    }
                }
            }
        }
    }

    /// A snapshot replaces a log: a good moment for a crash.
    pub(crate) fn tempt(&mut self, node: usize) {
        if self.plan.is_rough && self.rng.below(6) == 0 {
            let how = match self.rng.below(2) {
                0 => Crash::Kill,
                _ => Crash::PowerCut,
            };
            let delay = self.rng.within(0, 30_000);
            self.after(delay, Event::Crash(node, how));
        }
    }

    /// What operators, retention and the node's own watchers do.
    pub(crate) fn operate(&mut self) {
        if !self.plan.is_rough {
            return;
        }
        let pause = self.rng.within(2_000, 40_000);
        self.after(pause, Event::Operator);
        let group = match self.rng.below(4) {
            0 => self.rng.below(self.plan.groups as u64) as usize,
            _ => 0,
        };
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let kind = self.rng.below(18);
        self.trace
            .step("operator", [kind, node as u64, self.now, 0]);
        if !self.nodes[node].is_up {
            return;
        }
        match kind {
            0..=2 => self.retain(node, group),
            3..=4 => self.checkpoint(node),
            5..=8 => self.read(node, group),
            9 => self.suspect(node, group),
            10 => {
                self.with_now(node, group, Machine::campaign);
            }
            11 => self.hand_over(group),
            12..=14 => self.change(group),
            15 | 16 => self.shorten(group),
            _ => self.sweep(group),
        }
        if self.plan.is_paced && self.rng.below(4) == 0 {
            self.pace(group);
        }
    }

    /// Another throttle for replicas on the move, a pause, or the end of either.
    fn pace(&mut self, group: usize) {
        let limits = [None, Some(0), Some(200), Some(20_000)];
        let limit = *self.rng.pick(&limits).expect("there are limits");
        let everybody = self.nodes.iter().filter_map(|node| node.hosted.get(&group));
        let everybody: Vec<u64> = everybody.map(|hosted| hosted.id).collect();
        let paced: &[u64] = match limit {
            Some(_) => &everybody,
            None => &[],
        };
        for node in 0..self.nodes.len() {
            let now_ms = self.now / 1000;
            self.nodes[node].throttle.limit(now_ms, limit);
            self.with_now(node, group, |replica| replica.pace(paced));
        }
    }

    /// Retention, or somebody whose state stands for old records.
    fn shorten(&mut self, group: usize) {
        let Some(leader) = self.leader(group) else {
            return;
        };
        let Some(log) = self.nodes[leader].hosted[&group].replica.log() else {
            return;
        };
        let (start, end) = (log.start_offset(), log.high_watermark());
        let offset = self.rng.within(start as u64, end as u64) as i64;
        let control = match self.rng.below(2) {
            0 => Control::Trim { offset },
            _ => Control::Keep {
                offset,
                state: offset.to_be_bytes().to_vec().into(),
            },
        };
        self.with_now(leader, group, |replica| replica.order(OPERATOR, control));
    }

    /// A leader more often than not.
    fn victim(&mut self) -> usize {
        let any = self.rng.below(self.nodes.len() as u64) as usize;
        match self.rng.below(2) {
            0 => self.leader(0).unwrap_or(any),
            _ => any,
        }
    }

    pub(crate) fn crash_for_a_while(&mut self, node: usize, how: Crash) {
        if !self.nodes[node].is_up {
            // The room's power fails while the process is down: what the kernel kept is gone.
            if how == Crash::PowerCut {
                self.crash(node, how);
            }
            return;
        }
        self.crash(node, how);
        let pause = self.rng.within(1_000, 500_000);
        self.after(pause, Event::Restart(node));
    }

    fn split(&mut self) {
        self.coverage.cuts += 1;
        let sides = self.rng.next();
        let nodes = self.nodes.len();
        for (from, to) in (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))) {
            if (sides >> from) & 1 != (sides >> to) & 1 {
                self.network.cut(from, to);
            }
        }
    }

    fn retain(&mut self, node: usize, group: usize) {
        let Some(hosted) = self.nodes[node].hosted.get(&group) else {
            return;
        };
        let newest = hosted.replica.group().trimmable();
        let kept = *self.rng.pick(&[0, 3, 30]).expect("there are choices");
        self.trim(node, group, newest.saturating_sub(kept));
    }

    fn suspect(&mut self, node: usize, group: usize) {
        let Some(hosted) = self.nodes[node].hosted.get(&group) else {
            return;
        };
        let leader = hosted.replica.group().leadership().leader;
        if hosted.replica.group().is_leader() {
            self.abdicate_if_alone(node, group);
            return;
        }
        if leader == 0 || self.nodes[slot(leader)].is_up && self.rng.below(4) > 0 {
            return;
        }
        self.coverage.suspicions += 1;
        self.with_now(node, group, |replica| {
            replica.suspect(leader);
            replica.campaign();
        });
    }

    /// A leader whose node hears no majority gives up; now and then one that is mistaken does.
    fn abdicate_if_alone(&mut self, node: usize, group: usize) {
        let members = self.nodes[node].hosted[&group].replica.group().members();
        let answers = |replica: u64| {
            let other = slot(replica);
            let is_there = other == node || self.nodes[other].is_up;
            is_there && !self.network.is_cut(node, other) && !self.network.is_cut(other, node)
        };
        if members.is_majority(answers) && self.rng.below(8) > 0 {
            return;
        }
        self.coverage.abdications += 1;
        self.with_now(node, group, Machine::abdicate);
    }

    fn hand_over(&mut self, group: usize) {
        let Some(leader) = self.leader(group) else {
            return;
        };
        let members = self.nodes[leader].hosted[&group].replica.group().members();
        let Some(to) = self.rng.pick(&members.voters).copied() else {
            return;
        };
        let begun = self.with_now(leader, group, |replica| replica.transfer(to));
        self.coverage.transfers += u64::from(begun.is_some_and(|begun| begun.is_ok()));
    }

    /// A change of members, as a mover of replicas would make it.
    fn change(&mut self, group: usize) {
        let Some(leader) = self.leader(group) else {
            return;
        };
        let replica = &self.nodes[leader].hosted[&group].replica;
        let members = replica.group().members();
        if members.is_joint() {
            return;
        }
        let committed = replica.group().committed();
        let caught_up = |peer: &&chronik_core::group::Peer| {
            members.learners.contains(&peer.replica) && peer.matched + 5 >= committed
        };
        let ready = replica.group().peers().iter().find(caught_up).copied();
        let voter = self.rng.pick(&members.voters).copied();
        let learner = self.rng.pick(&members.learners).copied();
        let many = members.voters.len() >= 3;
        let changes = match (self.rng.below(8), voter, learner, ready) {
            (0..=1, _, _, Some(ready)) => vec![Change::Voter(ready.replica)],
            (2..=3, Some(voter), _, Some(ready)) => {
                vec![Change::Voter(ready.replica), Change::Remove(voter)]
            }
            (4, Some(voter), _, _) if many => vec![Change::Remove(voter)],
            (5, Some(voter), _, Some(ready)) => {
                vec![Change::Voter(ready.replica), Change::Learner(voter)]
            }
            (6, _, Some(learner), _) => vec![Change::Remove(learner)],
            _ => match self.newcomer(group, &members) {
                Some(newcomer) => vec![Change::Learner(newcomer)],
                None => return,
            },
        };
        self.trace
            .step("change", [group as u64, changes.len() as u64, self.now, 0]);
        self.with_now(leader, group, |replica| replica.change_members(&changes));
    }

    /// A replica that is no member yet; if there is none, one is created for the next time.
    fn newcomer(&mut self, group: usize, members: &Members) -> Option<u64> {
        for node in 0..self.nodes.len() {
            match self.nodes[node].hosted.get(&group) {
                Some(hosted) => {
                    let id = hosted.id;
                    let is_new = !members.contains(id) && !self.truths[group].removed.contains(&id);
                    // A replica is on disk before it is a member.
                    if is_new && self.nodes[node].disk.is_idle() {
                        return Some(id);
                    }
                }
                None if self.nodes[node].is_up => {
                    self.create(node, group, Vec::new());
                    return None;
                }
                None => {}
            }
        }
        None
    }

    /// Destroys replicas that are members no more, once every member knows it for good.
    fn sweep(&mut self, group: usize) {
        let (_, members) = self.truths[group].members.clone();
        let knows = |replica: &u64| {
            let node = &self.nodes[slot(*replica)];
            let hosted = node
                .hosted
                .get(&group)
                .filter(|hosted| hosted.id == *replica);
            let informed = hosted.is_some_and(|hosted| hosted.replica.group().members() == members);
            node.is_up && informed && node.disk.is_idle()
        };
        if members.is_joint() || !members.voters.iter().chain(&members.learners).all(knows) {
            return;
        }
        for node in 0..self.nodes.len() {
            let hosted = self.nodes[node].hosted.get(&group);
            if hosted.is_some_and(|hosted| self.truths[group].removed.contains(&hosted.id)) {
                self.destroy(node, group);
            }
        }
    }
}
