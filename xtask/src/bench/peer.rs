//! The door to the measuring program of the lanes between nodes.

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
        "chronik-server",
        "--bench",
        "peer",
        "--locked",
        "--",
    ]);
    step::run("bench peer", bench.args(&options.arguments))
}
