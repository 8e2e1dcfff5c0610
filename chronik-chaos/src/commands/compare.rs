//! `compare`: the same scenarios on several targets, and one table of what each showed.

use super::Done;
use super::launch::{launch, plan, worst};
use super::run::suite;
use crate::cli::{Place, TargetName};
use crate::output;
use crate::scenario::Scenario;
use crate::verdict::Verdict;

pub(crate) fn compare(
    targets: &[TargetName],
    scenarios: &[String],
    tag: &str,
    place: &Place,
) -> Done {
    let names = if scenarios.is_empty() {
        suite(tag)?
    } else {
        scenarios.to_vec()
    };
    let mut rows = Vec::new();
    let mut outcomes = Vec::new();
    for name in names {
        let scenario = Scenario::find(&name)?;
        let seed = scenario.seed;
        for target in targets {
            let place = Place {
                target: target.clone(),
                ..place.clone()
            };
            let plan = plan(&scenario, Some(seed), None, &place)?;
            let (verdict, _) = launch(&plan, &place.out)?;
            outcomes.push(verdict.outcome);
            rows.push(row(&verdict));
        }
    }
    output::line(
        "| scenario | target | outcome | anomalies | acked batches | longest gap ms | back ms | p99 ms |",
    );
    output::line("|---|---|---|---|---|---|---|---|");
    for row in rows {
        output::line(row);
    }
    Ok(worst(outcomes))
}

fn row(verdict: &Verdict) -> String {
    let anomalies = verdict
        .totals
        .iter()
        .map(|(anomaly, count)| format!("{anomaly} {count}"));
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {:.1} |",
        verdict.scenario,
        verdict.target,
        verdict.outcome.word(),
        anomalies.collect::<Vec<_>>().join(", "),
        verdict.acked_batches,
        verdict.gap_ms,
        verdict
            .recovery_ms
            .map_or("-".to_owned(), |ms| ms.to_string()),
        verdict.latency_p99_ms
    )
}
