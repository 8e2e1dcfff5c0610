//! The deterministic simulator: clusters of replicas under faults, every step checked, every run given by a seed.
//!
//! `CHRONIK_SIM_SEEDS` says how many seeds a run tries, `CHRONIK_SIM_FROM` where it begins. Many seeds want the
//! profile `simulation`: optimized, with every assertion.

mod clients;
mod coverage;
mod disk;
mod machine;
mod mutants;
mod nemesis;
mod network;
mod obey;
mod rng;
mod run;
mod script;
mod seeds;
mod trace;
mod truth;
mod world;

use mutants::Mutant;
use trace::Trace;

/// Enough to meet every situation, few enough for an unoptimized build.
const SEEDS: u64 = 24;

#[test]
fn every_seed_keeps_every_promise() {
    let from = setting("CHRONIK_SIM_FROM", 1);
    let count = setting("CHRONIK_SIM_SEEDS", SEEDS);
    let outcome = run::run_all(from..from + count, None, false);
    println!("{} seeds\n{}", outcome.seeds, outcome.coverage);
    for failure in &outcome.failures {
        println!(
            "seed {} fails at step {}: {}",
            failure.seed, failure.step, failure.reason
        );
    }
    assert!(
        outcome.failures.is_empty(),
        "{} seeds fail",
        outcome.failures.len()
    );
    assert_eq!(
        outcome.coverage.missing(),
        [""; 0],
        "a situation never occurred"
    );
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [1, 7] {
        let story = || {
            run::run(seed, Trace::verbatim(), None)
                .expect("this seed is sound")
                .trace
        };
        let (first, second) = (story(), story());
        assert_eq!(first.hash(), second.hash());
        assert!(first.text() == second.text() && !first.text().is_empty());
    }
}

/// Each script is one story; its indented lines are what happens.
macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { script::check(include_str!(concat!("scripts/", stringify!($name), ".txt"))); })*
    };
}

stories![
    a_leader_is_elected_and_acknowledges,
    step_down_under_partition,
    an_isolated_leader_acknowledges_nothing,
    a_stalled_disk_acknowledges_nothing,
    a_trimmed_leader_sends_a_snapshot,
    a_replica_moves,
    a_paced_learner_waits,
    a_leader_removes_itself,
    one_way_cut,
    a_leader_that_hears_nobody_abdicates,
    a_leader_that_nobody_hears_abdicates,
    a_leader_whose_links_come_and_go,
];

/// Seeds that once found something.
#[test]
fn pinned_seeds_stay_sound() {
    for (seed, found) in seeds::PINNED {
        if let Err(failure) = run::run(*seed, Trace::default(), None) {
            panic!("seed {seed}, which found \"{found}\", fails again: {failure:?}");
        }
    }
}

/// Each planted fault must be noticed. Without optimization this takes long: `cargo xtask sim --mutants` runs it.
#[test]
#[ignore = "minutes without optimization"]
fn every_planted_fault_is_noticed() {
    let count = setting("CHRONIK_SIM_SEEDS", 2000);
    for mutant in mutants::ALL {
        println!("{}", who_notices(mutant, count));
    }
}

fn who_notices(mutant: Mutant, count: u64) -> String {
    let outcome = run::run_all(1..=count, Some(mutant), true);
    let failure = outcome.failures.first();
    let failure = failure.unwrap_or_else(|| panic!("{mutant:?} survives {count} seeds"));
    let reason = failure.reason.lines().next().unwrap_or_default();
    format!(
        "{mutant:?}: caught by seed {} at step {}, after {} seeds: {reason}",
        failure.seed, failure.step, outcome.seeds
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other way to be told how long to run"
)]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}
