//! `report.html`: tables and plots in one file, without a script and without a request to anywhere.

use std::fmt::Write as _;

use super::svg::{Chart, escape};
use super::table::Table;
use super::{Story, charts, tables};
use crate::audit::Light;
use crate::exit::Exit;
use crate::model::BenchResult;

const STYLE: &str = "\
:root{--ink:#1a1a1a;--paper:#fff;--soft:#666;--line:#ddd;--shade:#f3f6fa;--good:#0a7d33;--bad:#c00;--doubt:#b36b00}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#16181c;--soft:#a0a0a0;--line:#3a3d44;--shade:#20242c;--good:#5fd38a;--bad:#ff7b72;--doubt:#e3b341}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1500px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin-bottom:.3rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}\
td,th{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th{font-weight:600;color:var(--soft)}\
td:first-child,th:first-child,td.text{text-align:left}td.detail{text-align:left;white-space:normal}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(560px,100%),1fr));gap:1rem 1.5rem;margin:1rem 0}\
.charts svg:not(.key){width:100%;height:auto}.key{width:26px;height:8px}\
.legend{font-size:.8rem;color:var(--soft);margin:.2rem 0 0;padding-left:4.5rem}.legend span{margin-right:.8rem;white-space:nowrap}\
text{fill:var(--ink);font:11px system-ui,sans-serif}text.title{font-size:13px;font-weight:600}\
text.tick{fill:var(--soft)}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.window{fill:var(--shade)}\
.chip{display:inline-block;padding:.05rem .6rem;border-radius:.3rem;color:var(--paper);font-weight:600;margin-right:.5rem}\
.chip.good{background:var(--good)}.chip.bad{background:var(--bad)}.chip.doubt{background:var(--doubt)}\
td.good{color:var(--good);font-weight:600}td.bad{color:var(--bad);font-weight:600}td.doubt{color:var(--doubt);font-weight:600}.empty,.soft{color:var(--soft)}\
ul{margin:.3rem 0;padding-left:1.3rem}code{font-size:.85em;overflow-wrap:anywhere}details{margin:.6rem 0}summary{cursor:pointer}\
@media print{body{max-width:none;margin:0;font-size:12px}.charts{grid-template-columns:1fr 1fr}.charts>div,tr{break-inside:avoid}h2{break-after:avoid}}";

/// One workload of a comparison: its table, and the results behind it drawn over each other.
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a str,
    pub(crate) table: Table,
    pub(crate) stories: Vec<Story>,
}

/// The page of a result; further ones lie over it.
pub(crate) fn page(title: &str, stories: &[&Story]) -> String {
    let mut body = String::new();
    verdicts(&mut body, stories);
    let results: Vec<&BenchResult> = stories.iter().map(|story| &story.result).collect();
    body.push_str(&tables::overview(&results).html());
    if let Some(first) = stories.first() {
        machine(&mut body, &first.result);
    }
    plots(&mut body, charts::all(stories));
    heading(&mut body, "Is it my client?");
    body.push_str(&tables::decomposition(&results).html());
    heading(&mut body, "Cost within the window");
    body.push_str(&tables::costs(&results).html());
    for story in stories
        .iter()
        .filter(|story| !story.result.leaks.is_empty())
    {
        heading(&mut body, "Growth");
        body.push_str(&tables::leaks(&story.result.leaks).html());
    }
    heading(&mut body, "Audit");
    audits(&mut body, stories);
    integrity(&mut body, stories);
    heading(&mut body, "Settings");
    settings(&mut body, stories);
    document(title, &body)
}

/// The page of a comparison.
pub(crate) fn comparison(
    title: &str,
    lead: &[String],
    overview: &Table,
    sections: &[Section<'_>],
    remarks: &[String],
) -> String {
    let mut body = String::new();
    for paragraph in lead {
        let _ = writeln!(body, "<p>{}</p>", escape(paragraph));
    }
    body.push_str(&overview.html());
    list(&mut body, remarks);
    for section in sections {
        heading(&mut body, section.name);
        let _ = writeln!(
            body,
            "<p class=\"soft\"><code>{}</code></p>",
            escape(section.command)
        );
        body.push_str(&section.table.html());
        let stories: Vec<&Story> = section.stories.iter().collect();
        if !stories.is_empty() {
            plots(&mut body, charts::core(&stories));
        }
    }
    document(title, &body)
}

/// A page of a few charts over a table.
pub(crate) fn sheet(title: &str, lead: &str, charts: Vec<Chart>, table: &Table) -> String {
    let mut body = format!("<p>{}</p>\n", escape(lead));
    plots(&mut body, charts);
    body.push_str(&table.html());
    document(title, &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n{body}</body></html>\n",
        escape(title)
    )
}

fn heading(html: &mut String, text: &str) {
    let _ = writeln!(html, "<h2>{}</h2>", escape(text));
}

fn list(html: &mut String, items: &[String]) {
    if items.is_empty() {
        return;
    }
    html.push_str("<ul>\n");
    for item in items {
        let _ = writeln!(html, "<li>{}</li>", escape(item));
    }
    html.push_str("</ul>\n");
}

fn plots(html: &mut String, charts: Vec<Chart>) {
    html.push_str("<div class=\"charts\">\n");
    for chart in charts {
        let _ = writeln!(html, "<div>{}</div>", chart.render());
    }
    html.push_str("</div>\n");
}

/// Whether the numbers below count comes before the numbers.
fn verdicts(html: &mut String, stories: &[&Story]) {
    for story in stories {
        let verdict = &story.result.verdict;
        let exit = verdict.exit.unwrap_or(Exit::Pass);
        let class = match exit {
            Exit::Pass => "good",
            Exit::Inconclusive | Exit::Interrupted => "doubt",
            _ => "bad",
        };
        let _ = writeln!(
            html,
            "<p><span class=\"chip {class}\">{}</span>{}</p>",
            exit.word(),
            escape(story.label()),
        );
        list(html, &verdict.reasons);
    }
}

fn machine(html: &mut String, result: &BenchResult) {
    let shared = match result.fingerprint.co_located {
        true => ", shared with brokers",
        false => "",
    };
    let _ = writeln!(
        html,
        "<p class=\"soft\">{}; {} cores, Linux {}{shared}. Latency from {}. Shaded: the window that counts, {:.1} s.</p>",
        escape(&result.fingerprint.cpu),
        result.fingerprint.cores,
        escape(&result.fingerprint.kernel),
        escape(&result.latency_us.basis),
        result.time.window_s
    );
}

fn audits(html: &mut String, stories: &[&Story]) {
    html.push_str("<div class=\"wide\"><table>\n");
    for story in stories {
        for entry in &story.result.audit.entries {
            let (class, word) = match entry.light {
                Light::Green => ("good", "green"),
                Light::Amber => ("doubt", "amber"),
                Light::Red => ("bad", "RED"),
                Light::Skipped => ("soft", "skipped"),
            };
            let who = match stories.len() {
                1 => String::new(),
                _ => format!("<td class=\"text\">{}</td>", escape(story.label())),
            };
            let _ = writeln!(
                html,
                "<tr>{who}<td class=\"text {class}\">{word}</td><td class=\"text\">{}</td><td class=\"detail\">{}</td></tr>",
                escape(&entry.name),
                escape(&entry.detail)
            );
        }
    }
    html.push_str("</table></div>\n");
}

fn integrity(html: &mut String, stories: &[&Story]) {
    for story in stories {
        let found = &story.result.integrity;
        let _ = writeln!(
            html,
            "<p>{}: {}</p>",
            escape(story.label()),
            escape(&found.sentence())
        );
        for part in [&found.violations, &found.allowed, &found.examples] {
            list(html, part);
        }
    }
}

fn settings(html: &mut String, stories: &[&Story]) {
    for story in stories {
        let result = &story.result;
        let mut table = Table::new(["property", "value"]);
        for (key, value) in &result.workload.client_config {
            table.row([key.clone(), value.clone()]);
        }
        let _ = writeln!(
            html,
            "<details><summary>{}, chronik-bench {}, librdkafka {}</summary><p><code>{}</code></p>{}</details>",
            escape(story.label()),
            escape(&result.tool.version),
            escape(&result.tool.librdkafka),
            escape(&result.argv.join(" ")),
            table.html()
        );
    }
}
