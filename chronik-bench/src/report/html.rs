//! `report.html`: tables and plots in one file, without a script and without a request to anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::svg::escape;
use super::{Chart, Series, Story};
use crate::audit::Light;
use crate::collect::{Row, RowLatency};
use crate::sampling::HostRow;
use crate::units::{grouped, latency};

const STYLE: &str = "\
:root{--ink:#1a1a1a;--paper:#fff;--soft:#666;--line:#ddd;--shade:#f3f6fa}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#16181c;--soft:#a0a0a0;--line:#3a3d44;--shade:#20242c}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1500px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--line)}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}\
td,th{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right}\
td:first-child,th:first-child,td.text{text-align:left}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(560px,100%),1fr));gap:1rem}\
.charts svg:not(.key){width:100%;height:auto}.key{width:26px;height:8px}\
.legend{font-size:.8rem;color:var(--soft);margin:.2rem 0 0}.legend span{margin-right:.8rem;white-space:nowrap}\
text{fill:var(--ink);font:11px system-ui,sans-serif}text.title{font-size:13px;font-weight:600}\
text.tick{fill:var(--soft)}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.window{fill:var(--shade)}\
.red{color:#c00;font-weight:600}.amber{color:#b36b00;font-weight:600}.empty,.soft{color:var(--soft)}\
code{font-size:.85em;overflow-wrap:anywhere}details{margin:.6rem 0}\
@media print{body{max-width:none;margin:0}.charts{grid-template-columns:1fr 1fr}.charts>div{break-inside:avoid}}";
const PERCENTILES: [&str; 4] = ["p50", "p99", "p99.9", "max"];

/// The page; the first story is the result, the others lie over it.
pub(crate) fn page(title: &str, stories: &[&Story]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
        escape(title)
    );
    verdict(&mut html, stories);
    overview(&mut html, stories);
    html.push_str("<div class=\"charts\">\n");
    for chart in charts(stories) {
        let _ = writeln!(html, "<div>{}</div>", chart.render());
    }
    html.push_str("</div>\n");
    costs(&mut html, stories);
    audits(&mut html, stories);
    settings(&mut html, stories);
    html.push_str("</body></html>\n");
    html
}

fn verdict(html: &mut String, stories: &[&Story]) {
    for story in stories {
        for reason in &story.result.verdict.reasons {
            let _ = writeln!(
                html,
                "<p class=\"red\">{}: {}</p>",
                escape(story.label()),
                escape(reason)
            );
        }
    }
}

fn overview(html: &mut String, stories: &[&Story]) {
    html.push_str(
        "<table><tr><th>result</th><th>load</th><th>msg/s</th><th>MB/s</th><th>read msg/s</th><th>latency</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th><th>failed</th></tr>\n",
    );
    for story in stories {
        let result = &story.result;
        let workload = &result.workload;
        let load = match workload.target_msgs_per_second {
            Some(rate) => format!("{}, open, {}/s", workload.mode, grouped(rate)),
            None => format!(
                "{}, closed, {}",
                workload.mode,
                workload.concurrency.unwrap_or(0)
            ),
        };
        let (tag, found) = match result.headline_latency() {
            Some((tag, found)) => (tag, found.clone()),
            None => ("-", crate::model::Latency::default()),
        };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"text\">{load}</td><td>{}</td><td>{:.1}</td><td>{}</td><td class=\"text\">{tag}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(story.label()),
            grouped(result.throughput.msgs_per_second),
            result.throughput.payload_mb_per_second,
            grouped(result.throughput.consumed_msgs_per_second),
            latency(found.p50),
            latency(found.p99),
            latency(found.p999),
            latency(found.max),
            result.errors.failed,
        );
    }
    html.push_str("</table>\n");
    if let Some(first) = stories.first() {
        let result = &first.result;
        let _ = writeln!(
            html,
            "<p class=\"soft\">{}; {} cores, {}; latency from {}; shaded: the window that counts, {:.1} s.</p>",
            escape(&result.fingerprint.cpu),
            result.fingerprint.cores,
            escape(&result.fingerprint.kernel),
            escape(&result.latency_us.basis),
            result.time.window_s
        );
    }
}

fn charts(stories: &[&Story]) -> Vec<Chart> {
    vec![
        throughput_chart(stories),
        latency_chart(stories),
        percentile_chart(stories),
        resource_chart(stories, "Processor", "cores", |first, last| {
            let seconds = last.at_s - first.at_s;
            Some((last.cpu_seconds? - first.cpu_seconds?) / seconds)
        }),
        resource_chart(stories, "Resident memory", "MB", |_, last| {
            Some(last.resident_bytes? / 1e6)
        }),
        resource_chart(stories, "Written to disk", "MB/s", |first, last| {
            let seconds = last.at_s - first.at_s;
            Some((last.disk_written_bytes? - first.disk_written_bytes?) / seconds / 1e6)
        }),
    ]
}

fn throughput_chart(stories: &[&Story]) -> Chart {
    let mut series = Vec::new();
    for (dash, story) in stories.iter().enumerate() {
        let mut add = |name: &str, colour: usize, of: fn(&Row) -> u64| {
            let points: Vec<(f64, f64)> = story
                .rows
                .iter()
                .map(|row| (row.second as f64 + 0.5, of(row) as f64))
                .collect();
            if points.iter().any(|(_, value)| *value > 0.0) {
                series.push(Series {
                    name: format!("{} {name}", story.label()),
                    points,
                    colour: colour + dash * usize::from(stories.len() > 1),
                    dash,
                });
            }
        };
        add("acknowledged", 0, |row| row.acked);
        add("consumed", 2, |row| row.consumed);
        add("failed", 1, |row| row.failed);
    }
    Chart {
        title: "Throughput".into(),
        x_label: "seconds since the start of the load".into(),
        y_label: "messages per second".into(),
        is_log_y: false,
        x_ticks: Vec::new(),
        highlight: highlight(stories),
        series,
    }
}

fn latency_chart(stories: &[&Story]) -> Chart {
    let value: [fn(&RowLatency) -> f64; 4] = [
        |found| found.p50,
        |found| found.p99,
        |found| found.p999,
        |found| found.max,
    ];
    let mut series = Vec::new();
    for (dash, story) in stories.iter().enumerate() {
        let Some(tag) = story.result.latency_us.headline.as_deref() else {
            continue;
        };
        for (colour, of) in value.iter().enumerate() {
            let points = story
                .rows
                .iter()
                .filter_map(|row| Some((row.second as f64 + 0.5, of(row.latency_us.get(tag)?))));
            series.push(Series {
                name: format!("{} {tag} {}", story.label(), PERCENTILES[colour]),
                points: points.collect(),
                colour,
                dash,
            });
        }
    }
    Chart {
        title: "Latency of each second".into(),
        x_label: "seconds since the start of the load".into(),
        y_label: "microseconds".into(),
        is_log_y: true,
        x_ticks: Vec::new(),
        highlight: highlight(stories),
        series,
    }
}

/// The usual axis for percentiles: each tick is ten times rarer.
fn percentile_chart(stories: &[&Story]) -> Chart {
    let place = |quantile: f64| -(1.0 - quantile).max(1e-7).log10();
    let mut series = Vec::new();
    for (dash, story) in stories.iter().enumerate() {
        for (colour, (tag, found)) in story.result.latency_us.by_tag.iter().enumerate() {
            let points = found
                .curve
                .iter()
                .filter(|(quantile, _)| *quantile < 1.0)
                .map(|(quantile, value)| (place(*quantile), *value));
            series.push(Series {
                name: format!("{} {tag}", story.label()),
                points: points.collect(),
                colour,
                dash,
            });
        }
    }
    Chart {
        title: "Latency by percentile".into(),
        x_label: "percentile".into(),
        y_label: "microseconds".into(),
        is_log_y: true,
        x_ticks: ["0", "90", "99", "99.9", "99.99", "99.999"]
            .iter()
            .enumerate()
            .map(|(rarity, text)| (rarity as f64, (*text).to_owned()))
            .collect(),
        highlight: None,
        series,
    }
}

fn resource_chart(
    stories: &[&Story],
    title: &str,
    unit: &str,
    of: impl Fn(&HostRow, &HostRow) -> Option<f64>,
) -> Chart {
    let mut series = Vec::new();
    for (dash, story) in stories.iter().enumerate() {
        let mut by_subject: BTreeMap<&str, Vec<&HostRow>> = BTreeMap::new();
        for row in &story.hosts {
            by_subject.entry(&row.subject).or_default().push(row);
        }
        for (colour, (subject, rows)) in by_subject.into_iter().enumerate() {
            let points = rows
                .windows(2)
                .filter(|pair| pair[1].at_s > pair[0].at_s)
                .filter_map(|pair| Some((pair[1].at_s, of(pair[0], pair[1])?)));
            series.push(Series {
                name: format!("{} {subject}", story.label()),
                points: points.collect(),
                colour,
                dash,
            });
        }
    }
    Chart {
        title: title.to_owned(),
        x_label: "seconds since the start of the load".into(),
        y_label: unit.to_owned(),
        is_log_y: false,
        x_ticks: Vec::new(),
        highlight: highlight(stories),
        series,
    }
}

fn highlight(stories: &[&Story]) -> Option<(f64, f64)> {
    let time = &stories.first()?.result.time;
    Some((time.warmup_s, time.warmup_s + time.window_s))
}

fn costs(html: &mut String, stories: &[&Story]) {
    html.push_str(
        "<h2>Cost within the window</h2>\n<table><tr><th>process</th><th>cores</th><th>CPU s/GB</th><th>CPU s/million</th><th>resident MB</th><th>disk MB/s</th><th>files</th><th>threads</th></tr>\n",
    );
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for story in stories {
        for resource in &story.result.resources {
            let _ = writeln!(
                html,
                "<tr><td>{} {}</td><td>{:.2}</td><td>{}</td><td>{}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(story.label()),
                escape(&resource.subject),
                resource.cores_used,
                number(resource.cpu_s_per_gb),
                number(resource.cpu_s_per_million_msgs),
                resource.resident_max_bytes / 1e6,
                number(resource.disk_written_mb_per_second),
                resource.open_files_max,
                resource.threads_max,
            );
        }
    }
    html.push_str("</table>\n");
}

fn audits(html: &mut String, stories: &[&Story]) {
    html.push_str("<h2>Audit</h2>\n<table>\n");
    for story in stories {
        for entry in &story.result.audit.entries {
            let (class, word) = match entry.light {
                Light::Green => ("", "green"),
                Light::Amber => ("amber", "amber"),
                Light::Red => ("red", "RED"),
                Light::Skipped => ("soft", "skipped"),
            };
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td class=\"text {class}\">{word}</td><td class=\"text\">{}</td><td class=\"text\">{}</td></tr>",
                escape(story.label()),
                escape(&entry.name),
                escape(&entry.detail)
            );
        }
    }
    html.push_str("</table>\n");
}

fn settings(html: &mut String, stories: &[&Story]) {
    html.push_str("<h2>Settings</h2>\n");
    for story in stories {
        let result = &story.result;
        let _ = write!(
            html,
            "<details><summary>{}, chronik-bench {}, librdkafka {}</summary><p><code>{}</code></p><table>",
            escape(story.label()),
            escape(&result.tool.version),
            escape(&result.tool.librdkafka),
            escape(&result.argv.join(" "))
        );
        for (key, value) in &result.workload.client_config {
            let _ = write!(
                html,
                "<tr><td>{}</td><td class=\"text\">{}</td></tr>",
                escape(key),
                escape(value)
            );
        }
        html.push_str("</table></details>\n");
    }
}
