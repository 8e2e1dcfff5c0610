//! `chronikctl topic config`: what holds for a topic, where it comes from, and changes of it.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use schemars::JsonSchema;
use serde::Serialize;

use super::setting;
use crate::cli::Consent;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, text};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Cell, Column, Table, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Sets a setting, as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Gives a setting its default back, as often as needed
    #[arg(long, value_name = "NAME")]
    reset: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// The settings of a topic.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TopicConfig {
    topic: String,
    configs: Vec<Config>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// It was not set on the topic.
    pub(super) is_default: bool,
}

const DESCRIBE_CONFIGS: i16 = 2;
const INCREMENTAL_ALTER_CONFIGS: i16 = 0;
/// Kafka's number for topics among the resources.
const TOPIC: i8 = 2;
/// Kafka's number for a value that was set on the topic itself.
const SET_ON_TOPIC: i8 = 1;
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let before = read(&mut kafka, &args.topic).await?;
    if args.set.is_empty() && args.reset.is_empty() {
        return Ok(answer(&cluster_id, &args.topic, before));
    }
    let mut plan = Plan::new(
        session,
        &cluster_id,
        format!("change settings of topic {}", args.topic),
    );
    let present = |name: &str| {
        let known = before.iter().find(|config| config.name == name);
        known
            .and_then(|config| config.value.clone())
            .unwrap_or_else(|| "-".to_owned())
    };
    for (name, value) in &args.set {
        plan.change(format!("{name}: {} -> {value}", present(name)));
    }
    for name in &args.reset {
        plan.change(format!("{name}: {} -> its default", present(name)));
    }
    alter(&mut kafka, args, true).await?;
    let act = async {
        alter(&mut kafka, args, false).await?;
        let after = read(&mut kafka, &args.topic).await?;
        Ok(answer(&cluster_id, &args.topic, after))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// What holds for a topic now.
pub(super) async fn read(kafka: &mut Kafka, topic: &str) -> Result<Vec<Config>, Failure> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = kafka.any(DESCRIBE_CONFIGS, &request).await?;
    let mut configs = Vec::new();
    for result in answer.results {
        let message = result.error_message.as_ref();
        outcome(result.error_code, "topic", topic, message)?;
        configs.extend(result.configs.into_iter().map(|config| Config {
            name: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            is_default: config.config_source != SET_ON_TOPIC,
        }));
    }
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(configs)
}

async fn alter(kafka: &mut Kafka, args: &Args, is_dry_run: bool) -> Result<(), Failure> {
    let set = args.set.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(SET)
            .with_value(Some(text(value)))
    });
    let reset = args.reset.iter().map(|name| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(DELETE)
            .with_value(None)
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(&args.topic))
        .with_configs(set.chain(reset).collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(is_dry_run);
    let controller = kafka.controller;
    let answer = kafka
        .ask(controller, INCREMENTAL_ALTER_CONFIGS, &request)
        .await?;
    let mut results = answer.responses.iter();
    results.try_for_each(|result| {
        let message = result.error_message.as_ref();
        outcome(result.error_code, "topic", &args.topic, message)
    })
}

fn answer(cluster_id: &str, topic: &str, configs: Vec<Config>) -> Answer {
    let columns = [
        Column::text("setting"),
        Column::text("value"),
        Column::text("from"),
    ];
    let mut table = Table::new(&columns);
    for config in &configs {
        let from = match config.is_default {
            true => Cell::toned(Tone::Dim, "default"),
            false => Cell::toned(Tone::Good, "topic"),
        };
        table.row(vec![
            config.name.as_str().into(),
            Cell::maybe(config.value.as_ref()),
            from,
        ]);
    }
    let topic = topic.to_owned();
    let mut answer = Answer::of("TopicConfig", cluster_id, &TopicConfig { topic, configs });
    answer.rows = answer.data["configs"].as_array().cloned();
    answer.tables.push(table);
    answer
}
