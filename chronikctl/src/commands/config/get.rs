//! `chronikctl config get`: a topic's settings by Kafka's protocol, a node's by its own words.

use std::fmt;

use chronik_admin::client::Client;
use chronik_admin::v1::{NodeConfigRequest, Setting};
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use schemars::JsonSchema;
use serde::Serialize;

use super::Whose;
use crate::context::Kind;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, text};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whose: Whose,
    /// Only these settings
    #[arg(value_name = "SETTING")]
    names: Vec<String>,
    /// Only settings that do not have their default
    #[arg(long)]
    changed: bool,
}

/// Settings of one topic or node.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Settings {
    /// `topic orders`, or `node 2`.
    of: String,
    settings: Vec<Setting>,
}

/// Whose settings they are.
pub(crate) enum Of<'a> {
    Topic(&'a str),
    Node(u64),
}

const DESCRIBE_CONFIGS: i16 = 2;
/// Kafka's numbers for topics and nodes among the resources.
const TOPIC: i8 = 2;
pub(super) const NODE: i8 = 4;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let of = args.whose.of();
    let (cluster_id, settings) = match of {
        Of::Topic(topic) => {
            let mut kafka = session.own_kafka().await?;
            let settings = of_topic(&mut kafka, topic).await?;
            (kafka.cluster_id, settings)
        }
        Of::Node(node) => of_node(session, node).await?,
    };
    let chosen = chosen(settings, args)?;
    if chosen.is_empty() {
        note("every setting has its default");
    }
    Ok(told(&cluster_id, &of, chosen))
}

fn chosen(settings: Vec<Setting>, args: &Args) -> Result<Vec<Setting>, Failure> {
    let is_known = |name: &&String| settings.iter().any(|setting| setting.name == **name);
    if let Some(unknown) = args.names.iter().find(|name| !is_known(name)) {
        let message = format!("there is no setting {unknown:?}");
        return Err(Failure::new(chronik_admin::Code::NotFound, message)
            .hint("leave the name out to see all"));
    }
    let is_wanted = |setting: &Setting| {
        let is_named = args.names.is_empty() || args.names.contains(&setting.name);
        let is_changed = !args.changed || setting.from != "default";
        is_named && is_changed
    };
    Ok(settings.into_iter().filter(is_wanted).collect())
}

/// What holds for a topic, as any broker says.
pub(crate) async fn of_topic(kafka: &mut Kafka, topic: &str) -> Result<Vec<Setting>, Failure> {
    let request = request(TOPIC, topic);
    let answer = kafka.any(DESCRIBE_CONFIGS, &request).await?;
    read(answer.results, "topic", topic)
}

/// What a node was configured with: all of it by the admin API, and what Kafka's words are enough for without.
async fn of_node(session: &Session, node: u64) -> Result<(String, Vec<Setting>), Failure> {
    if session.settings.context.kind == Kind::Kafka {
        let mut kafka = session.own_kafka().await?;
        let broker = i32::try_from(node).unwrap_or(i32::MAX);
        let settings = of_broker(&mut kafka, broker).await?;
        return Ok((kafka.cluster_id, settings));
    }
    let (_, view) = crate::commands::node::view(session).await?;
    crate::commands::node::find(&view, node)?;
    let question = |client: Client| async move {
        let request = NodeConfigRequest {
            node_id: Some(node),
        };
        client.bounded(client.node().config(request)).await
    };
    let (_, config) = session.ask(question).await?;
    Ok((view.cluster_id, config.settings))
}

/// What a broker says of itself by Kafka's protocol.
pub(super) async fn of_broker(kafka: &mut Kafka, node: i32) -> Result<Vec<Setting>, Failure> {
    let name = node.to_string();
    let answer = kafka
        .ask(node, DESCRIBE_CONFIGS, &request(NODE, &name))
        .await?;
    read(answer.results, "node", &name)
}

fn request(kind: i8, name: &str) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
}

fn read(
    results: Vec<kafka_protocol::messages::describe_configs_response::DescribeConfigsResult>,
    noun: &str,
    name: &str,
) -> Result<Vec<Setting>, Failure> {
    let mut settings = Vec::new();
    for result in results {
        let message = result.error_message.as_ref();
        outcome(result.error_code, noun, name, message)?;
        settings.extend(result.configs.into_iter().map(setting));
    }
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(settings)
}

fn setting(config: DescribeConfigsResourceResult) -> Setting {
    let value = config.value.map(|value| value.to_string());
    let value = match config.is_sensitive {
        true => "(secret)".to_owned(),
        false => value.unwrap_or_default(),
    };
    // The last one stands for what holds if nobody says anything.
    let default = config.synonyms.last().and_then(|last| last.value.clone());
    let from = match config.config_source {
        1 => "topic",
        2..=4 => "node",
        _ => "default",
    };
    Setting {
        name: config.name.to_string(),
        default: default.map_or_else(|| value.clone(), |default| default.to_string()),
        value,
        from: from.to_owned(),
        change: if config.read_only {
            "restart"
        } else {
            "nothing"
        }
        .to_owned(),
        about: String::new(),
    }
}

/// Settings as people and programs read them.
pub(crate) fn told(cluster_id: &str, of: &Of<'_>, settings: Vec<Setting>) -> Answer {
    let columns = [
        Column::text("setting"),
        Column::text("value"),
        Column::text("default"),
        Column::text("from"),
        Column::text("change needs").wide(),
        Column::text("about").wide(),
    ];
    let mut table = Table::new(&columns);
    for setting in &settings {
        let from = match setting.from.as_str() {
            "default" => Cell::toned(Tone::Dim, "default"),
            from => Cell::toned(Tone::Good, from),
        };
        let some = |text: &String| Cell::maybe(Some(text).filter(|text| !text.is_empty()));
        table.row(vec![
            setting.name.as_str().into(),
            some(&setting.value),
            some(&setting.default),
            from,
            some(&setting.change),
            some(&setting.about),
        ]);
    }
    let settings = Settings {
        of: of.to_string(),
        settings,
    };
    let mut answer = Answer::of("Settings", cluster_id, &settings);
    answer.rows = Rows::Of("settings");
    answer.tables.push(table);
    answer
}

impl fmt::Display for Of<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Of::Topic(topic) => write!(formatter, "topic {topic}"),
            Of::Node(node) => write!(formatter, "node {node}"),
        }
    }
}
