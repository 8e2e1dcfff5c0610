//! One seed from its beginning to the point where everything has healed, and many seeds side by side.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use chronik_core::partition::Log;
use chronik_core::throttle::Throttle;

use crate::coverage::Coverage;
use crate::mutants::Mutant;
use crate::nemesis::Plan;
use crate::trace::Trace;
use crate::world::World;

/// Events of a seed before it may heal.
pub(crate) const STEPS: u64 = 20_000;
/// Events within which a cluster without faults must have agreed.
const STEPS_TO_HEAL: u64 = 60_000;

/// A seed that broke something.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) reason: String,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) seeds: u64,
    pub(crate) coverage: Coverage,
    pub(crate) failures: Vec<Failure>,
}

/// Runs one seed; panics are what it found.
pub(crate) fn run(seed: u64, trace: Trace, mutant: Option<Mutant>) -> Result<World, Failure> {
    let mut world = None;
    let ran = quietly(|| {
        let world = world.insert(World::new(Plan::random(seed), trace, mutant));
        (0..STEPS).for_each(|_| world.step());
        world.heal();
    });
    let step = world.as_ref().map_or(0, |world| world.coverage.steps);
    match (ran, world) {
        (Ok(()), Some(world)) => Ok(world),
        (Err(reason), _) => Err(Failure { seed, step, reason }),
        (Ok(()), None) => unreachable!("a run that ended had a world"),
    }
}

/// Runs seeds on two threads until one fails, if `stops` says so, or all are through.
pub(crate) fn run_all(
    seeds: impl Iterator<Item = u64> + Send,
    mutant: Option<Mutant>,
    stops: bool,
) -> Outcome {
    let seeds = Mutex::new(seeds);
    let outcome = Mutex::new(Outcome::default());
    let failed = AtomicU64::new(0);
    let work = || {
        while !(stops && failed.load(Ordering::Relaxed) > 0) {
            let Some(seed) = seeds.lock().expect("no thread panics here").next() else {
                return;
            };
            let ran = run(seed, Trace::default(), mutant);
            let mut outcome = outcome.lock().expect("no thread panics here");
            outcome.seeds += 1;
            match ran {
                Ok(world) => outcome.coverage.add(&world.coverage),
                Err(failure) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    outcome.failures.push(failure);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    outcome.into_inner().expect("no thread panics here")
}

impl World {
    /// Everything is repaired; after a while all replicas must agree and every producer know.
    fn heal(&mut self) {
        self.plan.is_rough = false;
        self.plan.client_loss = 0;
        self.clients.is_closing = true;
        self.network.heal();
        self.network.weather.lost = 0;
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.stalled_until = self.now;
            self.nodes[node].disk.full_until = self.now;
            self.nodes[node].tick_us = self.plan.tick_us;
            self.nodes[node].throttle = Throttle::default();
            self.restart(node);
        }
        for step in 0..STEPS_TO_HEAL {
            self.step();
            if step % 64 == 0 && self.has_healed() {
                self.compare();
                return;
            }
        }
        panic!("a cluster without faults agrees: {}", self.describe());
    }

    fn has_healed(&self) -> bool {
        self.clients.is_settled() && (0..self.plan.groups).all(|group| self.agrees(group))
    }

    fn agrees(&self, group: usize) -> bool {
        if self.leader(group).is_none() {
            return false;
        }
        let members = &self.truths[group].members.1;
        let committed = self.truths[group].committed();
        let is_there = |id: u64| {
            let mut hosted = self.nodes.iter().filter_map(|node| node.hosted.get(&group));
            hosted.any(|hosted| {
                let group = hosted.replica.group();
                hosted.id == id
                    && group.committed() == committed
                    && group.last_index() == committed
                    && group.members() == *members
            })
        };
        let everyone = members.voters.iter().chain(&members.learners);
        !members.is_joint() && everyone.copied().all(is_there)
    }

    /// All replicas made the same log of the same entries.
    fn compare(&self) {
        for group in 0..self.plan.groups {
            let members = &self.truths[group].members.1;
            let logs: Vec<&Log> = self
                .nodes
                .iter()
                .filter_map(|node| node.hosted.get(&group))
                .filter(|hosted| members.contains(hosted.id))
                .filter_map(|hosted| hosted.replica.log())
                .collect();
            for log in &logs {
                assert_eq!(
                    log.end_offset(),
                    logs[0].end_offset(),
                    "logs end alike: {}",
                    self.describe()
                );
                assert_eq!(
                    log.producers(),
                    logs[0].producers(),
                    "all replicas know the same of producers"
                );
                let truth = &self.truths[group];
                assert_eq!(log.kept(), truth.kept.as_ref(), "all keep the same state");
                assert!(
                    log.start_offset() >= truth.start_offset,
                    "what is gone by order is gone everywhere"
                );
            }
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("settled {}", self.clients.is_settled());
        for group in 0..self.plan.groups {
            text += &format!(
                "\ngroup {group}: committed {}",
                self.truths[group].committed()
            );
            for (number, node) in self.nodes.iter().enumerate() {
                let Some(hosted) = node.hosted.get(&group) else {
                    continue;
                };
                let state = hosted.replica.group();
                text += &format!(
                    "\n  node {number} replica {} {:?} committed {} last {} trim {:?} members {:?} peers {:?}",
                    hosted.id,
                    state.leadership(),
                    state.committed(),
                    state.last_index(),
                    state.trim(),
                    state.members(),
                    state.peers(),
                );
            }
        }
        text
    }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: Cell<String> = const { Cell::new(String::new()) };
}

/// Runs something whose panics are results and not noise.
fn quietly(act: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match IS_QUIET.get() {
            true => PLACE.set(
                info.location()
                    .map_or_else(String::new, ToString::to_string),
            ),
            false => loud(info),
        }));
    });
    IS_QUIET.set(true);
    let ran = catch_unwind(AssertUnwindSafe(act));
    IS_QUIET.set(false);
    ran.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic without words".to_owned());
        format!("{text} ({})", PLACE.take())
    })
}
