//! Mode `backlog`: writes a backlog, drains it with producers off, then drains it again with producers on.

use std::time::Duration;

use crate::cli::{LoadArguments, Mode, OutputArguments, RunArguments};
use crate::commands::run::{publish, run_plan};
use crate::error::BenchError;
use crate::exit::Exit;
use crate::plan::{Plan, Warmup};
use crate::signals::Signals;

/// Messages outstanding while the backlog is written: its speed is not what is measured.
const FILL_CONCURRENCY: u32 = 10_000;

pub(crate) fn run(arguments: &RunArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let load = &arguments.load;
    let stages = [
        ("fill", fill(load)?),
        ("drain", drain(load)?),
        ("drain-under-load", drain_under_load(load)?),
    ];
    let mut exit = Exit::Pass;
    for (stage, plan) in stages {
        let output = OutputArguments {
            name: format!("{}-{stage}", arguments.output.name),
            ..arguments.output.clone()
        };
        let done = run_plan(&plan, &output, None, signals)?;
        publish(&done.result, &output)?;
        let verdict = done.result.verdict.exit.unwrap_or(Exit::Pass);
        exit = exit.worst(verdict);
        if verdict == Exit::Interrupted {
            break;
        }
    }
    Ok(exit)
}

fn fill(load: &LoadArguments) -> Result<Plan, BenchError> {
    let mut plan = Plan::of(&LoadArguments {
        mode: Mode::Produce,
        rate: None,
        rate_profile: None,
        concurrency: FILL_CONCURRENCY,
        linger_ms: load.linger_ms.or(Some(5.0)),
        ..load.clone()
    })?;
    plan.messages = Some((plan.backlog_bytes as f64 / plan.size.mean_bytes()).ceil() as u64);
    plan.warmup = Warmup::Fixed(Duration::ZERO);
    Ok(plan)
}

fn drain(load: &LoadArguments) -> Result<Plan, BenchError> {
    let mut plan = Plan::of(&LoadArguments {
        mode: Mode::Consume,
        messages: None,
        ..load.clone()
    })?;
    plan.warmup = Warmup::Fixed(Duration::ZERO);
    Ok(plan)
}

/// Readers start at the beginning again while producers keep their rate.
fn drain_under_load(load: &LoadArguments) -> Result<Plan, BenchError> {
    let mut plan = Plan::of(&LoadArguments {
        mode: Mode::Mixed,
        messages: None,
        ..load.clone()
    })?;
    plan.warmup = Warmup::Fixed(Duration::ZERO);
    Ok(plan)
}
