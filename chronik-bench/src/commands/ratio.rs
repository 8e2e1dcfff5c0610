//! `ratio`: a cluster against a single node, run by run in turn, with an interval on the ratio.

use crate::cli::{LoadArguments, OutputArguments, RatioArguments};
use crate::commands::run::{publish, run_once};
use crate::compare::RUNS_MIN;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::signals::Signals;
use crate::stats;
use crate::units::grouped;

pub(crate) fn run(arguments: &RatioArguments, signals: &Signals) -> Result<Exit, BenchError> {
    let mut clusters = Vec::new();
    let mut singles = Vec::new();
    for round in 0..arguments.repeat.max(1) {
        // Machines drift, so the two take turns, also at going first.
        let sides = match round % 2 {
            0 => [("cluster", true), ("standalone", false)],
            _ => [("standalone", false), ("cluster", true)],
        };
        for (side, is_cluster) in sides {
            let result = run_side(arguments, side, is_cluster, signals)?;
            if result.is_interrupted() {
                return Ok(Exit::Interrupted);
            }
            match is_cluster {
                true => clusters.push(result),
                false => singles.push(result),
            }
        }
    }
    Ok(judge(arguments, &clusters, &singles))
}

fn run_side(
    arguments: &RatioArguments,
    side: &str,
    is_cluster: bool,
    signals: &Signals,
) -> Result<BenchResult, BenchError> {
    let bootstrap = match is_cluster {
        true => &arguments.load.bootstrap_servers,
        false => &arguments.standalone,
    };
    let load = LoadArguments {
        bootstrap_servers: bootstrap.clone(),
        ..arguments.load.clone()
    };
    let output = OutputArguments {
        name: format!("{}-{side}", arguments.output.name),
        ..arguments.output.clone()
    };
    let done = run_once(&load, &output, signals)?;
    publish(&done.result, &output)?;
    Ok(done.result)
}

fn judge(arguments: &RatioArguments, clusters: &[BenchResult], singles: &[BenchResult]) -> Exit {
    let rates = |results: &[BenchResult]| -> Vec<f64> {
        let rates = results.iter();
        rates
            .map(|result| result.throughput.headline_per_second)
            .collect()
    };
    let (cluster, single) = (rates(clusters), rates(singles));
    let ratio = stats::ratio_of_medians(&single, &cluster);
    let replicas = clusters.first().map_or(1.0, |result| {
        f64::from(result.target.replication_factor.max(1))
    });
    output::line(&format!(
        "cluster {} msg/s, standalone {} msg/s (medians of {} runs each)",
        grouped(stats::median(&cluster)),
        grouped(stats::median(&single)),
        cluster.len()
    ));
    output::line(&format!(
        "  plain ratio            {:.3} [{:.3}, {:.3}]",
        ratio.value, ratio.low, ratio.high
    ));
    output::line(&format!(
        "  per replica byte (x{replicas}) {:.3} [{:.3}, {:.3}]",
        ratio.value * replicas,
        ratio.low * replicas,
        ratio.high * replicas
    ));
    let is_shared = clusters
        .iter()
        .chain(singles)
        .any(|result| result.fingerprint.co_located);
    if is_shared {
        output::line(
            "  not gated: on one shared host the plain ratio shows RF times the work on the same cores",
        );
        return Exit::Inconclusive;
    }
    if cluster.len() < RUNS_MIN {
        output::line(&format!("  not gated: fewer than {RUNS_MIN} runs"));
        return Exit::Inconclusive;
    }
    match (ratio.value >= arguments.min, ratio.high < arguments.min) {
        (true, _) => Exit::Pass,
        (false, true) => Exit::Fail,
        (false, false) => Exit::Inconclusive,
    }
}
