//! `verify`: reads a whole topic and judges every record of this tool in it by its own header.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::cli::VerifyArguments;
use crate::client::ClientSettings;
use crate::commands::run::tool_client;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::load::{self, AccountEvent, ReadBack, RunAccounts};
use crate::output;
use crate::topic::{Cluster, TopicLayout};

const PIECES_MAX: usize = 256;

/// What to read, and whose records.
pub(crate) struct Reading<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) client: &'a ClientSettings,
    pub(crate) topics: &'a [String],
    /// Only those of this run, or those of all runs.
    pub(crate) run: Option<u64>,
    /// Longest time without a record before giving up.
    pub(crate) patience: Duration,
}

pub(crate) fn run(arguments: &VerifyArguments) -> Result<Exit, BenchError> {
    let client = tool_client(&arguments.bootstrap_servers, &arguments.properties)?;
    let reading = Reading {
        bootstrap: &arguments.bootstrap_servers,
        client: &client,
        topics: std::slice::from_ref(&arguments.topic),
        run: None,
        patience: arguments.patience,
    };
    let (read, accounts) = reading.accounts()?;
    output::line(&format!(
        "{}: {read} records read, {} of them not of this tool",
        arguments.topic, accounts.foreign
    ));
    Ok(print(&accounts))
}

impl Reading<'_> {
    /// Reads everything, and accounts for each run.
    pub(crate) fn accounts(&self) -> Result<(u64, RunAccounts), BenchError> {
        let cluster = Cluster::connect(self.bootstrap, self.client)?;
        let topics: Vec<TopicLayout> = self
            .topics
            .iter()
            .map(|topic| cluster.existing_topic(topic))
            .collect::<Result<_, _>>()?;
        let from = cluster.start_offsets(&topics)?;
        let to = cluster.end_offsets(&topics)?;
        let places = load::places(&topics);
        let (pieces, taken) = sync_channel::<AccountEvent>(PIECES_MAX);
        let read_back = ReadBack {
            client: self.client,
            from: &from,
            to: &to,
            run: self.run,
            places: &places,
            patience: self.patience,
        };
        thread::scope(|scope| {
            let keeper = scope.spawn(move || RunAccounts::keep(&taken));
            let read = read_back.run(&pieces);
            drop(pieces);
            let accounts = keeper.join().expect("the account does not panic");
            Ok((read?, accounts))
        })
    }
}

fn print(accounts: &RunAccounts) -> Exit {
    let mut exit = Exit::Pass;
    for (run, ledger) in &accounts.runs {
        output::line(&format!(
            "  run {run:016x}: {} records, {} duplicated, {} reordered, {} missing in between",
            ledger.read, ledger.duplicated.count, ledger.reordered.count, ledger.lost.count
        ));
        if !ledger.is_clean() {
            exit = Exit::Integrity;
        }
        for tally in [&ledger.lost, &ledger.duplicated, &ledger.reordered] {
            for example in &tally.examples {
                output::line(&format!("    {example}"));
            }
        }
    }
    if accounts.corrupt.count > 0 {
        exit = Exit::Integrity;
        output::line(&format!("  {} corrupt", accounts.corrupt.count));
        for example in &accounts.corrupt.examples {
            output::line(&format!("    {example}"));
        }
    }
    exit
}
