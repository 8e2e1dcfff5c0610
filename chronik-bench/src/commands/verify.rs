//! `verify`: reads a whole topic and judges every record of this tool in it by its own header.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::cli::VerifyArguments;
use crate::commands::run::tool_client;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::load::{AccountEvent, ReadBack, RunAccounts};
use crate::output;
use crate::topic::Cluster;

const PIECES_MAX: usize = 256;

pub(crate) fn run(arguments: &VerifyArguments) -> Result<Exit, BenchError> {
    let bootstrap = &arguments.bootstrap_servers;
    let client = tool_client(bootstrap, &arguments.properties)?;
    let cluster = Cluster::connect(bootstrap, &client)?;
    let layout = cluster.ensure_topic(&arguments.topic, 1, None, false)?;
    let topics = [layout];
    let from = cluster.start_offsets(&topics)?;
    let to = cluster.end_offsets(&topics)?;
    let places = BTreeMap::from([(arguments.topic.clone(), 0)]);
    let (pieces, taken) = sync_channel::<AccountEvent>(PIECES_MAX);
    let read_back = ReadBack {
        client: &client,
        from: &from,
        to: &to,
        run: None,
        places: &places,
        patience: arguments.patience,
    };
    let (read, accounts) = thread::scope(|scope| {
        let keeper = scope.spawn(move || RunAccounts::keep(&taken));
        let read = read_back.run(&pieces);
        drop(pieces);
        (read, keeper.join().expect("the account does not panic"))
    });
    let read = read?;
    output::line(&format!(
        "{}: {read} records read, {} of them not of this tool",
        arguments.topic, accounts.foreign
    ));
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
    Ok(exit)
}
