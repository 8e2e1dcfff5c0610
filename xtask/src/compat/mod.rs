//! Runs the test suites of foreign clients against fresh nodes, and keeps the lists of what must pass.

pub(crate) mod java;
mod kafka_python;
mod librdkafka;
mod lists;
mod report;
mod target;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::target::Target;
use crate::Outcome;

/// Two cores, and tests that mostly wait.
const JOBS: usize = 2;

#[derive(Args)]
pub(crate) struct Options {
    suite: Suite,
    /// The broker under test; `kafka` shows what the suite says about the original
    #[arg(long, value_enum, default_value_t = Target::Chronik)]
    target: Target,
    /// Run only cases whose name contains this, and write no result
    #[arg(long)]
    only: Option<String>,
    /// Nodes of each cluster; with several, results and what must pass are lists of their own
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// A server to test instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
    /// How many cases run side by side
    #[arg(long, default_value_t = JOBS)]
    jobs: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    Librdkafka,
    KafkaPython,
    Java,
}

pub(crate) fn run(options: &Options) -> Outcome {
    match options.suite {
        Suite::Librdkafka => librdkafka::run(options),
        Suite::KafkaPython => kafka_python::run(options),
        Suite::Java => java::run(options),
    }
}

/// All suites against a node of this checkout.
pub(crate) fn run_all() -> Outcome {
    for suite in [Suite::Java, Suite::KafkaPython, Suite::Librdkafka] {
        run(&Options {
            suite,
            target: Target::Chronik,
            only: None,
            nodes: 1,
            server: None,
            jobs: JOBS,
        })?;
    }
    Ok(())
}
