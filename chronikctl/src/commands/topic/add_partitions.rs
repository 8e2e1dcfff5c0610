//! `chronikctl topic add-partitions`: more of them; keys then go elsewhere, which is said first.

use kafka_protocol::messages::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;

use super::{Item, describe, items};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, topic_name};
use crate::mutate::{self, Plan};
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// How many there shall be then
    #[arg(long, value_name = "COUNT")]
    total: i32,
    #[command(flatten)]
    consent: Consent,
}

const CREATE_PARTITIONS: i16 = 1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let topic = describe::find(&mut kafka, &args.topic).await?;
    add(&mut kafka, args, true).await?;
    let (name, total) = (&args.topic, args.total);
    let action = format!("give topic {name} {total} partitions");
    let mut plan = Plan::new(session, &cluster_id, action);
    plan.change(format!(
        "topic {name}: {} partitions -> {total}",
        topic.partitions.len()
    ));
    plan.change("records with the same key may go to another partition from then on");
    let act = async {
        add(&mut kafka, args, false).await?;
        let after = describe::find(&mut kafka, name).await?;
        let count = after.partitions.len();
        let is_done = usize::try_from(total).is_ok_and(|total| total == count);
        let item = Item {
            name: name.clone(),
            done: is_done,
            error: (!is_done).then(|| format!("it has {count} partitions")),
        };
        Ok(items(&cluster_id, "topic", "extended", vec![item]))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn add(kafka: &mut Kafka, args: &Args, is_dry_run: bool) -> Result<(), Failure> {
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(&args.topic))
        .with_count(args.total)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(kafka.timeout_ms())
        .with_validate_only(is_dry_run);
    let controller = kafka.controller;
    let answer = kafka.ask(controller, CREATE_PARTITIONS, &request).await?;
    let mut results = answer.results.iter();
    results.try_for_each(|result| {
        let message = result.error_message.as_ref();
        outcome(result.error_code, "topic", &args.topic, message)
    })
}
