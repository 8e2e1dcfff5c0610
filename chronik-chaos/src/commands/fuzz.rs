//! `fuzz`: random schedules until the time is over or a promise is broken.

use std::time::Instant;

use super::Done;
use super::launch::{launch, plan, show, worst};
use crate::cli::{Place, Profile};
use crate::output;
use crate::scenario::{
    Choice, ClusterSpec, Expect, Fault, Parameters, RandomSteps, Scenario, Workload,
};
use crate::seed::{self, Stream};
use crate::span::Span;
use crate::verdict::Outcome;

/// Faults of one schedule come within this; many short schedules find more than a long one.
const SCHEDULE: Span = Span::from_ms(30_000);

pub(crate) fn fuzz(duration: Span, profile: Profile, nodes: u32, seed: u64, place: &Place) -> Done {
    let start = Instant::now();
    let mut seeds = Stream::new(if seed == 0 { seed::fresh() } else { seed }, "fuzz");
    let mut outcomes = Vec::new();
    while start.elapsed() < duration.0 || outcomes.is_empty() {
        let seed = seeds.next() >> 16;
        let plan = plan(&schedule(seed, profile, nodes), Some(seed), None, place)?;
        let (verdict, run_dir) = launch(&plan, &place.out)?;
        show(&verdict, &run_dir);
        outcomes.push(verdict.outcome);
        if verdict.outcome == Outcome::Safety {
            output::line(format!(
                "a promise is broken; `chronik-chaos shrink {}` looks for the shortest way",
                run_dir.display()
            ));
            break;
        }
        // A clean run is its seed; the folder of thousands of them would fill the disk.
        if verdict.outcome == Outcome::Pass {
            let _ = std::fs::remove_dir_all(&run_dir);
        }
    }
    output::line(format!(
        "{} schedules in {} s",
        outcomes.len(),
        start.elapsed().as_secs()
    ));
    Ok(worst(outcomes))
}

/// A scenario that is made by its seed alone.
fn schedule(seed: u64, profile: Profile, nodes: u32) -> Scenario {
    let mut chance = Stream::new(seed, "profile");
    let mut pick: Vec<Choice> = CHOICES.iter().map(choice).collect();
    if profile == Profile::Swarm {
        // Leaving faults out brings states that all of them together never let happen.
        pick.retain(|_| chance.below(2) == 0);
    }
    if profile == Profile::Liveness {
        pick.retain(|choice| !choice.target.contains("all") && !choice.target.contains("halves"));
    }
    Scenario {
        name: "fuzz".into(),
        summary: String::new(),
        tags: Vec::new(),
        seed,
        duration: SCHEDULE,
        cluster: ClusterSpec {
            nodes,
            partitions: 1 + chance.below(6) as u32,
            rf: nodes.min(3),
            min_isr: if nodes > 1 { 2 } else { 1 },
            ..ClusterSpec::default()
        },
        workload: Workload {
            rate: 50 + chance.below(400) as u32,
            batch: 1 + chance.below(20) as u32,
            idempotent: chance.below(4) > 0,
            producers: 1 + chance.below(2) as u32,
            reread: chance.below(2) as u32,
            group: chance.below(3) as u32,
            ..Workload::default()
        },
        step: Vec::new(),
        random: vec![RandomSteps {
            from: Span::from_ms(2_000),
            every: Span::from_ms(1_500 + chance.below(5_000)),
            pick,
        }],
        expect: Expect::default(),
    }
}

/// Every fault with whom it may hit, how long and how often.
const CHOICES: [(Fault, &str, u64, u32); 18] = [
    (Fault::Kill, "one", 1_000, 4),
    (Fault::Kill, "leader(any)", 500, 4),
    (Fault::Kill, "all", 500, 1),
    (Fault::Stop, "one", 1_000, 2),
    (Fault::Restart, "all", 0, 1),
    (Fault::Pause, "leader(any)", 2_000, 4),
    (Fault::Partition, "isolate(leader(any))", 3_000, 4),
    (Fault::Partition, "halves", 3_000, 2),
    (Fault::Partition, "one_way(leader(any), all)", 3_000, 2),
    (Fault::Partition, "bridge(one)", 3_000, 1),
    (Fault::Partition, "clients(one)", 2_000, 2),
    (Fault::Delay, "everywhere", 3_000, 1),
    (Fault::Loss, "everywhere", 3_000, 1),
    (Fault::Reorder, "everywhere", 3_000, 1),
    (Fault::PowerLoss, "one", 500, 3),
    (Fault::PowerLoss, "all", 500, 2),
    (Fault::DiskFull, "one", 2_000, 1),
    (Fault::Storm, "one", 1_000, 1),
];

fn choice((fault, target, lasts_ms, weight): &(Fault, &str, u64, u32)) -> Choice {
    Choice {
        fault: *fault,
        target: (*target).to_owned(),
        lasts: Span::from_ms(*lasts_ms),
        w: *weight,
        with: Parameters::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_scenarios_and_come_from_their_seed() {
        for seed in 0..20 {
            for profile in [Profile::Safety, Profile::Liveness, Profile::Swarm] {
                let made = schedule(seed, profile, 3);
                let text = made.to_toml();
                assert_eq!(Scenario::parse("fuzz", &text).unwrap(), made);
                assert_eq!(schedule(seed, profile, 3), made);
            }
        }
    }
}
