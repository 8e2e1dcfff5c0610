//! Breaks a running cluster on purpose and checks what it kept. Nothing is available yet; the command line says so.

use clap::{CommandFactory, Parser, error::ErrorKind};

/// Breaks a running cluster on purpose and checks what it kept.
///
/// Seeded faults against real processes, and a checker that finds lost, duplicated, reordered or divergent records:
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
