//! Runs the deterministic simulator of the core over many seeds.

use clap::Args;

use crate::{Outcome, step};

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to try
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Plant each known fault in turn, and require that a seed catches it
    #[arg(long)]
    mutants: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut simulator = step::cargo(&["test", "-p", "chronik-core", "--profile", "simulation"]);
    simulator
        .args(["--test", "simulator", "--"])
        .env("CHRONIK_SIM_SEEDS", options.seeds.to_string())
        .env("CHRONIK_SIM_FROM", options.from.to_string());
    if options.mutants {
        simulator.args(["every_planted_fault_is_noticed", "--ignored"]);
    } else {
        simulator.arg("every_seed_keeps_every_promise");
    }
    step::run("simulator", simulator.arg("--nocapture"))
}
