//! Measures a Kafka-compatible cluster under honest load. Nothing is available yet; the command line says so.

use clap::{CommandFactory, Parser, error::ErrorKind};

/// Measures a Kafka-compatible cluster under honest load.
///
/// Open-loop load with latency histograms, the highest rate under a goal, soak runs, baselines and a verdict:
/// this is what the program will do. None of it is available in this version.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() {
    Arguments::parse();
    Arguments::command()
        .error(
            ErrorKind::MissingSubcommand,
            "no command is available in this version yet",
        )
        .exit();
}
