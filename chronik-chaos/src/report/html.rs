//! The report for people: one page without network, with lanes of faults over the curve of acknowledgements.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::escape;
use crate::run::Plan;
use crate::verdict::{Outcome, Timeline, Verdict};

/// Lines of evidence that a page shows in full.
const EVIDENCE_LINES_MAX: usize = 200;
const EVIDENCE_LINE_BYTES_MAX: usize = 600;
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 150.0;
const LANE: f64 = 22.0;
const CURVE: f64 = 120.0;
const SLOWEST: f64 = 50.0;
/// Enough to see a gap of an election, few enough that a day opens.
const BUCKETS: usize = 500;

/// The raw history lines that findings point to.
pub(super) fn evidence(run_dir: &Path, verdict: &Verdict) -> io::Result<BTreeMap<u64, String>> {
    let mut wanted: Vec<u64> = verdict
        .broken
        .iter()
        .flat_map(|broken| broken.lines.iter().copied())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted.truncate(EVIDENCE_LINES_MAX);
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let lines = BufReader::new(File::open(run_dir.join("history.jsonl"))?).split(b'\n');
    for (number, line) in (1u64..).zip(lines) {
        if wanted.binary_search(&number).is_ok() {
            let mut text = String::from_utf8_lossy(&line?).into_owned();
            if text.len() > EVIDENCE_LINE_BYTES_MAX {
                let end = (0..=EVIDENCE_LINE_BYTES_MAX)
                    .rev()
                    .find(|end| text.is_char_boundary(*end));
                text.truncate(end.unwrap_or(0));
                text.push('…');
            }
            found.insert(number, text);
        } else {
            line?;
        }
    }
    Ok(found)
}

pub(super) fn page(
    plan: &Plan,
    verdict: &Verdict,
    timeline: &Timeline,
    evidence: &BTreeMap<u64, String>,
) -> String {
    let mut page = String::new();
    let class = if verdict.outcome == Outcome::Pass {
        "good"
    } else {
        "bad"
    };
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>{scenario} on {target}</title>{STYLE}\
         <h1>{scenario} on {target}: <span class={class}>{outcome}</span></h1>\
         <p>Seed {seed}. {acked} batches with {records} records were acknowledged, {finals} records were read at the \
         end, {events} events in the history.</p>",
        scenario = escape(&verdict.scenario),
        target = escape(&verdict.target),
        outcome = verdict.outcome.word(),
        seed = verdict.seed,
        acked = verdict.acked_batches,
        records = verdict.acked_records,
        finals = verdict.final_records,
        events = verdict.events,
    );
    if let Some(mutant) = plan.mutant {
        let says = escape(mutant.says());
        let _ = write!(page, "<p>A mistake was planted, {mutant}: {says}.</p>");
    }
    clocks(&mut page, verdict);
    list(&mut page, "Too slow", &verdict.missed_gates);
    list(&mut page, "Doubts", &verdict.doubts);
    picture(&mut page, verdict, timeline);
    faults(&mut page, verdict);
    anomalies(&mut page, verdict, evidence);
    page
}

fn clocks(page: &mut String, verdict: &Verdict) {
    let election = verdict
        .election_ms
        .map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let recovery = verdict
        .recovery_ms
        .map_or("never".to_owned(), |ms| format!("{ms} ms"));
    let _ = write!(
        page,
        "<table><tr><th>longest gap<th>longest election<th>leader changes<th>back after the heal<th>p50<th>p99</tr>\
         <tr><td>{} ms<td>{election}<td>{}<td>{recovery}<td>{:.1} ms<td>{:.1} ms</tr></table>",
        verdict.gap_ms, verdict.leader_changes, verdict.latency_p50_ms, verdict.latency_p99_ms
    );
}

fn list(page: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>{title}</h2><ul>");
    for item in items {
        let _ = write!(page, "<li>{}", escape(item));
    }
    page.push_str("</ul>");
}

/// Faults as bars in lanes, and below them for each partition when it acknowledged how much.
fn picture(page: &mut String, verdict: &Verdict, timeline: &Timeline) {
    let end_ns = timeline.end_ns.max(1) as f64;
    let x = |ns: u64| LEFT + (ns as f64 / end_ns) * (WIDTH - LEFT);
    let lanes = verdict.injections.len() as f64;
    let height = lanes * LANE + CURVE + SLOWEST + timeline.acked.len() as f64 * LANE + 40.0;
    let _ = write!(
        page,
        "<h2>Timeline</h2><svg viewBox='0 0 {WIDTH} {height}'>"
    );
    for (lane, injection) in verdict.injections.iter().enumerate() {
        let top = lane as f64 * LANE;
        let from = x(injection.at_ns);
        let width = (x(injection.healed_ns.unwrap_or(timeline.end_ns)) - from).max(2.0);
        let _ = write!(
            page,
            "<text x=0 y={y}>{id}</text><rect class=fault x={from:.1} y={top} width={width:.1} height=16>\
             <title>{proof}</title></rect>",
            y = top + 13.0,
            id = escape(&injection.id),
            proof = escape(
                injection
                    .proof
                    .as_deref()
                    .or(injection.doubt.as_deref())
                    .unwrap_or_default()
            ),
        );
    }
    let mut top = lanes * LANE + 10.0;
    let all = || timeline.acked.values().flatten();
    let acks = buckets(all().map(|(_, acked)| (*acked, 1.0)), end_ns, |sum, one| {
        sum + one
    });
    curve(page, "acks", &acks, top, CURVE);
    top += CURVE + 6.0;
    let waits = all().map(|(sent, acked)| (*acked, acked.saturating_sub(*sent) as f64 / 1e6));
    let slowest = buckets(waits, end_ns, f64::max);
    let name = format!("slowest, to {:.0} ms", highest(&slowest));
    curve(page, &name, &slowest, top, SLOWEST);
    top += SLOWEST + 6.0;
    for (place, acked) in &timeline.acked {
        let acks = acked.iter().map(|(_, acked)| (*acked, 1.0));
        let acks = buckets(acks, end_ns, |sum, one| sum + one);
        curve(page, place, &acks, top, LANE - 4.0);
        for reign in timeline.leaders.get(place).into_iter().flatten() {
            let _ = write!(
                page,
                "<text class=leader x={:.1} y={:.1}>n{}<title>epoch {}</title></text>",
                x(reign.since_ns),
                top + 13.0,
                reign.leader,
                reign.term
            );
        }
        top += LANE;
    }
    let _ = write!(
        page,
        "<text x={LEFT} y={y}>0 s</text><text x=940 y={y}>{:.1} s</text></svg>",
        end_ns / 1e9,
        y = height - 4.0
    );
}

/// What happened at which time, gathered into as many stretches of it as a page can show.
fn buckets(
    points: impl Iterator<Item = (u64, f64)>,
    end_ns: f64,
    gather: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let mut buckets = vec![0.0; BUCKETS];
    for (time_ns, value) in points {
        let bucket = (time_ns as f64 / end_ns * BUCKETS as f64) as usize;
        let bucket = &mut buckets[bucket.min(BUCKETS - 1)];
        *bucket = gather(*bucket, value);
    }
    buckets
}

fn highest(buckets: &[f64]) -> f64 {
    buckets.iter().copied().fold(0.0, f64::max)
}

fn curve(page: &mut String, name: &str, buckets: &[f64], top: f64, height: f64) {
    let most = highest(buckets).max(f64::MIN_POSITIVE);
    let _ = write!(
        page,
        "<text x=0 y={:.1}>{}</text><path class=curve d='M{LEFT} {:.1}",
        top + height.min(13.0),
        escape(name),
        top + height
    );
    let step = (WIDTH - LEFT) / BUCKETS as f64;
    for (place, value) in buckets.iter().enumerate() {
        let y = top + height - value / most * height;
        let _ = write!(page, "L{:.1} {y:.1}h{step:.1}", LEFT + place as f64 * step);
    }
    let _ = write!(page, "L{WIDTH} {:.1}z'/>", top + height);
}

fn faults(page: &mut String, verdict: &Verdict) {
    page.push_str("<h2>Faults</h2><table><tr><th>id<th>fault<th>target<th>hit<th>at<th>for<th>proof of effect</tr>");
    for injection in &verdict.injections {
        let nodes = injection
            .nodes
            .iter()
            .map(|node| format!("n{node}"))
            .collect::<Vec<_>>()
            .join(" ");
        let links = injection
            .links
            .iter()
            .map(|(from, to)| format!("{from}→{to}"))
            .collect::<Vec<_>>()
            .join(" ");
        let lasted = injection
            .healed_ns
            .map_or("to the end".to_owned(), |healed| {
                format!("{:.1} s", (healed - injection.at_ns) as f64 / 1e9)
            });
        let proof = match (&injection.proof, &injection.doubt) {
            (Some(proof), _) => escape(proof),
            (None, Some(doubt)) => format!("<span class=bad>none: {}</span>", escape(doubt)),
            (None, None) => "<span class=bad>none</span>".to_owned(),
        };
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{:.1} s<td>{lasted}<td>{proof}</tr>",
            escape(&injection.id),
            injection.fault,
            escape(&injection.target),
            if links.is_empty() { nodes } else { links },
            injection.at_ns as f64 / 1e9,
        );
    }
    page.push_str("</table>");
}

fn anomalies(page: &mut String, verdict: &Verdict, evidence: &BTreeMap<u64, String>) {
    if verdict.broken.is_empty() {
        page.push_str("<h2>Anomalies</h2><p>None.</p>");
        return;
    }
    page.push_str("<h2>Anomalies</h2>");
    for (anomaly, count) in &verdict.totals {
        let _ = write!(page, "<h3>{} <small>{count}</small></h3>", escape(anomaly));
        for broken in verdict
            .broken
            .iter()
            .filter(|broken| broken.anomaly == *anomaly)
            .take(20)
        {
            let _ = write!(
                page,
                "<details><summary>{} {}: {}</summary><pre>",
                broken.severity,
                escape(broken.place.as_deref().unwrap_or("")),
                escape(&broken.detail)
            );
            for line in &broken.lines {
                let text = evidence.get(line).map_or("", String::as_str);
                let _ = writeln!(page, "{line:>8}  {}", escape(text));
            }
            page.push_str("</pre></details>");
        }
    }
}

const STYLE: &str = "<style>\
body{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}th,td{text-align:left;padding:2px 12px 2px 0;vertical-align:top;border-bottom:1px solid #ddd}\
.good{color:#127a3d}.bad{color:#b3261e}svg{width:100%;font:11px system-ui}.fault{fill:#e0a39e}.curve{fill:#8fb3d9}.leader{font-weight:bold}\
pre{overflow-x:auto;background:#f6f6f6;padding:8px}summary{cursor:pointer}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#222}text{fill:#ddd}th,td{border-color:#333}}\
</style>";
