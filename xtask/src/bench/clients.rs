//! What a million messages cost the generator: chronik-bench next to Kafka's producer-performance, in turn, on one broker.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronik_local::Store;
use chronik_local::contender::{Contender, Kind};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, median};
use super::loader::Loader;
use super::rounds::turn;
use super::store;
use super::tools::{self, children_cpu};
use super::verdict::{self, Check};
use crate::error::XtaskError;
use crate::{Outcome, output, step};

const ONE_NODE: Contender = Contender {
    kind: Kind::Chronik,
    nodes: 1,
};
const CELL: Cell = Cell {
    record_bytes: 1024,
    partitions: 6,
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often each client is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Records of 1 KiB per run; a JVM needs about a million before its code is compiled
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Keep the runs that were measured at this commit and measure what is missing
    #[arg(long)]
    resume: bool,
    /// A server to load instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Client {
    ChronikBench,
    ProducerPerformance,
}

/// One run of one client, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    commit: String,
    client: Client,
    round: u32,
    records: u64,
    records_per_second: f64,
    /// Of the whole process, start and end included.
    cpu_seconds: f64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let store = store::open("clients", options.resume)?;
    let server = step::server(options.server.as_deref())?;
    let loader = Loader::new(None)?;
    let work_dir = step::work_dir("bench")?;
    let dir =
        tempfile::tempdir_in(&work_dir).map_err(XtaskError::file("make a folder in", &work_dir))?;
    let (mut cluster, _) = ONE_NODE.start(&server, dir.path(), &BTreeMap::new())?;
    let bootstrap = cluster.bootstrap();
    tools::create_topic(dir.path(), &bootstrap, &CELL.topic(), CELL.partitions, 1)?;
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        for position in turn(2, round) {
            let client = [Client::ChronikBench, Client::ProducerPerformance][position];
            let name = format!("{}-{round}", client.name());
            let stored: Option<Run> = store.read(&name)?;
            let run = match stored.filter(|run| run.records == options.records) {
                Some(run) => run,
                None => {
                    let (records_per_second, cpu_seconds) = match client {
                        Client::ChronikBench => ours(&loader, &bootstrap, options.records, &store)?,
                        Client::ProducerPerformance => {
                            let (produced, cost) =
                                tools::produce(dir.path(), &bootstrap, CELL, options.records)?;
                            (produced.records_per_second, cost.client_cpu.as_secs_f64())
                        }
                    };
                    let run = Run {
                        commit: store.commit().to_owned(),
                        client,
                        round,
                        records: options.records,
                        records_per_second,
                        cpu_seconds,
                    };
                    store.write(&name, &run)?;
                    run
                }
            };
            output::line(&run.row());
            runs.push(run);
        }
    }
    cluster.stop()?;
    conclude(&runs)
}

/// As producer-performance is by default: acks=all, idempotent, batches of up to 5 ms.
fn ours(
    loader: &Loader,
    bootstrap: &str,
    records: u64,
    store: &Store,
) -> Result<(f64, f64), XtaskError> {
    let before = children_cpu()?;
    let result = loader.load(
        &format!(
            "--bootstrap-servers {bootstrap} --topic {} --messages {records} --warmup 0s --concurrency 10000 \
             --linger-ms 5 --idempotent --producers 1 --message-size {} --host-sample none",
            CELL.topic(),
            CELL.record_bytes
        ),
        &store.dir().join("loads"),
    )?;
    let cpu_seconds = children_cpu()?.saturating_sub(before).as_secs_f64();
    let rate = result["throughput"]["msgs_per_second"].as_f64();
    Ok((rate.unwrap_or(f64::NAN), cpu_seconds))
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::ChronikBench => "chronik-bench",
            Self::ProducerPerformance => "producer-performance",
        }
    }
}

impl Run {
    fn cpu_seconds_per_million(&self) -> f64 {
        self.cpu_seconds / (self.records as f64 / 1e6)
    }

    fn row(&self) -> String {
        format!(
            "round {}  {:<21} {:>9.0} records/s  {:>6.2} CPU s per million",
            self.round + 1,
            self.client.name(),
            self.records_per_second,
            self.cpu_seconds_per_million()
        )
    }
}

fn conclude(runs: &[Run]) -> Outcome {
    let cost = |client: Client| {
        let of = runs.iter().filter(|run| run.client == client);
        median(of.map(Run::cpu_seconds_per_million))
    };
    let (ours, theirs) = (
        cost(Client::ChronikBench),
        cost(Client::ProducerPerformance),
    );
    let check = Check::at_most(
        "CPU of the generator per million messages of 1 KiB, over producer-performance's",
        1.0,
        ours / theirs,
        " x",
    );
    verdict::conclude(&[check.with(&format!("{ours:.2} s, {theirs:.2} s"))])
}
