//! Brings faults when they are due, takes them back when they are over, and writes each of them down.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronik_check::history::Action;

use super::until::Until;
use super::{COOL_DOWN, RunFault, Stage, TICK, file};
use crate::history::Journal;
use crate::nemesis::{Active, Victims, World};
use crate::output::{self, Progress as Screen};
use crate::scenario::{Cluster, Cut, Fault, NodeSet};
use crate::schedule::{Edge, Injection, Planned, When, Whom};
use crate::seed::Stream;
use crate::target::TargetFault;
use crate::workload::{Progress, rest};

/// The thread of faults: what is to come, what lasts, what is over.
pub(super) struct Driver<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) journal: &'a Journal,
    pub(super) progress: &'a Progress,
    pub(super) screen: &'a Screen,
    pub(super) path: PathBuf,
    pub(super) planned: Vec<Planned>,
    pub(super) active: Vec<(Injection, Active, Option<u64>)>,
    pub(super) done: Vec<Injection>,
    pub(super) seed: u64,
    pub(super) keeps_going: bool,
}

impl Driver<'_> {
    /// Until the time is over, somebody says so, or a promise is broken.
    pub(super) fn drive(&mut self, until: &Until) -> Result<(), RunFault> {
        let mut is_told = false;
        while !until.is_over(self.journal.clock.elapsed()) && !self.is_decided() {
            self.heal_due()?;
            self.inject_due()?;
            if until.is_held() && !is_told && !self.active.is_empty() {
                output::line("ready");
                is_told = true;
            }
            self.notice_ends()?;
            self.screen.tick(
                self.journal.clock.elapsed(),
                self.progress.acked(),
                self.active.len(),
            );
            rest(TICK);
        }
        Ok(())
    }

    /// A promise is broken, and that is enough.
    fn is_decided(&self) -> bool {
        self.journal.is_broken() && !self.keeps_going
    }

    fn inject_due(&mut self) -> Result<(), RunFault> {
        let now = self.journal.clock.elapsed();
        let due = |planned: &Planned| self.time_of(&planned.when).is_some_and(|time| time <= now);
        let Some(place) = self.planned.iter().position(due) else {
            return Ok(());
        };
        let planned = self.planned.remove(place);
        let victims = self.resolve(&planned);
        let acked_at_start = self.progress.acked();
        let at_ns = self.journal.clock.now_ns();
        let active = self.stage.world.inject(
            planned.fault,
            victims,
            &planned.with,
            planned.lasts.map(|lasts| lasts.0),
        )?;
        // What is acknowledged while a fault is still being brought does not count. These two are over once they are
        // brought.
        let acked_before = match planned.fault {
            Fault::Restart | Fault::CorruptAtRest => acked_at_start,
            _ => self.progress.acked(),
        };
        let injection = Injection {
            id: planned.id,
            fault: planned.fault,
            target: match planned.whom {
                Whom::Expression(text) => text,
                Whom::Resolved { .. } => "as before".into(),
            },
            nodes: active.victims.nodes.clone(),
            links: active.victims.links.clone(),
            at_ns,
            healed_ns: None,
            lasts: planned.lasts,
            with: planned.with,
            proof: None,
            doubt: None,
            may_miss: planned.may_miss,
            acked_before,
            acked_at_heal: None,
        };
        let text = format!(
            "{} {} {}",
            injection.id,
            injection.fault,
            says_whom(&injection)
        );
        self.journal.note("fault_start", &text);
        self.screen.say(&text);
        let ends_ns = injection
            .lasts
            .map(|lasts| self.journal.clock.now_ns() + lasts.ns());
        // A restart is over when it is done; nothing lasts.
        let ends_ns = if injection.fault == Fault::Restart {
            Some(0)
        } else {
            ends_ns
        };
        self.active.push((injection, active, ends_ns));
        self.write(&[])
    }

    /// When a planned fault is due, if that is known yet.
    fn time_of(&self, when: &When) -> Option<Duration> {
        match when {
            When::At(at) => Some(*at),
            When::After { id, edge, plus } => {
                let lasting = self.active.iter().map(|(injection, _, _)| injection);
                let known = lasting
                    .chain(&self.done)
                    .find(|injection| injection.id == *id)?;
                let edge_ns = match edge {
                    Edge::Started => known.at_ns,
                    Edge::Healed => known.healed_ns?,
                };
                Some(Duration::from_nanos(edge_ns) + *plus)
            }
        }
    }

    fn resolve(&mut self, planned: &Planned) -> Victims {
        let text = match &planned.whom {
            Whom::Resolved { nodes, links } => {
                return Victims {
                    nodes: nodes.clone(),
                    links: links.clone(),
                };
            }
            Whom::Expression(text) => text,
        };
        // Asking takes time where nobody answers, so only those ask who need to know.
        let cluster_for = |is_fixed: bool| match is_fixed {
            true => Cluster {
                nodes: self.stage.nodes(),
                ..Cluster::default()
            },
            false => self.stage.at_clients(Stage::view),
        };
        let mut chance = Stream::new(self.seed, &format!("target {}", planned.id));
        if planned.fault.is_between_hosts() {
            let cut: Cut = text
                .parse()
                .expect("targets were checked when the scenario was read");
            let cluster = cluster_for(cut.is_fixed());
            let links = World::cut_links(&cut, &cluster, &mut chance);
            let nodes = links.iter().map(|(from, _)| *from).filter(|host| *host > 0);
            let mut nodes: Vec<u32> = nodes.collect();
            nodes.dedup();
            return Victims {
                nodes,
                links: links.into_iter().collect(),
            };
        }
        let set: NodeSet = text
            .parse()
            .expect("targets were checked when the scenario was read");
        let cluster = cluster_for(set.is_fixed());
        Victims {
            nodes: set.resolve(&cluster, &mut chance).into_iter().collect(),
            links: Vec::new(),
        }
    }

    fn heal_due(&mut self) -> Result<(), RunFault> {
        let now_ns = self.journal.clock.now_ns();
        let is_due = |ends_ns: &Option<u64>| ends_ns.is_some_and(|end| end <= now_ns);
        while let Some(place) = self
            .active
            .iter()
            .position(|(_, _, ends_ns)| is_due(ends_ns))
        {
            self.heal(place)?;
        }
        Ok(())
    }

    fn heal(&mut self, place: usize) -> Result<(), RunFault> {
        let (mut injection, active, _) = self.active.remove(place);
        let acked = self.progress.acked();
        match self.stage.world.heal(active)? {
            Ok(proof) => injection.proof = Some(proof),
            Err(doubt) => injection.doubt = Some(doubt),
        }
        injection.acked_at_heal = Some(acked);
        injection.healed_ns = Some(self.journal.clock.now_ns());
        let shown = injection
            .proof
            .as_deref()
            .or(injection.doubt.as_deref())
            .unwrap_or_default();
        let text = format!("{} is healed: {shown}", injection.id);
        self.journal.note("fault_stop", &text);
        self.screen.say(&text);
        self.done.push(injection);
        self.write(&[])
    }

    /// Heals everything, the latest first, and says when the last one was.
    pub(super) fn heal_all(&mut self) -> Result<u64, RunFault> {
        while !self.active.is_empty() {
            self.heal(self.active.len() - 1)?;
        }
        Ok(self.journal.clock.now_ns())
    }

    /// When every partition had acknowledged something that was sent after the heal.
    pub(super) fn await_recovery(
        &mut self,
        healed_ns: u64,
        bound: Duration,
    ) -> Result<Option<u64>, RunFault> {
        let deadline = Instant::now() + bound;
        let mut recovered = None;
        while Instant::now() < deadline && !self.is_decided() {
            self.notice_ends()?;
            if self.progress.all_acked_after(healed_ns) {
                recovered = Some(self.journal.clock.now_ns());
                rest(COOL_DOWN);
                break;
            }
            rest(TICK);
        }
        Ok(recovered)
    }

    /// A node may end under a fault of its disk or memory; at any other time that is a finding.
    fn notice_ends(&mut self) -> Result<(), RunFault> {
        for node in &mut self.stage.world.target.nodes {
            let number = node.number;
            let excuse = self.active.iter().any(|(injection, _, _)| {
                use Fault::{DeadDisk, DiskFull, Memory};
                matches!(injection.fault, DeadDisk | DiskFull | Memory)
                    && injection.nodes.contains(&number)
            });
            if excuse || node.is_held() {
                continue;
            }
            if let Some(status) = node.unexpected_end() {
                let text = format!("node {number} ended by itself with {status}");
                self.journal.note("node_end", &text);
                self.screen.say(&text);
                self.journal.record(
                    0,
                    Action::ProcExit {
                        node: Some(number),
                        expected: false,
                    },
                );
                node.start(self.stage.world.network.as_ref())
                    .map_err(TargetFault::from)?;
            }
        }
        Ok(())
    }

    /// Writes all injections so far; they are few, and a killed run must leave them behind.
    pub(super) fn write(&self, all: &[Injection]) -> Result<(), RunFault> {
        let lasting = self.active.iter().map(|(injection, _, _)| injection);
        let mut known: Vec<&Injection> = self.done.iter().chain(lasting).chain(all).collect();
        known.sort_by_key(|injection| injection.at_ns);
        let lines = known.into_iter().map(|injection| {
            serde_json::to_string(injection).expect("an injection is made of plain values") + "\n"
        });
        fs::write(&self.path, lines.collect::<String>()).map_err(file("write", &self.path))
    }
}

fn says_whom(injection: &Injection) -> String {
    if injection.links.is_empty() {
        let nodes = injection.nodes.iter().map(|node| format!("n{node}"));
        return nodes.collect::<Vec<_>>().join(" ");
    }
    let links = injection
        .links
        .iter()
        .map(|(from, to)| format!("{from}>{to}"));
    links.collect::<Vec<_>>().join(" ")
}
