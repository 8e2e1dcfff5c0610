//! The one report of a suite: every target under every workload, medians over rounds, losses as plain as wins.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chronik_local::contender::Kind;
use chronik_local::kafka;

use super::State;
use super::cells::Cells;
use super::definition::{Suite, Target};
use crate::error::BenchError;
use crate::model::{BenchResult, Latency};
use crate::output;
use crate::report::{Section, Table, comparison};
use crate::stats;
use crate::units::{grouped, latency};

/// Two rounds have no spread to speak of.
const ROUNDS_FOR_AN_INTERVAL: usize = 3;

/// What is compared, and which way is better.
struct Metric {
    name: &'static str,
    is_more_better: bool,
    of: fn(&BenchResult) -> Option<f64>,
}

const METRICS: [Metric; 4] = [
    Metric {
        name: "msg/s",
        is_more_better: true,
        of: |result| Some(result.throughput.headline_per_second),
    },
    Metric {
        name: "p99",
        is_more_better: false,
        of: |result| Some(result.headline_latency()?.1.p99),
    },
    Metric {
        name: "brokers' CPU s/GB",
        is_more_better: false,
        of: |result| Some(sum(result, |broker| broker.cpu_s_per_gb)).filter(|sum| *sum > 0.0),
    },
    Metric {
        name: "brokers' RSS",
        is_more_better: false,
        of: |result| {
            let bytes = sum(result, |broker| Some(broker.resident_max_bytes));
            (bytes > 0.0).then_some(bytes)
        },
    },
];

/// Everything that is said, once for both forms.
struct Words<'a> {
    lead: Vec<String>,
    overview: Table,
    sections: Vec<Section<'a>>,
    doubts: Vec<String>,
}

/// Writes `report.md` and `report.html` and shows the former.
pub(super) fn write(dir: &Path, state: &State, cells: &Cells) -> Result<(), BenchError> {
    let reported = state.suite.reported()?;
    let words = Words {
        lead: lead(state, cells),
        overview: overview(state, cells, &reported),
        sections: reported
            .iter()
            .map(|(name, workload)| Section {
                name,
                command: &workload.arguments,
                table: table(state, cells, name),
                stories: stories(state, cells, name),
            })
            .collect(),
        doubts: doubts(state, cells),
    };
    let markdown = markdown(&state.suite, &words);
    let page = comparison(
        &state.suite.name,
        &words.lead,
        &words.overview,
        &words.sections,
        &words.doubts,
    );
    for (name, text) in [("report.md", &markdown), ("report.html", &page)] {
        let path = dir.join(name);
        fs::write(&path, text).map_err(BenchError::file("write", &path))?;
    }
    output::line(&markdown);
    output::line(&format!("wrote {}", dir.join("report.html").display()));
    Ok(())
}

fn markdown(suite: &Suite, words: &Words<'_>) -> String {
    let mut text = format!("# {}\n\n", suite.name);
    for paragraph in &words.lead {
        let _ = writeln!(text, "{paragraph}\n");
    }
    if !words.overview.is_empty() {
        let _ = writeln!(text, "{}", words.overview.markdown());
    }
    for section in &words.sections {
        let _ = writeln!(
            text,
            "## {}\n\n`{}`\n\n{}",
            section.name,
            section.command,
            section.table.markdown()
        );
    }
    match words.doubts.is_empty() {
        true => text.push_str("No audit was red and no promise was broken.\n"),
        false => text.push_str("## What speaks against runs\n\n"),
    }
    for doubt in &words.doubts {
        let _ = writeln!(text, "- {doubt}");
    }
    text
}

fn doubts(state: &State, cells: &Cells) -> Vec<String> {
    let failures = state.failures.iter();
    let failures = failures.map(|(name, reason)| format!("{name}: could not run: {reason}"));
    cells.doubts().into_iter().chain(failures).collect()
}

fn lead(state: &State, cells: &Cells) -> Vec<String> {
    let mut facts = vec![format!("Started {}", state.started_utc)];
    facts.extend(state.commit.iter().map(|commit| format!("commit {commit}")));
    if let Some(first) = cells.any() {
        let machine = &first.fingerprint;
        facts.push(format!(
            "{}, {} cores, Linux {}",
            machine.cpu, machine.cores, machine.kernel
        ));
        facts.push(format!("librdkafka {}", first.tool.librdkafka));
    }
    let has_kafka = |target: &Target| target.kind == Some(Kind::Kafka);
    if state.suite.targets.iter().any(has_kafka) {
        facts.push(format!("Apache Kafka {}", kafka::VERSION));
    }
    let scale = match state.scale {
        1.0 => String::new(),
        scale => format!(" Windows are scaled by {scale}."),
    };
    vec![
        state.suite.about.clone(),
        format!("{}.{scale}", facts.join("; ")),
        format!(
            "Medians over {} rounds; generator and brokers share the machine if it says so in the audits of the runs. Processor time, memory and disk are of all brokers together, per 10^9 payload bytes.",
            state.rounds
        ),
    ]
}

/// Against the first target with as many nodes, as ratios: what is better and what is worse.
fn overview(
    state: &State,
    cells: &Cells,
    reported: &[(String, &super::definition::Workload)],
) -> Table {
    let [rate, p99, cpu, memory] = METRICS.map(|metric| metric.name);
    let mut table = Table::new(["ratios", "", rate, p99, cpu, memory]);
    for (workload, _) in reported {
        for (target, base) in pairs(&state.suite.targets) {
            let base_results = cells.of(workload, &base.name, state.rounds);
            let results = cells.of(workload, &target.name, state.rounds);
            if base_results.is_empty() || results.is_empty() {
                continue;
            }
            let [rate, p99, cpu, memory] =
                METRICS.map(|metric| metric.ratio(&base_results, &results));
            let who = format!("{} over {}", target.name, base.name);
            table.row([workload.clone(), who, rate, p99, cpu, memory]);
        }
    }
    table
}

/// Each target with what it is measured against.
fn pairs(targets: &[Target]) -> impl Iterator<Item = (&Target, &Target)> {
    targets.iter().filter_map(|target| {
        let base = targets.iter().find(|base| base.nodes == target.nodes)?;
        (base.name != target.name).then_some((target, base))
    })
}

impl Metric {
    fn ratio(&self, base: &[&BenchResult], results: &[&BenchResult]) -> String {
        let values = |results: &[&BenchResult]| -> Vec<f64> {
            results
                .iter()
                .filter_map(|result| (self.of)(result))
                .collect()
        };
        let (base, values) = (values(base), values(results));
        if base.is_empty() || values.is_empty() {
            return "-".to_owned();
        }
        let ratio = stats::ratio_of_medians(&base, &values);
        if !ratio.value.is_finite() {
            return "-".to_owned();
        }
        if base.len().min(values.len()) < ROUNDS_FOR_AN_INTERVAL {
            return format!("{:.2}", ratio.value);
        }
        let word = match (
            ratio.excludes(1.0),
            (ratio.value > 1.0) == self.is_more_better,
        ) {
            (false, _) => "even",
            (true, true) => "better",
            (true, false) => "WORSE",
        };
        format!(
            "{:.2} [{:.2}, {:.2}] {word}",
            ratio.value, ratio.low, ratio.high
        )
    }
}

fn table(state: &State, cells: &Cells, workload: &str) -> Table {
    let mut table = Table::new([
        "target",
        "rounds",
        "msg/s",
        "read msg/s",
        "MB/s",
        "p50",
        "p99",
        "p99.9",
        "max",
        "CPU s/GB",
        "RSS MB",
        "disk MB/s",
        "failed",
    ]);
    for target in &state.suite.targets {
        let results = cells.of(workload, &target.name, state.rounds);
        if results.is_empty() {
            continue;
        }
        let median = |of: &dyn Fn(&BenchResult) -> Option<f64>| {
            let values: Vec<f64> = results.iter().filter_map(|result| of(result)).collect();
            stats::median(&values)
        };
        let timed = |of: fn(&Latency) -> f64| {
            latency(median(&|result| {
                result.headline_latency().map(|(_, found)| of(found))
            }))
        };
        let number = |value: f64| match value.is_finite() && value > 0.0 {
            true => format!("{value:.2}"),
            false => "-".to_owned(),
        };
        let failed: u64 = results.iter().map(|result| result.errors.failed).sum();
        table.row([
            target.name.clone(),
            results.len().to_string(),
            grouped(median(&|result| Some(result.throughput.msgs_per_second))),
            grouped(median(&|result| {
                Some(result.throughput.consumed_msgs_per_second)
            })),
            number(median(&|result| {
                let throughput = &result.throughput;
                Some(
                    throughput
                        .payload_mb_per_second
                        .max(throughput.consumed_mb_per_second),
                )
            })),
            timed(|found| found.p50),
            timed(|found| found.p99),
            timed(|found| found.p999),
            timed(|found| found.max),
            number(median(&|result| {
                Some(sum(result, |broker| broker.cpu_s_per_gb))
            })),
            grouped(median(&|result| {
                Some(sum(result, |broker| Some(broker.resident_max_bytes)) / 1e6)
            })),
            number(median(&|result| {
                Some(sum(result, |broker| broker.disk_written_mb_per_second))
            })),
            failed.to_string(),
        ]);
    }
    table
}

fn stories(state: &State, cells: &Cells, workload: &str) -> Vec<crate::report::Story> {
    let targets = state.suite.targets.iter();
    targets
        .filter_map(|target| cells.middle_story(workload, &target.name, state.rounds))
        .collect()
}

fn sum(result: &BenchResult, of: fn(&crate::model::Resource) -> Option<f64>) -> f64 {
    result.brokers().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rates: [f64; 3]) -> Vec<BenchResult> {
        rates
            .map(|rate| {
                let mut result = BenchResult::default();
                result.throughput.headline_per_second = rate;
                result
            })
            .to_vec()
    }

    #[test]
    fn losses_are_as_plain_as_wins() {
        let (slow, fast) = (
            results([99.0, 100.0, 101.0]),
            results([198.0, 200.0, 202.0]),
        );
        let slow: Vec<&BenchResult> = slow.iter().collect();
        let fast: Vec<&BenchResult> = fast.iter().collect();
        let rate = &METRICS[0];
        assert!(rate.ratio(&slow, &fast).starts_with("2.00 ["));
        assert!(rate.ratio(&slow, &fast).ends_with("better"));
        assert!(rate.ratio(&fast, &slow).ends_with("WORSE"));
        assert!(rate.ratio(&fast, &fast).ends_with("even"));
        assert_eq!(METRICS[1].ratio(&slow, &fast), "-");
        assert_eq!(rate.ratio(&slow[..1], &fast[..1]), "2.00");
    }
}
