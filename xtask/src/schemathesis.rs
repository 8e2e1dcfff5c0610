//! The admin API under questions that nobody thought of: what its document describes, and what it does not.

use std::path::PathBuf;

use chronik_local::foreign::schemathesis;
use chronik_local::{ChronikOptions, probe};
use clap::Args;

use crate::error::XtaskError;
use crate::{Outcome, output, step};

const NODES: usize = 3;

#[derive(Args)]
pub(crate) struct Options {
    /// Questions to each operation
    #[arg(long, default_value_t = 300)]
    questions: u32,
    /// Where the questions come from
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// A server to test instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = step::server(options.server.as_deref())?;
    let dir = step::temp_dir("schemathesis")?;
    let mut cluster = ChronikOptions::new(server, dir.path()).cluster(NODES)?;
    cluster.start()?;
    let created = probe::create_topic(cluster.node(1).kafka_address(), "orders", 3, 3);
    if !matches!(created, Ok(0)) {
        let message = format!("the topic was not created: {created:?}");
        return Err(XtaskError::Refused(message));
    }
    let address = cluster
        .node(1)
        .admin_address()
        .expect("Chronik has an admin door");
    output::heading(&format!(
        "{} questions to each operation",
        options.questions
    ));
    let url = format!("http://{address}/openapi.json");
    let said = schemathesis::try_api(&url, options.questions, options.seed, PASSED_OVER)?;
    output::line(&said);
    cluster.stop()?;
    let offences = cluster.unannounced_errors(&[])?;
    match offences.is_empty() {
        true => Ok(()),
        false => Err(XtaskError::Refused(offences.join("\n"))),
    }
}

/// Events have no end, and a member that leaves ends the test.
const PASSED_OVER: &str = "/v1/cluster/events|/v1/placement/remove-node";
