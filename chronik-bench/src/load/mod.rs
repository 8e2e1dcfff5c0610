//! Runs one load: makes the crew of threads, starts them together, watches, drains, and hands over what was measured.

mod account;
mod crew;
mod delivery;
mod gate;
mod measurement;
mod operations;
mod read_back;
mod reader;
mod round_trip;
mod sender;
mod shared;
mod watch;

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

pub(crate) use account::{AccountEvent, AccountReport, RunAccounts};
pub(crate) use measurement::{EndReason, Measurement};
pub(crate) use read_back::ReadBack;
pub(crate) use shared::Shared;

use crate::cli::{Mode, Verify};
use crate::collect::{Interval, Row};
use crate::error::BenchError;
use crate::plan::Plan;
use crate::sampling::{HostRow, Subjects};
use crate::signals::Signals;
use crate::topic::{Cluster, Offsets, TopicLayout};
use crew::{Crew, Outlets};
use watch::{Inlets, Watch};

/// News that nobody has taken yet; a full channel makes its writers keep their counts a little longer.
const SNAPSHOTS_MAX: usize = 4_096;
const STATISTICS_MAX: usize = 256;
const ACCOUNT_MAX: usize = 1_024;
const HOST_ROWS_MAX: usize = 256;
const READ_BACK_PATIENCE: Duration = Duration::from_secs(30);

/// Whoever shows or stores a load while it runs.
pub(crate) trait Sink {
    fn phase(&mut self, phase: &str);
    fn interval(&mut self, interval: &Interval, row: &Row);
    fn host(&mut self, row: &HostRow);
    /// What has been measured so far, from the first second on: a tool that is killed leaves this behind.
    fn checkpoint(&mut self, so_far: &Measurement);
    /// The same, because the user asked.
    fn snapshot(&mut self, so_far: &Measurement);
}

/// A cluster, topics that are there, and who is to be told.
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) topics: &'a [TopicLayout],
    pub(crate) signals: &'a Signals,
}

/// Runs the plan on the stage.
pub(crate) fn execute(
    plan: &Plan,
    stage: &Stage<'_>,
    sink: &mut dyn Sink,
) -> Result<Measurement, BenchError> {
    let brokers = stage.cluster.brokers()?;
    let subjects = Subjects::new(&plan.host_sample, &plan.metrics_urls, &brokers);
    let before = Measurement {
        brokers,
        is_co_located: subjects.are_local(),
        offsets_before: end_offsets(plan, stage)?,
        ..Measurement::default()
    };
    let places = places(stage.topics);
    let (snapshots, snapshots_taken) = sync_channel(SNAPSHOTS_MAX);
    let (statistics, statistics_taken) = sync_channel(STATISTICS_MAX);
    let (host_rows, host_rows_taken) = sync_channel(HOST_ROWS_MAX);
    let (account, account_events) = sync_channel(ACCOUNT_MAX);
    let account = (plan.verify == Verify::Full).then_some(account);
    let outlets = Outlets {
        snapshots,
        statistics,
        account: account.clone(),
    };
    let mut crew = Crew::muster(plan, stage, &places, outlets)?;
    let inlets = Inlets {
        snapshots: snapshots_taken,
        statistics: statistics_taken,
        host_rows: host_rows_taken,
    };
    thread::scope(|scope| {
        let keeper = scope.spawn(move || account::keep(&account_events));
        let shared = crew.shared();
        watch::open_fixed_window(&shared.window, plan);
        let clock = crew.start(scope);
        let watcher = {
            let subjects = &subjects;
            scope.spawn(move || subjects.watch(&shared, &host_rows))
        };
        let mut measurement =
            Watch::new(plan, &crew, clock, before).run(&inlets, stage.signals, sink);
        watcher.join().expect("the sampler does not panic");
        // A cluster that is gone by now has no offsets to compare with, and the load is still worth a report.
        measurement.offsets_after = end_offsets(plan, stage).unwrap_or_default();
        if let Some(account) = account {
            sink.phase("reading back");
            let read = read_back(plan, &measurement, &places, &account);
            measurement.read_back_problem = read.err().map(|problem| problem.to_string());
        }
        let report = keeper.join().expect("the account does not panic");
        measurement.account = (plan.verify == Verify::Full).then_some(report);
        Ok(measurement)
    })
}

/// Where live readers were not asked to account, the records are read afterwards.
fn read_back(
    plan: &Plan,
    measurement: &Measurement,
    places: &BTreeMap<String, u32>,
    account: &SyncSender<AccountEvent>,
) -> Result<u64, BenchError> {
    let is_read_live = matches!(plan.mode, Mode::E2e | Mode::Fanout);
    if is_read_live || !plan.has_producers() {
        return Ok(0);
    }
    let read_back = ReadBack {
        client: &plan.client,
        from: &measurement.offsets_before,
        to: &measurement.offsets_after,
        run: Some(plan.run),
        places,
        patience: READ_BACK_PATIENCE,
    };
    read_back.run(account)
}

fn end_offsets(plan: &Plan, stage: &Stage<'_>) -> Result<Offsets, BenchError> {
    match plan.verify == Verify::Off || !plan.has_producers() {
        true => Ok(Offsets::new()),
        false => stage.cluster.end_offsets(stage.topics),
    }
}

/// The account numbers all partitions of all topics in a row.
pub(crate) fn places(topics: &[TopicLayout]) -> BTreeMap<String, u32> {
    let mut next = 0;
    topics
        .iter()
        .map(|topic| {
            let first = next;
            next += topic.partitions;
            (topic.name.clone(), first)
        })
        .collect()
}

#[cfg(test)]
mod tests;
