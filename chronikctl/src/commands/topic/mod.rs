//! `chronikctl topic`: by Kafka's protocol, so that it works with any Kafka cluster.

mod add_partitions;
pub(crate) mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod trim;

use clap::Subcommand;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::{Failure, Verdict};
use crate::kafka::Kafka;
use crate::mutate::Plan;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone};
use crate::session::Session;

pub(crate) use describe::{
    EARLIEST, LATEST, Offsets, TopicDescription, every_offset, find, leaders, patient_offsets,
};
pub(crate) use list::TopicList;
pub(crate) use trim::Trimmed;

#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// All topics
    #[command(
        after_help = "Examples:\n  chronikctl topic list\n  chronikctl topic list -o tsv --columns topic --no-headers"
    )]
    List(list::Args),
    /// One topic: its partitions, offsets and settings
    #[command(after_help = "Examples:\n  chronikctl topic describe orders")]
    Describe(describe::Args),
    /// Creates topics
    #[command(
        after_help = "Examples:\n  chronikctl topic create orders --partitions 12 --replicas 3 --yes\n  chronikctl topic create audit --config retention.ms=-1 --dry-run"
    )]
    Create(create::Args),
    /// Deletes topics and all their records
    #[command(
        after_help = "Examples:\n  chronikctl topic delete orders --dry-run\n  chronikctl topic delete orders old-orders --yes\n  chronikctl topic delete --regex '^test-' --dry-run"
    )]
    Delete(delete::Args),
    /// Gives a topic more partitions
    #[command(
        after_help = "Examples:\n  chronikctl topic add-partitions orders --total 24 --dry-run"
    )]
    AddPartitions(add_partitions::Args),
    /// Changes the settings of a topic; `config get` shows them
    #[command(
        after_help = "Examples:\n  chronikctl topic alter orders --set retention.ms=86400000 --dry-run\n  chronikctl topic alter orders --reset retention.ms --yes"
    )]
    Alter(alter::Args),
    /// Drops the oldest records of a topic
    #[command(
        after_help = "Examples:\n  chronikctl topic trim orders --before 2026-11-21T00:00:00Z --dry-run\n  chronikctl topic trim orders --before end --partition 3 --yes"
    )]
    Trim(trim::Args),
}

pub(crate) async fn run(session: &Session, topic: &Topic) -> Result<Answer, Failure> {
    match topic {
        Topic::List(args) => list::run(session, args).await,
        Topic::Describe(args) => describe::run(session, args).await,
        Topic::Create(args) => create::run(session, args).await,
        Topic::Delete(args) => delete::run(session, args).await,
        Topic::AddPartitions(args) => add_partitions::run(session, args).await,
        Topic::Alter(args) => alter::run(session, args).await,
        Topic::Trim(args) => trim::run(session, args).await,
    }
}

/// What became of each of several things.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ItemList {
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) done: bool,
    /// Why not.
    pub(crate) error: Option<String>,
}

impl Item {
    pub(crate) fn of(name: &str, outcome: Result<(), Failure>) -> Item {
        Item {
            name: name.to_owned(),
            done: outcome.is_ok(),
            error: outcome.err().map(|failure| failure.error.message),
        }
    }
}

/// One row for each thing; a single failed one fails the command.
pub(crate) fn items(cluster_id: &str, noun: &'static str, done: &str, items: Vec<Item>) -> Answer {
    let mut table = Table::new(&[Column::text(noun), Column::text("outcome")]);
    for item in &items {
        let outcome = match &item.error {
            None => Cell::toned(Tone::Good, done),
            Some(error) => Cell::toned(Tone::Bad, format!("FAILED: {error}")),
        };
        table.row(vec![item.name.as_str().into(), outcome]);
    }
    let has_failed = items.iter().any(|item| !item.done);
    let mut answer = Answer::of("ItemList", cluster_id, &ItemList { items });
    answer.rows = Rows::Of("items");
    answer.tables.push(table);
    if has_failed {
        answer.verdict = Verdict::SomeFailed;
    }
    answer
}

/// A conversation with the cluster that is meant, and the plan of what is to be done to these topics.
async fn begin(session: &Session, verb: &str, topics: &[String]) -> Result<(Kafka, Plan), Failure> {
    let kafka = session.own_kafka().await?;
    let action = format!("{verb} {}", topics.join(", "));
    let plan = Plan::new(session, &kafka.cluster_id, action);
    Ok((kafka, plan))
}

/// The first and the next offset of each partition of a topic, as far as their leaders answer.
pub(crate) async fn edges(kafka: &mut Kafka, topic: &str) -> (Offsets, Offsets) {
    let Ok(found) = describe::find(kafka, topic).await else {
        return Default::default();
    };
    let leaders = describe::leaders(&found);
    let start = describe::offsets(kafka, topic, &leaders, EARLIEST).await;
    let end = describe::offsets(kafka, topic, &leaders, LATEST).await;
    (start, end)
}

/// `NAME=VALUE`.
pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (name, value) = pair.ok_or_else(|| format!("{text:?} is no NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn name_of(topic: &MetadataResponseTopic) -> String {
    topic
        .name
        .as_ref()
        .map(|name| name.to_string())
        .unwrap_or_default()
}
