//! `chronikctl topic alter`: other settings for a topic; the cluster itself checks them first.

use std::time::{Duration, Instant};

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use tokio::time::sleep;

use super::setting;
use crate::cli::Consent;
use crate::commands::config::{Of, of_topic, told};
use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, outcome, text};
use crate::mutate::{self, Plan};
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Sets a setting, as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, required_unless_present = "reset")]
    set: Vec<(String, String)>,
    /// Gives a setting its default back, as often as needed
    #[arg(long, value_name = "NAME")]
    reset: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// What shall be different.
pub(crate) struct Wanted<'a> {
    pub(crate) topic: &'a str,
    pub(crate) set: &'a [(String, String)],
    pub(crate) reset: &'a [String],
}

const INCREMENTAL_ALTER_CONFIGS: i16 = 0;
/// Kafka's number for topics among the resources.
const TOPIC: i8 = 2;
/// The nodes hear of it in no time, if they are there.
const WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SET: i8 = 0;
const DELETE: i8 = 1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let wanted = Wanted {
        topic: &args.topic,
        set: &args.set,
        reset: &args.reset,
    };
    change(session, &wanted, &args.consent).await
}

/// The same for `config set`.
pub(crate) async fn change(
    session: &Session,
    wanted: &Wanted<'_>,
    consent: &Consent,
) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let topic = wanted.topic;
    let before = of_topic(&mut kafka, topic).await?;
    let action = format!("change settings of topic {topic}");
    let mut plan = Plan::new(session, &kafka.cluster_id, action);
    plan.look_with = format!("chronikctl config get --topic {topic}");
    let present = |name: &str| {
        let known = before.iter().find(|setting| setting.name == name);
        let value = known.map(|setting| setting.value.clone());
        value.unwrap_or_else(|| "-".to_owned())
    };
    for (name, value) in wanted.set {
        plan.change(format!("{name}: {} -> {value}", present(name)));
    }
    for name in wanted.reset {
        plan.change(format!("{name}: {} -> its default", present(name)));
    }
    alter(&mut kafka, wanted, true).await?;
    let act = async {
        alter(&mut kafka, wanted, false).await?;
        verified(&mut kafka, wanted).await
    };
    mutate::carry_out(session, consent, plan, act).await
}

/// Nodes hear of it one after the other: what is asked next may be one that has not.
async fn verified(kafka: &mut Kafka, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let after = of_topic(kafka, wanted.topic).await?;
        let has = |name: &str, value: &str| {
            let mut known = after.iter();
            known.any(|setting| setting.name == name && setting.value == value)
        };
        let has_default = |name: &String| {
            let mut known = after.iter();
            known.any(|setting| setting.name == *name && setting.from != "topic")
        };
        let is_so = wanted.set.iter().all(|(name, value)| has(name, value))
            && wanted.reset.iter().all(has_default);
        if is_so || Instant::now() >= deadline {
            let mut answer = told(&kafka.cluster_id, &Of::Topic(wanted.topic), after);
            if !is_so {
                answer.verdict = Verdict::No;
            }
            return Ok(answer);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn alter(kafka: &mut Kafka, wanted: &Wanted<'_>, is_dry_run: bool) -> Result<(), Failure> {
    let set = wanted.set.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(SET)
            .with_value(Some(text(value)))
    });
    let reset = wanted.reset.iter().map(|name| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(DELETE)
            .with_value(None)
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(wanted.topic))
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
        outcome(result.error_code, "topic", wanted.topic, message)
    })
}
