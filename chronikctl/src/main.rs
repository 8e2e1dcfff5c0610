//! Parses, asks, prints, and turns the outcome into an exit code.

mod cli;
mod clock;
mod commands;
mod complete;
mod config;
mod context;
mod exit;
#[cfg(test)]
mod golden;
mod journal;
mod kafka;
mod mutate;
mod output;
mod session;
#[cfg(test)]
mod tests;
mod tui;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use cli::Cli;
use commands::Said;
use config::{Environment, Settings};
use exit::{Failure, Verdict};
use output::Printer;
use session::Session;

fn main() -> ExitCode {
    complete::answer_a_shell();
    let environment = Environment::of_this_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are such errors too, and know that they are none.
            _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let printer = match config::printer(&cli.global, &environment) {
        Ok(printer) => printer,
        Err(failure) => return fail(&Printer::default(), &failure),
    };
    match run(&cli, &environment) {
        Ok(verdict) => ExitCode::from(verdict.code()),
        Err(failure) => fail(&printer, &failure),
    }
}

fn run(cli: &Cli, environment: &Environment) -> Result<Verdict, Failure> {
    let settings = Settings::new(&cli.global, environment)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(chronik_admin::Code::Internal, error.to_string()))?;
    let session = Session::new(settings);
    let outcome = runtime.block_on(async {
        if let Some(every) = session.settings.watch {
            return watch::run(&session, &cli.command, every).await;
        }
        match commands::run(&session, &cli.command).await? {
            Said::Answer(answer) => {
                // The process ends: to take a long answer apart would only take time.
                let answer = Box::leak(answer);
                session.settings.printer.answer(answer)?;
                Ok(answer.verdict)
            }
            Said::Printed(verdict) => Ok(verdict),
        }
    });
    // A lookup of a name may still run on another thread: nobody waits for it.
    runtime.shutdown_background();
    outcome
}

fn fail(printer: &Printer, failure: &Failure) -> ExitCode {
    printer.failure(failure);
    ExitCode::from(failure.code())
}
