//! `chronikctl topic create`: Kafka's words and defaults; the cluster itself checks the plan.

use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};

use super::{Item, begin, items, setting};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, text, topic_name};
use crate::mutate;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of each; the cluster's default if not given
    #[arg(short, long, value_name = "COUNT")]
    partitions: Option<i32>,
    /// Replicas of each partition; the cluster's default if not given
    #[arg(short, long, value_name = "COUNT")]
    replicas: Option<i16>,
    /// A setting, as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    config: Vec<(String, String)>,
    #[command(flatten)]
    consent: Consent,
}

const CREATE_TOPICS: i16 = 5;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let (mut kafka, mut plan) = begin(session, "create", &args.topics).await?;
    let cluster_id = plan.cluster_id.clone();
    let planned = create(&mut kafka, args, true).await?;
    // What the cluster refuses alone ends with the cluster's own reason; of several, each has its own.
    if let [(_, Err(refused))] = planned.as_slice() {
        return Err(refused.clone());
    }
    for (name, outcome) in &planned {
        plan.change(match outcome {
            Ok(()) => format!("topic {name}: {}", layout(args)),
            Err(refused) => format!("nothing: {}", refused.error.message),
        });
    }
    let act = async {
        let created = create(&mut kafka, args, false).await?;
        let created = created
            .into_iter()
            .map(|(name, outcome)| Item::of(&name, outcome));
        Ok(items(&cluster_id, "topic", "created", created.collect()))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

type Outcomes = Vec<(String, Result<(), Failure>)>;

async fn create(kafka: &mut Kafka, args: &Args, is_dry_run: bool) -> Result<Outcomes, Failure> {
    let request = request(kafka, args, is_dry_run);
    let controller = kafka.controller;
    let answer = kafka.ask(controller, CREATE_TOPICS, &request).await?;
    let items = answer.topics.into_iter().map(|topic| {
        let name = topic.name.to_string();
        let message = topic.error_message.as_ref();
        let outcome = outcome(topic.error_code, "topic", &name, message);
        (name, outcome)
    });
    Ok(items.collect())
}

fn layout(args: &Args) -> String {
    let count = |count: Option<i32>, what: &str| match count {
        Some(count) => format!("{count} {what}"),
        None => format!("the default number of {what}"),
    };
    let partitions = count(args.partitions, "partitions");
    let replicas = count(args.replicas.map(i32::from), "replicas");
    format!("{partitions}, {replicas}")
}

fn request(kafka: &Kafka, args: &Args, is_dry_run: bool) -> CreateTopicsRequest {
    let config = |(name, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    };
    let topic = |name: &String| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(args.partitions.unwrap_or(-1))
            .with_replication_factor(args.replicas.unwrap_or(-1))
            .with_configs(args.config.iter().map(config).collect())
    };
    CreateTopicsRequest::default()
        .with_topics(args.topics.iter().map(topic).collect())
        .with_timeout_ms(kafka.timeout_ms())
        .with_validate_only(is_dry_run)
}
