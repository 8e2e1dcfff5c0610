//! `chronikctl topic delete`: says what goes before it goes.

use kafka_protocol::messages::DeleteTopicsRequest;

use super::describe::{self, EARLIEST, LATEST};
use super::{Item, begin, items};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, topic_name};
use crate::mutate;
use crate::output::{Answer, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

const DELETE_TOPICS: i16 = 4;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (mut kafka, mut plan) = begin(session, "delete", &args.topics).await?;
    let cluster_id = plan.cluster_id.clone();
    for name in &args.topics {
        plan.change(loss(&mut kafka, name).await?);
    }
    let act = async {
        let deleted = delete(&mut kafka, args).await?;
        Ok(items(&cluster_id, "topic", "deleted", deleted))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// What will not be there any more. A topic that does not exist ends the command.
async fn loss(kafka: &mut Kafka, name: &str) -> Result<String, Failure> {
    let topic = describe::find(kafka, name).await?;
    let leaders = describe::leaders(&topic);
    let start = describe::offsets(kafka, name, &leaders, EARLIEST).await;
    let end = describe::offsets(kafka, name, &leaders, LATEST).await;
    let records = end
        .iter()
        .map(|(partition, end)| end - start.get(partition).unwrap_or(&0));
    let partitions = plural(topic.partitions.len() as u64, "partition");
    let records = plural(records.sum::<i64>().unsigned_abs(), "record");
    Ok(format!(
        "topic {name} goes for ever: {partitions} with {records}"
    ))
}

async fn delete(kafka: &mut Kafka, args: &Args) -> Result<Vec<Item>, Failure> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(args.topics.iter().map(|name| topic_name(name)).collect())
        .with_timeout_ms(kafka.timeout_ms());
    let controller = kafka.controller;
    let answer = kafka.ask(controller, DELETE_TOPICS, &request).await?;
    let items = answer.responses.into_iter().map(|topic| {
        let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
        let outcome = outcome(topic.error_code, "topic", &name, None);
        Item::of(&name, outcome)
    });
    Ok(items.collect())
}
