//! What a run leaves for people and programs: `result.json`, `junit.xml`, `repro.sh`, `report.html`.

mod html;

use std::fs;
use std::path::Path;

use crate::commands::CommandFault;
use crate::run::Plan;
use crate::verdict::{Outcome, Timeline, Verdict};

/// Writes all of them anew.
pub(crate) fn write_all(
    run_dir: &Path,
    plan: &Plan,
    verdict: &Verdict,
    timeline: &Timeline,
) -> Result<(), CommandFault> {
    let json = serde_json::to_string_pretty(verdict).expect("a verdict is made of plain values");
    write(run_dir, "result.json", &json)?;
    write(run_dir, "junit.xml", &junit(verdict))?;
    write(run_dir, "repro.sh", &repro(run_dir, plan))?;
    let evidence = html::evidence(run_dir, verdict).map_err(|source| CommandFault::File {
        action: "read",
        path: run_dir.join("history.jsonl"),
        source,
    })?;
    write(
        run_dir,
        "report.html",
        &html::page(plan, verdict, timeline, &evidence),
    )
}

fn write(run_dir: &Path, name: &str, text: &str) -> Result<(), CommandFault> {
    let path = run_dir.join(name);
    fs::write(&path, text).map_err(|source| CommandFault::File {
        action: "write",
        path,
        source,
    })
}

fn junit(verdict: &Verdict) -> String {
    let failure = if verdict.outcome == Outcome::Pass {
        String::new()
    } else {
        let totals = verdict
            .totals
            .iter()
            .map(|(anomaly, count)| format!("{anomaly}: {count}"));
        let all = totals
            .chain(verdict.missed_gates.iter().cloned())
            .chain(verdict.doubts.iter().cloned());
        let text = all.collect::<Vec<_>>().join("\n");
        format!(
            "<failure message=\"{}\">{}</failure>",
            verdict.outcome.word(),
            escape(&text)
        )
    };
    let failures = u32::from(verdict.outcome != Outcome::Pass);
    format!(
        "<testsuite name=\"chronik-chaos\" tests=\"1\" failures=\"{failures}\">\
         <testcase classname=\"{}\" name=\"{}\">{failure}</testcase></testsuite>\n",
        escape(&verdict.target),
        escape(&verdict.scenario)
    )
}

/// One command that repeats the run's faults.
fn repro(run_dir: &Path, plan: &Plan) -> String {
    format!(
        "#!/bin/sh\n# Repeats the faults of this run, at the same times and places.\nexec chronik-chaos replay '{}' --target {}\n",
        run_dir.display(),
        plan.target.name()
    )
}

/// Text that may stand anywhere in XML or HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
