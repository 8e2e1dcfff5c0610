//! The developer's commands: thin doors to what the packages, cargo and foreign tools do.

mod bench;
mod ci;
mod compat;
mod docs;
mod down;
mod error;
mod fuzz;
mod output;
mod schemathesis;
mod sim;
mod step;
mod test;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::XtaskError;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The developer's commands of Chronik")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and start nodes on localhost with their data in ./.chronik
    Up(up::Options),
    /// Stop the nodes that `up` started
    Down,
    /// Run every check and test that a change must pass
    Test(test::Options),
    /// Run what the nightly machine runs: the tests, longer fuzzing, and the foreign suites
    Ci,
    /// Run a foreign client's own test suite against a node
    Compat(compat::Options),
    /// Ask the admin API of three nodes thousands of questions, made of its own document
    Schemathesis(schemathesis::Options),
    /// Measure against a peer on the same disk
    Bench(bench::Options),
    /// Build and run the fuzz targets
    Fuzz(fuzz::Options),
    /// Simulate clusters under faults, many seeds of them
    Sim(sim::Options),
    /// Write the generated references again
    Docs,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Up(options) => up::run(&options),
        Command::Down => down::run(),
        Command::Test(options) => test::run(&options),
        Command::Ci => ci::run(),
        Command::Compat(options) => compat::run(&options),
        Command::Schemathesis(options) => schemathesis::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Docs => docs::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// What every command ends in.
type Outcome = Result<(), XtaskError>;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
