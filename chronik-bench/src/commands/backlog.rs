//! Mode `backlog`: writes a backlog, drains it with producers off, then drains it again with producers on.

use std::time::Duration;

use crate::cli::{LoadArguments, Mode};
use crate::commands::run::Part;
use crate::error::BenchError;
use crate::plan::{Plan, Warmup};

/// Messages outstanding while the backlog is written: its speed is not what is measured.
const FILL_CONCURRENCY: u32 = 10_000;

pub(super) fn parts(load: &LoadArguments) -> Result<Vec<Part>, BenchError> {
    let part = |name, plan| Part {
        name: Some(name),
        plan,
    };
    Ok(vec![
        part("fill", fill(load)?),
        part("drain", drain(load)?),
        part("drain-under-load", drain_under_load(load)?),
    ])
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
