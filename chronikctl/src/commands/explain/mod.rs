//! `chronikctl explain`: why something is as it is. Each cause has what the nodes say of it, and the next command.

mod group;
mod node;
mod operation;
mod partition;

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Answer, Tone, plural};
use crate::session::Session;

pub(crate) use node::{DISK_FULL_PERCENT, of_itself as node_causes};

#[derive(Debug, Subcommand)]
pub(crate) enum Explain {
    /// Why a partition, or `meta`, has no leader, lags, or moves
    #[command(after_help = "Examples:\n  chronikctl explain partition orders/3")]
    Partition(partition::Args),
    /// Why a node is silent, not ready, full, or behind
    #[command(after_help = "Examples:\n  chronikctl explain node 3")]
    Node(node::Args),
    /// Why a consumer group does not get on
    #[command(after_help = "Examples:\n  chronikctl explain group billing")]
    Group(group::Args),
    /// Why moves that were ordered together have not arrived
    #[command(after_help = "Examples:\n  chronikctl explain operation 4711")]
    Operation(operation::Args),
}

/// Why something is as it is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Explanation {
    subject: String,
    /// How it is, as a sentence.
    state: String,
    /// Empty if everything is as it should be.
    causes: Vec<Cause>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Cause {
    pub(crate) code: String,
    /// A sentence.
    pub(crate) message: String,
    /// What shows it, a sentence each.
    pub(crate) evidence: Vec<String>,
    /// The next command to type; empty if nothing has to be done.
    pub(crate) next: String,
}

pub(crate) async fn run(session: &Session, explain: &Explain) -> Result<Answer, Failure> {
    match explain {
        Explain::Partition(args) => partition::run(session, args).await,
        Explain::Node(args) => node::run(session, args).await,
        Explain::Group(args) => group::run(session, args).await,
        Explain::Operation(args) => operation::run(session, args).await,
    }
}

impl Cause {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Cause {
        Cause {
            code: code.to_owned(),
            message: message.into(),
            evidence: Vec::new(),
            next: String::new(),
        }
    }

    pub(crate) fn with(mut self, evidence: impl IntoIterator<Item = String>) -> Cause {
        self.evidence.extend(evidence);
        self
    }

    pub(crate) fn next(mut self, command: impl Into<String>) -> Cause {
        self.next = command.into();
        self
    }
}

fn told(cluster_id: &str, explanation: &Explanation) -> Answer {
    let Explanation {
        subject,
        state,
        causes,
    } = explanation;
    let mut answer = Answer::of("Explanation", cluster_id, explanation);
    let (tone, verdict) = match causes.len() as u64 {
        0 => (Tone::Good, "as it should be".to_owned()),
        count => (Tone::Strong, plural(count, "cause")),
    };
    let headline = format!("{subject}: {state}: {verdict}");
    answer.headlines.push((tone, headline));
    for cause in causes {
        let first = format!("! {}  {}", cause.code, cause.message);
        answer.footers.push((Tone::Bad, first));
        let evidence = cause.evidence.iter();
        let lines = evidence.map(|line| (Tone::Plain, format!("    {line}")));
        answer.footers.extend(lines);
        if !cause.next.is_empty() {
            let next = format!("    ->  {}", cause.next);
            answer.footers.push((Tone::Dim, next));
        }
    }
    answer
}
