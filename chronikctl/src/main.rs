//! Sees and steers a Chronik cluster from a command line. Nothing is available yet; the command line says so.

use clap::{CommandFactory, Parser, error::ErrorKind};

/// Sees and steers a Chronik cluster from a command line.
///
/// Raft status, leadership, topics, groups, nodes and snapshots, for scripts and for people:
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
