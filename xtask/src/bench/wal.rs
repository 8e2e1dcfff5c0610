//! The door to the log's own measuring program.

use clap::Args;

use crate::{Outcome, step};

#[derive(Args)]
pub(crate) struct Options {
    /// Passed on to the measuring program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut bench = step::cargo(&[
        "bench",
        "-p",
        "chronik-wal",
        "--bench",
        "wal",
        "--locked",
        "--",
    ]);
    step::run("bench wal", bench.args(&options.arguments))
}
