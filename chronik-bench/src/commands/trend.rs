//! `trend`: change points in a history of results, for the creep that no single comparison sees.

use crate::cli::TrendArguments;
use crate::commands::compare::result_dirs;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::model::BenchResult;
use crate::output;
use crate::stats;
use crate::store::read_result;
use crate::units::grouped;

pub(crate) fn run(arguments: &TrendArguments) -> Result<Exit, BenchError> {
    let mut results: Vec<BenchResult> = result_dirs(&arguments.dir)?
        .iter()
        .map(|dir| read_result(dir))
        .collect::<Result<_, _>>()?;
    results.retain(|result| {
        result.audit.red().next().is_none()
            && arguments
                .name
                .as_ref()
                .is_none_or(|name| *name == result.name)
    });
    if results.is_empty() {
        return Err(BenchError::NoResults(arguments.dir.clone()));
    }
    results.sort_by(|one, other| one.time.started_utc.cmp(&other.time.started_utc));
    let throughput: Vec<f64> = results
        .iter()
        .map(|result| result.throughput.headline_per_second)
        .collect();
    let p99: Vec<f64> = results
        .iter()
        .map(|result| {
            result
                .headline_latency()
                .map_or(0.0, |(_, found)| found.p99)
        })
        .collect();
    let got_slower = tell("throughput, msg/s", &results, &throughput, |ratio| {
        ratio < 1.0
    });
    let got_later = tell("p99, us", &results, &p99, |ratio| ratio > 1.0);
    Ok(match got_slower || got_later {
        true => Exit::Fail,
        false => Exit::Pass,
    })
}

/// Prints the regimes; returns whether the latest change is for the worse.
fn tell(metric: &str, results: &[BenchResult], values: &[f64], is_worse: fn(f64) -> bool) -> bool {
    let points = stats::change_points(values);
    output::line(&format!(
        "{metric}: {} results, {} change points",
        values.len(),
        points.len()
    ));
    let mut bounds = vec![0];
    bounds.extend(&points);
    bounds.push(values.len());
    let mut before: Option<f64> = None;
    let mut latest = false;
    for pair in bounds.windows(2) {
        let level = stats::median(&values[pair[0]..pair[1]]);
        let change = before.map_or_else(String::new, |before| {
            format!("  ({:+.1} %)", (level / before - 1.0) * 100.0)
        });
        output::line(&format!(
            "  from {}: median {} over {} results{change}",
            results[pair[0]].time.started_utc,
            grouped(level),
            pair[1] - pair[0],
        ));
        latest = before.is_some_and(|before| is_worse(level / before));
        before = Some(level);
    }
    latest
}
