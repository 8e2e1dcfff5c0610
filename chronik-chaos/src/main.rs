//! Breaks a running cluster on purpose and checks what it kept.

mod cli;
mod commands;
mod contain;
mod disk;
mod history;
mod nemesis;
mod net;
mod output;
mod report;
mod run;
mod scenario;
mod schedule;
mod seed;
mod span;
mod sys;
mod target;
mod verdict;
mod wire;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Command};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Doctor => commands::doctor::doctor(),
        Command::List { tags, mutants } => match mutants {
            true => commands::list::mutants(),
            false => commands::list::list(tags.as_deref()),
        },
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Check { run } => commands::check::check(&run),
        Command::Replay { run, times, place } => commands::replay::replay(&run, times, &place),
        Command::Shrink { run, within, place } => commands::shrink::shrink(&run, within, &place),
        Command::Fuzz {
            duration,
            profile,
            nodes,
            seed,
            place,
        } => commands::fuzz::fuzz(duration, profile, nodes, seed, &place),
        Command::Report { run } => commands::report::report(&run),
        Command::Trace { run, offset } => commands::trace::trace(&run, &offset),
        Command::Diff { left, right } => commands::diff::diff(&left, &right),
        Command::Compare {
            targets,
            scenarios,
            suite,
            place,
        } => commands::compare::compare(&targets, &scenarios, &suite, &place),
        Command::Selftest { arguments, place } => commands::selftest::selftest(&arguments, &place),
        Command::Drill { name, place } => commands::drill::drill(name.as_deref(), &place),
        Command::Heal { run } => commands::heal::heal(run.as_deref()),
        Command::Hosts { nodes } => commands::hosts::hosts(nodes),
        Command::Janitor { run } => commands::inside::janitor(&run),
        Command::Stage { run, front } => commands::inside::stage(&run, &front),
        Command::Worker { run } => commands::inside::worker(&run),
        Command::Mutant { command } => commands::inside::mutant(&command),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failed) => {
            output::complain(output::chain(&failed));
            ExitCode::from(failed.exit_code())
        }
    }
}
