//! `chronikctl doctor`: everything that is wrong, numbered, with what shows it and the next command.
//!
//! It collects what a bundle has and looks at that alone, so that it finds the same in a bundle.

mod evidence;
mod examine;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::duration;
use crate::commands::bundle;
use crate::commands::explain::Cause;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Rows, Tone, plural};
use crate::session::Session;

pub(crate) use evidence::Evidence;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What happened and was complained of in this last while; a day if not given
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Diagnosis {
    /// `live`, or the file of the bundle.
    source: String,
    /// When it was so.
    taken_at: String,
    /// The worst first.
    findings: Vec<Finding>,
    /// What was not there to be looked at, and why.
    gaps: Vec<Gap>,
}

#[derive(Serialize, JsonSchema)]
struct Finding {
    number: usize,
    severity: Severity,
    #[serde(flatten)]
    cause: Cause,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Gap {
    file: String,
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// Something does not work, or must never be.
    Critical,
    /// Something will not work if nobody does anything.
    Warning,
    /// Good to know.
    Note,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let collected = bundle::collect(session, args.since).await?;
    let mut files = BTreeMap::new();
    let mut gaps = Vec::new();
    for (name, content) in collected.files {
        match content {
            Ok(content) => _ = files.insert(name, content),
            Err(why) => gaps.push(Gap { file: name, why }),
        }
    }
    let mut evidence = Evidence::read(&files);
    evidence.taken_at = collected.taken_at;
    evidence.gaps.extend(gaps);
    let mut answer = told("live", &evidence);
    answer.warnings = collected.warnings;
    Ok(answer)
}

/// What there is to say of what was collected.
pub(crate) fn told(source: &str, evidence: &Evidence) -> Answer {
    let mut causes = examine::examine(evidence);
    causes.sort_by_key(|cause| severity(&cause.code));
    let numbered = causes.into_iter().zip(1..);
    let findings = numbered.map(|(cause, number)| Finding {
        number,
        severity: severity(&cause.code),
        cause,
    });
    let diagnosis = Diagnosis {
        source: source.to_owned(),
        taken_at: evidence.taken_at.clone(),
        findings: findings.collect(),
        gaps: evidence.gaps.clone(),
    };
    let mut answer = Answer::of("Diagnosis", &evidence.cluster_id(), &diagnosis);
    answer.rows = Rows::Of("findings");
    let counts = diagnosis.findings.iter();
    let serious = counts.filter(|finding| finding.severity < Severity::Note);
    let (tone, verdict) = match serious.count() {
        0 => (Tone::Good, Verdict::Yes),
        _ => (Tone::Bad, Verdict::No),
    };
    let found = match diagnosis.findings.len() as u64 {
        0 => "nothing is wrong".to_owned(),
        count => plural(count, "finding"),
    };
    let headline = format!("{found} ({source}, {})", diagnosis.taken_at);
    answer.headlines.push((tone, headline));
    for finding in &diagnosis.findings {
        answer.footers.extend(lines(finding));
    }
    for gap in &diagnosis.gaps {
        let line = format!("not looked at: {} ({})", gap.file, gap.why);
        answer.footers.push((Tone::Dim, line));
    }
    answer.verdict = verdict;
    answer
}

fn lines(finding: &Finding) -> Vec<(Tone, String)> {
    let Finding {
        number,
        severity,
        cause,
    } = finding;
    let (tone, word) = match severity {
        Severity::Critical => (Tone::Bad, "CRITICAL"),
        Severity::Warning => (Tone::Warn, "WARNING"),
        Severity::Note => (Tone::Plain, "note"),
    };
    let first = format!("{number}. {word} {}: {}", cause.code, cause.message);
    let evidence = cause.evidence.iter();
    let evidence = evidence.map(|line| (Tone::Plain, format!("     {line}")));
    let next = (!cause.next.is_empty()).then(|| (Tone::Dim, format!("     ->  {}", cause.next)));
    let lines = std::iter::once((tone, first)).chain(evidence);
    lines.chain(next).collect()
}

fn severity(code: &str) -> Severity {
    match code {
        "TWO_LEADERS"
        | "COMMIT_BEYOND_LEADER"
        | "OTHER_CLUSTER"
        | "LEADERLESS"
        | "NODE_UNREACHABLE"
        | "NO_CLUSTER"
        | "DISK_FULL"
        | "LOG_ERRORS"
        | "RECORDS_LOST_TO_GROUP" => Severity::Critical,
        "DRAINED" | "VERSIONS_DIFFER" | "MOVES" | "NO_MEMBER" | "FRAGILE" => Severity::Note,
        _ => Severity::Warning,
    }
}
