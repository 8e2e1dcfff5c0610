//! `fuzz`: random schedules until the time is over or a promise is broken.

use super::Done;
use super::campaign::Campaign;
use super::launch::{plan, show, worst};
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
/// Two nodes of three get along within this without the third.
const GAP_MAX: Span = Span::from_ms(15_000);

pub(crate) fn fuzz(duration: Span, profile: Profile, nodes: u32, seed: u64, place: &Place) -> Done {
    let name = format!("fuzz-{profile:?}-{nodes}-nodes").to_lowercase();
    let campaign = Campaign::open(&name, place)?;
    let first = campaign.keep("seed", || Ok(if seed == 0 { seed::fresh() } else { seed }))?;
    let mut seeds = Stream::new(first, "fuzz");
    let (mut all, mut took_ms) = (Vec::new(), 0);
    while u128::from(took_ms) < duration.0.as_millis() || all.is_empty() {
        let seed = seeds.next() >> 16;
        let ended = campaign.run(&format!("schedule-{}", all.len() + 1), || {
            plan(&schedule(seed, profile, nodes), Some(seed), None, place)
        })?;
        show(&ended.verdict, &ended.run_dir);
        let outcome = ended.verdict.outcome;
        // A clean run is its seed; the folder of thousands of them would fill the disk.
        if outcome == Outcome::Pass {
            let _ = std::fs::remove_dir_all(&ended.run_dir);
        }
        took_ms += ended.took_ms;
        all.push(ended);
        if outcome == Outcome::Safety {
            output::line(
                "a promise is broken; `chronik-chaos shrink RUN` looks for the shortest way",
            );
            break;
        }
    }
    campaign.conclude(&all);
    Ok(worst(all.iter().map(|ended| ended.verdict.outcome)))
}

/// A scenario that is made by its seed alone.
fn schedule(seed: u64, profile: Profile, nodes: u32) -> Scenario {
    let mut chance = Stream::new(seed, "profile");
    let mut pick: Vec<Choice> = CHOICES.iter().map(choice).collect();
    if profile == Profile::Swarm {
        // Leaving faults out brings states that all of them together never let happen.
        pick.retain(|_| chance.below(2) == 0);
    }
    let mut expect = Expect::default();
    if profile == Profile::Liveness {
        let victim = 1 + chance.below(u64::from(nodes));
        pick.iter_mut()
            .for_each(|choice| forever_on(choice, victim));
        expect.gap_max = Some(GAP_MAX);
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
        expect,
    }
}

/// The same fault for one node that never recovers: healing would hide that the others do not get along without it.
fn forever_on(choice: &mut Choice, victim: u64) {
    choice.target = match choice.fault.is_between_hosts() {
        true => format!("isolate(n{victim})"),
        false => format!("n{victim}"),
    };
    choice.lasts = SCHEDULE;
}

/// Every fault but three with whom it may hit, how long and how often.
///
/// Clocks need a special build, draining needs more nodes than replicas. Bits that flip in the newest frame look like a
/// frame that was never finished, so what only this node and one that is away held may be gone: no fault for chance.
const CHOICES: [(Fault, &str, u64, u32); 26] = [
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
    (Fault::Duplicate, "everywhere", 3_000, 1),
    (Fault::Bandwidth, "clients(one)", 3_000, 1),
    (Fault::SlowDisk, "one", 3_000, 1),
    (Fault::DeadDisk, "one", 2_000, 1),
    (Fault::Cpu, "one", 3_000, 1),
    (Fault::Memory, "one", 2_000, 1),
    (Fault::Files, "one", 2_000, 1),
    (Fault::Churn, "one", 3_000, 1),
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
