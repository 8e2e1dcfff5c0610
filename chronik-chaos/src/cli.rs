//! The command line: types only.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::run::NetChoice;
use crate::span::Span;
use crate::target::Mutant;

/// Breaks a running cluster on purpose and checks what it kept.
///
/// Starts real processes in namespaces of their own, puts load on them, brings faults, heals, reads everything back
/// and judges: was an acknowledged record lost, doubled, reordered, altered or shown too early, and was service back
/// in time?
///
/// Exit codes: 0 pass, 1 too slow, 2 usage, 3 could not run, 4 inconclusive, 5 a promise was broken, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What this machine allows, and which faults therefore work here.
    Doctor,
    /// The built-in scenarios and the faults.
    List {
        /// Only scenarios with this tag: pr, rootless, nightly, mutants.
        #[arg(long)]
        tags: Option<String>,
        /// The bugs that can be planted, instead.
        #[arg(long, conflicts_with = "tags")]
        mutants: bool,
    },
    /// Runs one scenario, or all of a suite.
    Run(RunArguments),
    /// Judges the history of a run again, by today's rules.
    Check { run: PathBuf },
    /// Repeats the faults of a run, at the same times and places.
    Replay {
        run: PathBuf,
        /// How often; the hit rate is printed.
        #[arg(long, default_value_t = 1)]
        times: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Looks for fewer and shorter faults that still break the same promise.
    Shrink {
        run: PathBuf,
        /// How long to look.
        #[arg(long, default_value = "30m")]
        within: Span,
        #[command(flatten)]
        place: Place,
    },
    /// Random schedules, one after another, until the time is over or a promise is broken.
    Fuzz {
        #[arg(long, default_value = "10m")]
        duration: Span,
        #[arg(long, value_enum, default_value_t = Profile::Safety)]
        profile: Profile,
        #[arg(long, default_value_t = 3)]
        nodes: u32,
        /// 0 draws a fresh one.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Writes the report of a run anew: one HTML file without network.
    Report { run: PathBuf },
    /// All lines of a history about one place in the log, `TOPIC/PARTITION:OFFSET`.
    Trace {
        run: PathBuf,
        #[arg(long)]
        offset: String,
    },
    /// Two runs side by side.
    Diff { left: PathBuf, right: PathBuf },
    /// The same scenarios on several targets, in one table.
    Compare {
        #[arg(long, value_delimiter = ',', default_value = "chronik,kafka")]
        targets: Vec<TargetName>,
        /// Scenarios or files; all of the suite if none is named.
        scenarios: Vec<String>,
        #[arg(long, default_value = "pr")]
        suite: String,
        #[command(flatten)]
        place: Place,
    },
    /// Plants anomalies in a clean history, and on request mistakes in a real server: each must be noticed.
    ///
    /// Builds a server that can be broken on purpose, unless one is named.
    Selftest {
        #[command(flatten)]
        arguments: SelftestArguments,
        #[command(flatten)]
        place: Place,
    },
    /// Puts a cluster into the situation of a runbook and holds it there, for people and for tests of runbooks.
    ///
    /// Prints where each node listens, then `ready` once the situation is there. A line `heal` on standard input ends
    /// the situation and prints `healed`; the end of standard input ends the cluster, and what it kept is judged.
    Drill {
        /// Without one the drills are listed.
        name: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Undoes what a killed run left behind.
    Heal {
        /// One run; without it all runs under `.chronik/chaos`.
        run: Option<PathBuf>,
    },
    /// Makes hosts in namespaces of their own for another program, as long as standard input is open.
    ///
    /// Prints `host N ADDRESS NAMESPACE` for the clients' host 0 and one host for each node, then `ready`. Each line
    /// `cut N` or `join N` on standard input is done and printed again. Needs root.
    Hosts {
        #[arg(long, default_value_t = 3)]
        nodes: u32,
    },
    #[command(name = crate::contain::enter::JANITOR, hide = true)]
    Janitor { run: PathBuf },
    #[command(name = crate::contain::enter::STAGE, hide = true)]
    Stage { run: PathBuf, front: String },
    #[command(name = crate::contain::enter::WORKER, hide = true)]
    Worker { run: PathBuf },
    #[command(name = crate::contain::enter::MUTANT, hide = true)]
    Mutant {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Built-in scenarios or files.
    #[arg(required_unless_present = "suite")]
    pub(crate) scenarios: Vec<String>,
    /// All built-in scenarios with this tag.
    #[arg(long, conflicts_with = "scenarios")]
    pub(crate) suite: Option<String>,
    /// Overrides the scenario's number of nodes; replicas follow.
    #[arg(long)]
    pub(crate) nodes: Option<u32>,
    /// Repeats the decisions of an earlier run.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Overrides the time in which faults come.
    #[arg(long)]
    pub(crate) duration: Option<Span>,
    /// How often, each time with a new seed unless one is given.
    #[arg(long, default_value_t = 1)]
    pub(crate) times: u32,
    /// Brings all faults, although a promise is broken already.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArguments {
    /// A run whose history is clean; without one a history is made.
    #[arg(long)]
    pub(crate) run: Option<PathBuf>,
    /// Plants these mistakes into a real server, too, by number or name; `all` stands for every one.
    #[arg(long, value_delimiter = ',')]
    pub(crate) mutants: Option<Vec<String>>,
    /// Kills this program in the middle of these faults: nothing may be left behind; `all` stands for every one.
    #[arg(long, value_delimiter = ',')]
    pub(crate) killed: Option<Vec<String>>,
    /// How often each scenario that noticed something runs where nothing is planted.
    #[arg(long, default_value_t = 0)]
    pub(crate) clean: u32,
    /// Writes the matrix as a page.
    #[arg(long)]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// `chronik`, `kafka`, or `attach:HOST:PORT` for a cluster that runs already; `attach:FILE` also says how to get at
    /// its nodes.
    #[arg(long, default_value = "chronik")]
    pub(crate) target: TargetName,
    /// `chronik-server`; by default the one beside this program.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Where runs are kept.
    #[arg(long, default_value = ".chronik/chaos")]
    pub(crate) out: PathBuf,
    #[arg(long, value_enum, default_value_t = NetChoice::Auto)]
    pub(crate) net: NetChoice,
    /// Plants a bug into the server, to see whether a scenario finds it: `flush-lies` into any server, one of
    /// `chronik-chaos list --mutants` into one that was built with `--features chaos`.
    #[arg(long)]
    pub(crate) mutant: Option<Mutant>,
    /// Goes on where the same command at the same commit was cut short.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Says nothing while it runs.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetName {
    Chronik,
    Kafka,
    /// Somebody else's cluster, by an address or a file.
    Attach(String),
}

impl FromStr for TargetName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("attach:")) {
            ("chronik", _) => Ok(TargetName::Chronik),
            ("kafka", _) => Ok(TargetName::Kafka),
            (_, Some(place)) => Ok(TargetName::Attach(place.to_owned())),
            _ => Err("a target is `chronik`, `kafka`, `attach:HOST:PORT` or `attach:FILE`"),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetName::Chronik => "chronik",
            TargetName::Kafka => "kafka",
            TargetName::Attach(_) => "attached",
        })
    }
}

/// What a fuzzer may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Everything at once; only promises count.
    Safety,
    /// A majority stays healthy, and writes must go on.
    Liveness,
    /// A random part of all faults for each schedule.
    Swarm,
}
