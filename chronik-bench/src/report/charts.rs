//! Which charts a report has, and how their lines are told apart.
//!
//! One result: a colour for each line. Several results over each other: a colour for each result, a dash for each kind of
//! line, fewer of them, and the brokers of a cluster added up.

use std::collections::BTreeMap;

use super::Story;
use super::svg::{Chart, Series, short};
use crate::collect::{Row, RowLatency};
use crate::sampling::{GENERATOR, HostRow};
use crate::units;

const SECONDS: &str = "seconds since the start of the load";
/// A count of one second.
type CountOf = fn(&Row) -> u64;
/// A percentile of one second, by its name.
type PercentileOf = fn(&RowLatency) -> f64;
const PERCENTILES: [(&str, PercentileOf); 4] = [
    ("p50", |found| found.p50),
    ("p99", |found| found.p99),
    ("p99.9", |found| found.p999),
    ("max", |found| found.max),
];
/// What is left of them where results lie over each other.
const PERCENTILES_OVERLAID: usize = 2;
const CLUSTER: &str = "brokers";

/// Lines of several results in one chart.
struct Lines<'a> {
    stories: &'a [&'a Story],
    series: Vec<Series>,
}

/// All charts about these results.
pub(super) fn all(stories: &[&Story]) -> Vec<Chart> {
    let mut charts = core(stories);
    charts.push(resource(stories, "Resident memory", "MB", |_, last| {
        Some(last.resident_bytes? / 1e6)
    }));
    charts.push(resource(
        stories,
        "Written to disk",
        "MB/s",
        |first, last| {
            let bytes = last.disk_written_bytes? - first.disk_written_bytes?;
            Some(bytes / (last.at_s - first.at_s) / 1e6)
        },
    ));
    charts
}

/// The four that compare loads: how much, how late each second and over all, at what cost.
pub(super) fn core(stories: &[&Story]) -> Vec<Chart> {
    vec![
        throughput(stories),
        latency(stories),
        percentiles(stories),
        resource(stories, "Processor", "cores", |first, last| {
            let seconds = last.cpu_seconds? - first.cpu_seconds?;
            Some(seconds / (last.at_s - first.at_s))
        }),
    ]
}

impl<'a> Lines<'a> {
    fn new(stories: &'a [&'a Story]) -> Self {
        Self {
            stories,
            series: Vec::new(),
        }
    }

    fn are_overlaid(&self) -> bool {
        self.stories.len() > 1
    }

    /// Adds the line of this kind of one result, unless it is empty.
    fn add(&mut self, story: usize, kind: usize, name: &str, points: Vec<(f64, f64)>) {
        if points.is_empty() {
            return;
        }
        let (name, colour, dash) = match self.are_overlaid() {
            true => (
                format!("{} {name}", self.stories[story].label()),
                story,
                kind,
            ),
            false => (name.to_owned(), kind, 0),
        };
        self.series.push(Series {
            name,
            points,
            colour,
            dash,
        });
    }

    fn over_time(self, title: &str, y_label: &str) -> Chart {
        Chart {
            title: title.to_owned(),
            x_label: SECONDS.to_owned(),
            y_label: y_label.to_owned(),
            is_log_y: false,
            y_text: short,
            x_ticks: Vec::new(),
            highlight: highlight(self.stories),
            series: self.series,
        }
    }
}

fn throughput(stories: &[&Story]) -> Chart {
    let kinds: [(&str, CountOf); 3] = [
        ("acknowledged", |row| row.acked),
        ("consumed", |row| row.consumed),
        ("failed", |row| row.failed),
    ];
    let mut lines = Lines::new(stories);
    for (number, story) in stories.iter().enumerate() {
        for (kind, (name, of)) in kinds.iter().enumerate() {
            if story.rows.iter().all(|row| of(row) == 0) {
                continue;
            }
            let points = story
                .rows
                .iter()
                .map(|row| (middle(row), of(row) as f64))
                .collect();
            lines.add(number, kind, name, points);
        }
    }
    lines.over_time("Throughput", "messages per second")
}

fn latency(stories: &[&Story]) -> Chart {
    let mut lines = Lines::new(stories);
    let shown = match lines.are_overlaid() {
        true => &PERCENTILES[..PERCENTILES_OVERLAID],
        false => &PERCENTILES[..],
    };
    let mut tags = Vec::new();
    for (number, story) in stories.iter().enumerate() {
        let Some(tag) = story.result.latency_us.headline.as_deref() else {
            continue;
        };
        tags.push(tag);
        for (kind, (name, of)) in shown.iter().enumerate() {
            let points = story
                .rows
                .iter()
                .filter_map(|row| Some((middle(row), of(row.latency_us.get(tag)?))))
                .collect();
            lines.add(number, kind, name, points);
        }
    }
    tags.dedup();
    let title = format!("Latency of each second ({})", tags.join(", "));
    Chart {
        is_log_y: true,
        y_text: units::latency,
        ..lines.over_time(&title, "")
    }
}

/// The usual axis for percentiles: each tick is ten times rarer.
fn percentiles(stories: &[&Story]) -> Chart {
    let place = |quantile: f64| -(1.0 - quantile).max(1e-7).log10();
    let mut lines = Lines::new(stories);
    for (number, story) in stories.iter().enumerate() {
        let section = &story.result.latency_us;
        let is_shown =
            |tag: &str| !lines.are_overlaid() || section.headline.as_deref() == Some(tag);
        let shown: Vec<_> = section
            .by_tag
            .iter()
            .filter(|(tag, _)| is_shown(tag))
            .collect();
        for (kind, (tag, found)) in shown.into_iter().enumerate() {
            let points = found
                .curve
                .iter()
                .filter(|(quantile, _)| *quantile < 1.0)
                .map(|(quantile, value)| (place(*quantile), *value))
                .collect();
            lines.add(number, kind, tag, points);
        }
    }
    let ticks = ["0", "90", "99", "99.9", "99.99", "99.999"];
    let ticks = ticks.iter().enumerate();
    Chart {
        title: "Latency by percentile, over the window".into(),
        x_label: "percentile".into(),
        y_label: String::new(),
        is_log_y: true,
        y_text: units::latency,
        x_ticks: ticks
            .map(|(rarity, text)| (rarity as f64, (*text).to_owned()))
            .collect(),
        highlight: None,
        series: lines.series,
    }
}

fn resource(
    stories: &[&Story],
    title: &str,
    unit: &str,
    of: impl Fn(&HostRow, &HostRow) -> Option<f64>,
) -> Chart {
    let mut lines = Lines::new(stories);
    for (number, story) in stories.iter().enumerate() {
        let mut by_subject = by_subject(&story.hosts, &of);
        if lines.are_overlaid() {
            by_subject = with_brokers_summed(by_subject);
        }
        for (kind, (subject, points)) in by_subject.into_iter().enumerate() {
            lines.add(number, kind, &subject, points);
        }
    }
    lines.over_time(title, unit)
}

/// What each process cost from one look to the next.
fn by_subject(
    rows: &[HostRow],
    of: impl Fn(&HostRow, &HostRow) -> Option<f64>,
) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut looks: BTreeMap<&str, Vec<&HostRow>> = BTreeMap::new();
    for row in rows {
        looks.entry(&row.subject).or_default().push(row);
    }
    looks
        .into_iter()
        .map(|(subject, looks)| {
            let points = looks
                .windows(2)
                .filter(|pair| pair[1].at_s > pair[0].at_s)
                .filter_map(|pair| Some((pair[1].at_s, of(pair[0], pair[1])?)));
            (subject.to_owned(), points.collect())
        })
        .collect()
}

/// All processes are looked at together, so their points lie at the same instants.
fn with_brokers_summed(
    by_subject: BTreeMap<String, Vec<(f64, f64)>>,
) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut kept = BTreeMap::new();
    // Bits of positive numbers sort as the numbers do.
    let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
    for (subject, points) in by_subject {
        if subject == GENERATOR {
            kept.insert(subject, points);
            continue;
        }
        for (at_s, value) in points {
            *sums.entry(at_s.to_bits()).or_default() += value;
        }
    }
    let points = sums
        .into_iter()
        .map(|(bits, sum)| (f64::from_bits(bits), sum));
    kept.insert(CLUSTER.to_owned(), points.collect());
    kept
}

fn middle(row: &Row) -> f64 {
    row.second as f64 + 0.5
}

fn highlight(stories: &[&Story]) -> Option<(f64, f64)> {
    let time = &stories.first()?.result.time;
    Some((time.warmup_s, time.warmup_s + time.window_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BenchResult;

    fn story(name: &str) -> Story {
        let host = |at_s: f64, subject: &str, cpu_seconds: f64| HostRow {
            at_s,
            subject: subject.to_owned(),
            cpu_seconds: Some(cpu_seconds),
            ..HostRow::default()
        };
        let looks = [(0.0, 0.0), (1.0, 0.5)];
        let subjects = ["generator", "broker 1", "broker 2"];
        let hosts = looks
            .iter()
            .flat_map(|(at_s, cpu)| subjects.map(|subject| host(*at_s, subject, *cpu)));
        Story {
            result: BenchResult {
                name: name.to_owned(),
                ..BenchResult::default()
            },
            rows: vec![Row {
                acked: 7,
                ..Row::default()
            }],
            hosts: hosts.collect(),
        }
    }

    fn names(charts: &[Chart]) -> Vec<&str> {
        charts
            .iter()
            .flat_map(|chart| chart.series.iter().map(|series| series.name.as_str()))
            .collect()
    }

    #[test]
    fn one_result_shows_each_broker() {
        let one = story("one");
        let charts = core(&[&one]);
        assert_eq!(
            names(&charts),
            ["acknowledged", "broker 1", "broker 2", "generator"]
        );
    }

    #[test]
    fn overlaid_results_have_a_colour_each_and_their_brokers_summed() {
        let (one, other) = (story("one"), story("other"));
        let charts = core(&[&one, &other]);
        let processor = charts.last().unwrap();
        let brokers = &processor.series[0];
        assert_eq!(brokers.name, "one brokers");
        assert_eq!(brokers.points, [(1.0, 1.0)]);
        let colours: Vec<usize> = processor
            .series
            .iter()
            .map(|series| series.colour)
            .collect();
        assert_eq!(colours, [0, 0, 1, 1]);
    }
}
