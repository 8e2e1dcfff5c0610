//! The command line: names, defaults and help; what a combination means is decided in `plan`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::pacer::{Arrival, ProfileText};
use crate::units::{self, Rate};
use crate::workload::{KeySpec, SizeSpec};

/// Measures a Kafka-compatible cluster under honest load.
///
/// Without a verb this is `run`. A result is valid only if its own audit says so; the exit code tells:
/// 0 pass, 1 regression or missed goal, 2 usage, 3 could not run, 4 inconclusive, 5 integrity, 6 invalid, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run one load and report (the default verb)
    Run(Box<RunArguments>),
    /// Find the highest rate that meets a goal
    FindMax(Box<FindMaxArguments>),
    /// Load for a long time, account for every record, watch for leaks; can be resumed
    Soak(Box<SoakArguments>),
    /// Run a suite of workloads against targets in turn; can be resumed
    Suite(SuiteArguments),
    /// Compare a cluster with a single node, in turn
    Ratio(Box<RatioArguments>),
    /// Keep results that later ones are measured against
    Baseline(BaselineArguments),
    /// Judge one group of results against another
    Compare(CompareArguments),
    /// Write report.md and report.html of a result again, with overlays of further results
    Report(ReportArguments),
    /// Add up the results of generators that loaded one cluster at the same time
    Merge(MergeArguments),
    /// Read a topic from its start and account for every record of this tool in it
    Verify(VerifyArguments),
    /// Find change points in a folder of results
    Trend(TrendArguments),
    /// Measure what this generator can do on this machine
    Calibrate(CalibrateArguments),
    /// Look for what would spoil a measurement here
    Doctor(DoctorArguments),
    /// Print the JSON schema of result.json
    Schema,
}

/// One load: where to, what, how fast, how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// Repeat the whole run so often, each with a result of its own; 1, or 5 against a baseline
    #[arg(long, value_name = "K")]
    pub(crate) repeat: Option<u32>,
    /// A goal for the result, for example 'p99<20ms,errors=0'
    #[arg(long)]
    pub(crate) slo: Option<String>,
    /// Judge the runs (--repeat 5) against this baseline of this machine
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Folder of all baselines
    #[arg(long, default_value = "bench-baselines", value_name = "DIR")]
    pub(crate) baselines: PathBuf,
    /// What fails against a baseline: throughput in percent down, a percentile in percent up
    #[arg(long, default_value = "throughput=-10,p99=+20")]
    pub(crate) fail_on: String,
    /// How often a suspected regression is measured again before it counts; 0 leaves it inconclusive
    #[arg(long, default_value_t = 1)]
    pub(crate) confirm: u32,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// What is done to which cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArguments {
    /// Brokers to start from, as HOST:PORT,..
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) bootstrap_servers: String,
    /// Topic; with --topics N the names get a number
    #[arg(short, long, default_value = "chronik-bench")]
    pub(crate) topic: String,
    #[arg(long, value_enum, default_value_t = Mode::Produce)]
    pub(crate) mode: Mode,
    /// Open loop at this rate (100k or 50MB per second); without it a closed loop of --concurrency
    #[arg(long, conflicts_with = "rate_profile")]
    pub(crate) rate: Option<Rate>,
    /// Open loop with a changing rate: step:10k@30s,20k@30s, ramp:10k..100k@60s or burst:10k@9s,100k@1s
    #[arg(long)]
    pub(crate) rate_profile: Option<ProfileText>,
    /// How messages are spread around the rate
    #[arg(long, value_enum, default_value_t = Arrival::Uniform)]
    pub(crate) arrival: Arrival,
    /// Messages outstanding in total in the closed loop; workers in round-trip, connect and metadata
    #[arg(long, default_value_t = 64)]
    pub(crate) concurrency: u32,
    /// Messages outstanding in total before an open loop runs late
    #[arg(long, value_parser = units::count, default_value = "500k")]
    pub(crate) max_outstanding: u64,
    /// Producer instances; auto is one for each two cores, at most four
    #[arg(long, default_value = "auto")]
    pub(crate) producers: String,
    /// Consumers of each group
    #[arg(long, default_value_t = 1)]
    pub(crate) consumers: u32,
    /// Groups that each read everything (fanout), or that are joined and left all the time (connect)
    #[arg(long)]
    pub(crate) groups: Option<u32>,
    /// Most messages per second that consumers take in mode mixed
    #[arg(long)]
    pub(crate) consume_rate: Option<Rate>,
    /// What mode backlog writes before it reads, in bytes
    #[arg(long, value_parser = units::count, default_value = "1G")]
    pub(crate) backlog: u64,
    /// Number of topics
    #[arg(long, default_value_t = 1)]
    pub(crate) topics: u32,
    /// Partitions of a topic that has to be created
    #[arg(long, default_value_t = 6)]
    pub(crate) partitions: u32,
    /// Replicas of a topic that has to be created; min(3, brokers) without it
    #[arg(long)]
    pub(crate) replication_factor: Option<u32>,
    /// Refuse to run if the topic is not there
    #[arg(long)]
    pub(crate) no_create: bool,
    /// Payload size: 1024, 100..2k or dist:FILE with lines of `size weight`
    #[arg(long, default_value = "1024")]
    pub(crate) message_size: SizeSpec,
    /// Share of random bytes in a payload: 0 compresses to nothing, 1 not at all
    #[arg(long, default_value_t = 0.5)]
    pub(crate) entropy: f64,
    /// Keys: none, seq, random:N, zipf:S,N or hot:P
    #[arg(long, default_value = "none")]
    pub(crate) key: KeySpec,
    #[arg(long, default_value = "all")]
    pub(crate) acks: String,
    #[arg(long, default_value = "none")]
    pub(crate) compression: String,
    /// Time a batch may wait; 0 in the closed loop and 5 in the open loop without it
    #[arg(long)]
    pub(crate) linger_ms: Option<f64>,
    #[arg(long, value_parser = units::count, default_value = "1000000")]
    pub(crate) batch_size: u64,
    /// Producers number their batches, so that retries cannot repeat or reorder
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Producers commit transactions of so many messages
    #[arg(long, value_name = "MESSAGES", num_args = 0..=1, default_missing_value = "1000")]
    pub(crate) transactional: Option<u64>,
    /// A property of librdkafka; wins over everything else
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
    /// A file with lines of `key=value` for librdkafka
    #[arg(long, value_name = "FILE")]
    pub(crate) client_config: Option<PathBuf>,
    /// Load before anything counts: a duration, or auto for until it is steady (at most 2 minutes);
    /// 5s without it, none in mode consume
    #[arg(long)]
    pub(crate) warmup: Option<String>,
    /// Length of the window that counts
    #[arg(long, value_parser = units::duration, default_value = "60s")]
    pub(crate) duration: Duration,
    /// Ends the window after so many messages instead
    #[arg(long, value_parser = units::count)]
    pub(crate) messages: Option<u64>,
    /// Ends the window as soon as its mean rate is known to 2 percent, after --duration at the latest
    #[arg(long)]
    pub(crate) until_steady: bool,
    /// How long to wait for open messages after the window
    #[arg(long, value_parser = units::duration, default_value = "10s")]
    pub(crate) drain: Duration,
    /// Account for the records: counts compares with broker offsets, full reads every record back
    #[arg(long, value_enum, default_value_t = Verify::Counts)]
    pub(crate) verify: Verify,
    /// Metrics pages of brokers to sample, as http://HOST:PORT/PATH,..
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    pub(crate) brokers_metrics: Vec<String>,
    /// Local broker processes to sample, as pid:N,..; auto finds who listens on the bootstrap ports
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    pub(crate) host_sample: Vec<String>,
    /// Never spin before a send; the default on machines with up to four cores
    #[arg(long)]
    pub(crate) no_spin: bool,
    /// Seed of sizes, keys, payloads and arrivals
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Where results go and what is shown meanwhile.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArguments {
    /// Name of the run
    #[arg(long, default_value = "run")]
    pub(crate) name: String,
    /// Folder for results
    #[arg(long, default_value = "bench-results", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print result.json to standard output (-) or write it to this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the seconds as intervals.csv as well
    #[arg(long)]
    pub(crate) csv: bool,
    /// What is shown while the load runs; auto is a bar on a terminal and lines elsewhere
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
    /// A live view on the whole terminal, as --progress tui
    #[arg(long, conflicts_with = "progress")]
    pub(crate) tui: bool,
}

impl OutputArguments {
    pub(crate) fn progress(&self) -> ProgressStyle {
        match self.tui {
            true => ProgressStyle::Tui,
            false => self.progress,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    Auto,
    Bar,
    Lines,
    Json,
    Tui,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Producers only
    Produce,
    /// Consumers only, from the start of the topic
    Consume,
    /// Producers and consumers; latency from the intended send to the receipt
    E2e,
    /// One record in flight per worker, from send to own receipt
    RoundTrip,
    /// Producers and, at a rate of their own, consumers from the start of the topic
    Mixed,
    /// Producers and several groups that each read everything
    Fanout,
    /// Write a backlog, then drain it with producers off and on
    Backlog,
    /// Connections: open, ask for versions, close; and groups: join, leave
    Connect,
    /// Topics: create, look up, delete
    Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Verify {
    Off,
    Counts,
    Full,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// Results of the base line: folders or result.json files, comma separated; a folder of folders is a group
    pub(crate) base: String,
    /// Results of the candidate
    pub(crate) candidate: String,
    /// What fails: throughput in percent down, a percentile in percent up
    #[arg(long, default_value = "throughput=-10,p99=+20")]
    pub(crate) fail_on: String,
    /// Independent runs of the candidate, made because it looked slow: without them nothing is a regression
    #[arg(long, value_name = "DIR")]
    pub(crate) rerun: Option<String>,
    /// The highest rate that the base can bear: latencies are gated only up to 70 % of it
    #[arg(long, value_name = "MSG/S", value_parser = units::count)]
    pub(crate) maximum: Option<u64>,
    /// Compare results of different machines; the report is marked
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the comparison as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Folder of the result
    pub(crate) dir: PathBuf,
    /// Further results drawn into the same plots
    #[arg(long, value_name = "DIR")]
    pub(crate) overlay: Vec<PathBuf>,
    /// Write the page to this file instead of into the folder
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArguments {
    /// Folders of the results
    #[arg(required = true, num_args = 2..)]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Topic to read
    pub(crate) topic: String,
    /// Brokers to start from
    #[arg(short, long)]
    pub(crate) bootstrap_servers: String,
    /// A property of librdkafka
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
    /// Longest time without a record before giving up
    #[arg(long, value_parser = units::duration, default_value = "30s")]
    pub(crate) patience: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct FindMaxArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// The goal, for example 'p99<25ms,errors=0'
    #[arg(long)]
    pub(crate) slo: String,
    /// Window of each step; a quarter of it is warm-up
    #[arg(long, value_parser = units::duration, default_value = "20s")]
    pub(crate) step: Duration,
    /// First rate to try
    #[arg(long, default_value = "5k")]
    pub(crate) start: Rate,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SoakArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// How often the state is written down
    #[arg(long, value_parser = units::duration, default_value = "60s")]
    pub(crate) checkpoint: Duration,
    /// Continue a soak that was killed or interrupted, with the arguments it was started with
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,
    /// Resident memory may grow by so many MB per minute
    #[arg(long, default_value_t = 1.0)]
    pub(crate) leak_mb_per_minute: f64,
    /// Open files and threads may grow by so many per minute
    #[arg(long, default_value_t = 0.5)]
    pub(crate) leak_handles_per_minute: f64,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SuiteArguments {
    /// A TOML file or one of builtin:smoke, modes, baseline, cluster-vs-standalone, fanout, cold-read, txn,
    /// 10k-partitions and side-by-side
    #[arg(required_unless_present = "resume")]
    pub(crate) suite: Option<String>,
    /// Go on with a suite that was interrupted or killed; what is complete is kept
    #[arg(long, value_name = "DIR", conflicts_with_all = ["suite", "rounds", "scale"])]
    pub(crate) resume: Option<PathBuf>,
    /// Rounds; in each one the targets take turns
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// The chronik-server to start; the release build next to this program without it
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Where brokers put their data; a temporary folder of --out without it
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Scale all windows, for a quick look or a long one
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RatioArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// Brokers of the single node; --bootstrap-servers names the cluster
    #[arg(long)]
    pub(crate) standalone: String,
    /// Smallest ratio that passes
    #[arg(long, default_value_t = 0.80)]
    pub(crate) min: f64,
    /// Runs of each side
    #[arg(long, default_value_t = 5)]
    pub(crate) repeat: u32,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArguments {
    /// Folder of all baselines
    #[arg(
        long,
        default_value = "bench-baselines",
        value_name = "DIR",
        global = true
    )]
    pub(crate) baselines: PathBuf,
    #[command(subcommand)]
    pub(crate) verb: BaselineVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineVerb {
    /// Keep results under a new name
    Save(NewBaseline),
    /// Names of this machine
    List,
    /// Print the results of the current baseline
    Show { name: String },
    /// Replace a baseline; the old one stays in its history
    Promote(NewBaseline),
    /// All promotions of a name
    History { name: String },
    /// Remove a baseline with its history
    Rm { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct NewBaseline {
    pub(crate) name: String,
    /// At least five results: folders, or a folder of them
    #[arg(required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// The highest rate that the cluster can bear: latencies are gated only up to 70 % of it
    #[arg(long, value_name = "RATE")]
    pub(crate) maximum: Option<Rate>,
}

#[derive(Debug, Args)]
pub(crate) struct TrendArguments {
    /// Folder of results
    pub(crate) dir: PathBuf,
    /// Only results of this name
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArguments {
    /// Brokers of the mock cluster
    #[arg(long, default_value_t = 3)]
    pub(crate) mock_brokers: u32,
    #[arg(long, default_value = "1024")]
    pub(crate) message_size: String,
    /// Window of each of the two measurements
    #[arg(long, value_parser = units::duration, default_value = "10s")]
    pub(crate) duration: Duration,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// A cluster to look at as well
    #[arg(short, long)]
    pub(crate) bootstrap_servers: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_verb() {
        let line = "chronik-bench --bootstrap-servers localhost:9092 --topic perf-baseline --mode produce \
                    --concurrency 64 --message-size 1024 --duration 60s --acks all";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        assert!(cli.verb.is_none());
        assert_eq!(cli.run.load.concurrency, 64);
        assert_eq!(cli.run.load.duration, Duration::from_secs(60));
    }
}
