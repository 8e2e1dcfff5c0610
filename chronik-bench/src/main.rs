//! Measures a Kafka-compatible cluster under honest load: parse, dispatch, exit code.

mod audit;
mod calibration;
mod cli;
mod client;
mod clock;
mod collect;
mod commands;
mod compare;
mod error;
mod exit;
mod fingerprint;
mod import;
mod leak;
mod load;
mod merge;
mod model;
mod native;
mod output;
mod pacer;
mod plan;
mod recorder;
mod report;
mod sampling;
mod signals;
mod slo;
mod statistics;
mod stats;
mod store;
mod summary;
mod topic;
mod units;
mod window;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::signals::Signals;

fn main() -> ExitCode {
    let exit = dispatch(&Cli::parse()).unwrap_or_else(|failed| {
        output::error(&failed);
        failed.exit()
    });
    ExitCode::from(exit.code())
}

fn dispatch(cli: &Cli) -> Result<Exit, BenchError> {
    let signals = Signals::install()
        .map_err(|problem| BenchError::CouldNotRun(format!("no signal handlers: {problem}")))?;
    match &cli.verb {
        None => commands::run::run(&cli.run, &signals),
        Some(Verb::Run(arguments)) => commands::run::run(arguments, &signals),
        Some(Verb::Schema) => commands::schema::run(),
        Some(Verb::FindMax(arguments)) => commands::find_max::run(arguments, &signals),
        Some(Verb::Soak(arguments)) => commands::soak::run(arguments, &signals),
        Some(Verb::Suite(arguments)) => commands::suite::run(arguments, &signals),
        Some(Verb::Ratio(arguments)) => commands::ratio::run(arguments, &signals),
        Some(Verb::Baseline(arguments)) => commands::baseline::run(arguments),
        Some(Verb::Trend(arguments)) => commands::trend::run(arguments),
        Some(Verb::Calibrate(arguments)) => commands::calibrate::run(arguments, &signals),
        Some(Verb::Doctor(arguments)) => commands::doctor::run(arguments),
        Some(Verb::Compare(arguments)) => commands::compare::run(arguments),
        Some(Verb::Merge(arguments)) => commands::merge::run(arguments),
        Some(Verb::Report(arguments)) => commands::report::run(arguments),
        Some(Verb::Verify(arguments)) => commands::verify::run(arguments),
    }
}
