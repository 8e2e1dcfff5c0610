//! What a run shows: broken promises, missed gates, or that it shows nothing.

mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use chronik_check::history::{ReadError, Reader};
use chronik_check::{Checker, Contract, Finding, HistoryFault, Report, Severity};
use serde::{Deserialize, Serialize};

pub(crate) use timeline::Timeline;

use crate::scenario::{Expect, Fault};
use crate::schedule::Injection;

/// What the run itself knows and a history does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) scenario: String,
    pub(crate) target: String,
    pub(crate) seed: u64,
    pub(crate) injections: Vec<Injection>,
    pub(crate) healed_ns: u64,
    pub(crate) recovered_ns: Option<u64>,
    pub(crate) load_end_ns: u64,
    pub(crate) unreached: Vec<i32>,
    /// Replicas that did not have everything in the end.
    #[serde(default)]
    pub(crate) behind: Vec<String>,
    /// How late the tool itself was at worst.
    #[serde(default)]
    pub(crate) late_ms: u64,
    pub(crate) final_records: u64,
}

impl Facts {
    pub(crate) fn write(&self, run_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("facts are plain values");
        fs::write(run_dir.join("facts.json"), text)
    }

    pub(crate) fn read(run_dir: &Path) -> Result<Facts, JudgeFault> {
        let path = run_dir.join("facts.json");
        let text = fs::read(&path).map_err(|source| JudgeFault::Open {
            path: path.clone(),
            source,
        })?;
        serde_json::from_slice(&text).map_err(|source| JudgeFault::Facts { path, source })
    }
}

/// The four ends of a run; the worst one counts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Pass,
    /// It proves neither good nor bad.
    Inconclusive,
    /// Promises were kept, but too late.
    Liveness,
    Safety,
}

impl Outcome {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Outcome::Pass => 0,
            Outcome::Liveness => 1,
            Outcome::Inconclusive => 4,
            Outcome::Safety => 5,
        }
    }

    /// Whether something was wrong with the cluster; that a run shows nothing is no failure of it.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Outcome::Liveness | Outcome::Safety)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Liveness => "liveness",
            Outcome::Safety => "safety",
        }
    }
}

/// A broken promise, as it is shown and stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Broken {
    pub(crate) anomaly: String,
    pub(crate) severity: String,
    pub(crate) place: Option<String>,
    pub(crate) offset: Option<u64>,
    pub(crate) lines: Vec<u64>,
    pub(crate) detail: String,
}

/// All that is known at the end: `result.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) scenario: String,
    pub(crate) target: String,
    pub(crate) seed: u64,
    pub(crate) broken: Vec<Broken>,
    pub(crate) totals: BTreeMap<String, u64>,
    pub(crate) counted: BTreeMap<String, u64>,
    pub(crate) missed_gates: Vec<String>,
    pub(crate) doubts: Vec<String>,
    pub(crate) events: u64,
    pub(crate) acked_batches: u64,
    pub(crate) acked_records: u64,
    pub(crate) final_records: u64,
    /// The longest time without an acknowledgement, over all partitions.
    pub(crate) gap_ms: u64,
    pub(crate) recovery_ms: Option<u64>,
    /// The longest time to a new leader after one was killed, stopped, frozen or cut off.
    #[serde(default)]
    pub(crate) election_ms: Option<u64>,
    #[serde(default)]
    pub(crate) leader_changes: u64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) injections: Vec<Injection>,
}

/// The evidence itself cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeFault {
    #[error("cannot open {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} does not hold a run's facts")]
    Facts {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the history cannot be read")]
    Read(#[from] ReadError),
    #[error("the history makes no sense: a fault of this tool")]
    History(#[from] HistoryFault),
}

/// Judges a run's folder by today's rules.
pub(crate) fn judge(
    run_dir: &Path,
    contract: Contract,
    expect: &Expect,
) -> Result<(Verdict, Timeline), JudgeFault> {
    let facts = Facts::read(run_dir)?;
    let (report, timeline) = check_history(&run_dir.join("history.jsonl"), contract)?;
    let mut verdict = Verdict {
        outcome: Outcome::Pass,
        scenario: facts.scenario.clone(),
        target: facts.target.clone(),
        seed: facts.seed,
        broken: report.findings.iter().map(broken).collect(),
        totals: named(&report.totals),
        counted: named(&report.counted),
        missed_gates: missed_gates(&facts, expect, &timeline),
        doubts: doubts(&facts, expect, &timeline, &report),
        events: report.events,
        acked_batches: timeline.acked_batches(),
        acked_records: timeline.acked_records,
        final_records: facts.final_records,
        gap_ms: timeline.longest_gap_ns(facts.load_end_ns).0 / 1_000_000,
        recovery_ms: facts
            .recovered_ns
            .map(|recovered| (recovered - facts.healed_ns) / 1_000_000),
        election_ms: longest_election_ns(&facts, &timeline).map(|ns| ns / 1_000_000),
        leader_changes: timeline.leader_changes(),
        latency_p50_ms: timeline.latency_ms(0.5),
        latency_p99_ms: timeline.latency_ms(0.99),
        injections: facts.injections.clone(),
    };
    let has_error = report
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    // Whoever is late cannot say that others were.
    let late = missed_times(&facts, expect, &timeline);
    match facts.late_ms > LATE_MAX_MS {
        true => verdict.doubts.extend(late.into_iter().map(|missed| {
            let late_ms = facts.late_ms;
            format!("{missed}; but this machine kept the tool waiting for {late_ms} ms itself")
        })),
        false => verdict.missed_gates.extend(late),
    }
    verdict.outcome = if has_error {
        Outcome::Safety
    } else if !verdict.missed_gates.is_empty() {
        Outcome::Liveness
    } else if !verdict.doubts.is_empty() {
        Outcome::Inconclusive
    } else {
        Outcome::Pass
    };
    Ok((verdict, timeline))
}

/// Reads a history once, for the checker and for the times.
pub(crate) fn check_history(
    path: &Path,
    contract: Contract,
) -> Result<(Report, Timeline), JudgeFault> {
    const BUFFER_BYTES: usize = 1 << 20;
    let file = File::open(path).map_err(|source| JudgeFault::Open {
        path: path.to_owned(),
        source,
    })?;
    let mut checker = Checker::offline(contract);
    let mut timeline = Timeline::default();
    for event in Reader::new(BufReader::with_capacity(BUFFER_BYTES, file)) {
        let (line, event) = event?;
        checker.feed(line, &event)?;
        timeline.take(&event);
    }
    Ok((checker.finish(), timeline))
}

fn broken(finding: &Finding) -> Broken {
    Broken {
        anomaly: finding.anomaly.name().to_owned(),
        severity: if finding.severity == Severity::Error {
            "error"
        } else {
            "warning"
        }
        .to_owned(),
        place: finding.place.as_ref().map(ToString::to_string),
        offset: finding.offset,
        lines: finding.lines.clone(),
        detail: finding.detail.clone(),
    }
}

fn named(counts: &BTreeMap<chronik_check::Anomaly, u64>) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(anomaly, count)| (anomaly.name().to_owned(), *count))
        .collect()
}

/// A tool that was kept waiting for longer cannot tell what took how long.
const LATE_MAX_MS: u64 = 250;

/// What came too late.
fn missed_times(facts: &Facts, expect: &Expect, timeline: &Timeline) -> Vec<String> {
    let mut missed = Vec::new();
    if let Some(bound) = expect.gap_max {
        let (gap_ns, partition) = timeline.longest_gap_ns(facts.load_end_ns);
        if gap_ns > bound.ns() {
            missed.push(format!(
                "{partition} acknowledged nothing for {} ms, at most {bound} are allowed",
                gap_ns / 1_000_000
            ));
        }
    }
    if let Some(bound) = expect.elect_max
        && let Some(longest) = longest_election_ns(facts, timeline)
        && longest > bound.ns()
    {
        missed.push(format!(
            "a new leader took {} ms, at most {bound} are allowed",
            longest / 1_000_000
        ));
    }
    for (id, at_least) in &expect.progress_during {
        for (id, acked) in acked_during(facts, id) {
            if acked < *at_least {
                missed.push(format!(
                    "{acked} batches were acknowledged during {id}, at least {at_least} should be"
                ));
            }
        }
    }
    missed
}

/// What is wrong whatever time it took.
fn missed_gates(facts: &Facts, expect: &Expect, timeline: &Timeline) -> Vec<String> {
    let mut missed = facts.behind.clone();
    if facts.recovered_ns.is_none() {
        let bound = expect.recover_max;
        missed.push(format!(
            "not every partition took a write within {bound} after the heal"
        ));
    }
    for partition in &facts.unreached {
        missed.push(format!(
            "the final read did not reach the end of partition {partition}"
        ));
    }
    if let Some(at_most) = expect.leader_changes_max
        && timeline.leader_changes() > at_most
    {
        missed.push(format!(
            "leaders changed {} times, at most {at_most} changes have a reason",
            timeline.leader_changes()
        ));
    }
    // Without a fault nobody has a reason to stand for election.
    let storm = timeline.leaders.values().map(Vec::len).max().unwrap_or(0);
    if facts.injections.is_empty() && storm > LEADERS_WITHOUT_FAULT_MAX {
        missed.push(format!(
            "{storm} leaders of one partition without any fault"
        ));
    }
    for (id, at_most) in &expect.acked_max_during {
        for (id, acked) in acked_during(facts, id) {
            if acked > *at_most {
                missed.push(format!(
                    "{acked} batches were acknowledged during {id}, at most {at_most} could be"
                ));
            }
        }
    }
    missed
}

/// The first leader, and one that balances the cluster; more is a storm.
const LEADERS_WITHOUT_FAULT_MAX: usize = 4;

/// Over all faults that take a leader away while the others can elect a new one.
fn longest_election_ns(facts: &Facts, timeline: &Timeline) -> Option<u64> {
    let waits = facts.injections.iter().flat_map(|injection| {
        let until_ns = injection.healed_ns.unwrap_or(facts.load_end_ns);
        timeline.elections_ns(injection.at_ns..until_ns, &nodes_away(injection))
    });
    waits.max()
}

/// The nodes that a fault takes away from the rest.
fn nodes_away(injection: &Injection) -> Vec<u32> {
    use Fault::{Kill, Partition, Pause, PowerLoss, Stop};
    match injection.fault {
        Kill | Stop | Pause | PowerLoss => injection.nodes.clone(),
        Partition => {
            // Cut off is who misses more than half of its peers; the peers themselves miss only one.
            let peers_of = |node: u32| {
                let ends = injection
                    .links
                    .iter()
                    .filter(move |(from, to)| *from == node || *to == node);
                let peers = ends.map(move |(from, to)| if *from == node { *to } else { *from });
                peers
                    .filter(|peer| *peer > 0)
                    .collect::<BTreeSet<u32>>()
                    .len()
            };
            let ends = injection.links.iter().flat_map(|(from, to)| [*from, *to]);
            let nodes: BTreeSet<u32> = ends.filter(|host| *host > 0).collect();
            let most = nodes.iter().map(|node| peers_of(*node)).max().unwrap_or(0);
            let is_away = |node: &u32| most > 1 && peers_of(*node) == most;
            nodes.into_iter().filter(is_away).collect()
        }
        _ => Vec::new(),
    }
}

/// Injections of a step, its repetitions included, with the batches that were acknowledged meanwhile.
fn acked_during<'a>(facts: &'a Facts, id: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
    let is_of_step = move |injection: &&Injection| {
        injection
            .id
            .strip_prefix(id)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let found = facts.injections.iter().filter(is_of_step);
    found.map(|injection| {
        let at_heal = injection.acked_at_heal.unwrap_or(injection.acked_before);
        (injection.id.as_str(), at_heal - injection.acked_before)
    })
}

/// Why a clean run may not be a proof.
fn doubts(facts: &Facts, expect: &Expect, timeline: &Timeline, report: &Report) -> Vec<String> {
    let mut doubts: Vec<String> = report.incomplete.iter().map(ToString::to_string).collect();
    let unproven = facts
        .injections
        .iter()
        .filter(|injection| injection.proof.is_none() && !injection.may_miss);
    doubts.extend(unproven.map(|injection| {
        let why = injection.doubt.as_deref().unwrap_or("it was never healed");
        format!("{} had no proven effect: {why}", injection.id)
    }));
    if timeline.acked_batches() < expect.acked_min {
        doubts.push(format!(
            "only {} batches were acknowledged, {} are needed to say something",
            timeline.acked_batches(),
            expect.acked_min
        ));
    }
    doubts
}
