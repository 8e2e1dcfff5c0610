//! `chronikctl config`: what nodes were configured with, as far as Kafka's protocol tells.

use std::collections::{BTreeMap, BTreeSet};

use clap::Subcommand;
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, outcome, text};
use crate::output::{Answer, Cell, Column, Table, Tone, Warning, plural};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Settings that differ between nodes and should not; exits 10 if there are any
    #[command(
        after_help = "Examples:\n  chronikctl config diff\n  chronikctl config diff --all -o jsonl"
    )]
    Diff(DiffArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// Settings that are the same everywhere as well
    #[arg(long)]
    all: bool,
}

/// Settings by nodes.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ConfigDiff {
    /// Who was asked and answered.
    nodes: Vec<i32>,
    settings: Vec<Setting>,
}

/// One setting on all nodes.
#[derive(Serialize, JsonSchema)]
struct Setting {
    name: String,
    differs: bool,
    /// By the node's number; a node that does not know the setting has none.
    values: BTreeMap<i32, Option<String>>,
}

const DESCRIBE_CONFIGS: i16 = 2;
/// Kafka's number for nodes among the resources.
const NODE: i8 = 4;
/// What every node has for itself alone.
const OWN: [&str; 5] = [
    "advertised.listeners",
    "broker.id",
    "broker.rack",
    "listeners",
    "node.id",
];

type Values = BTreeMap<String, Option<String>>;

pub(crate) async fn run(session: &Session, config: &Config) -> Result<Answer, Failure> {
    match config {
        Config::Diff(args) => diff(session, args).await,
    }
}

async fn diff(session: &Session, args: &DiffArgs) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let mut answers: BTreeMap<i32, Values> = BTreeMap::new();
    let mut warnings = Vec::new();
    for node in kafka.nodes() {
        match read(&mut kafka, node).await {
            Ok(values) => _ = answers.insert(node, values),
            Err(failure) => warnings.push(Warning {
                code: "NODE_UNREACHABLE".to_owned(),
                message: format!("node {node}: {}", failure.error.message),
            }),
        }
    }
    let mut settings = compare(&answers);
    let differs = settings.iter().filter(|setting| setting.differs).count();
    settings.retain(|setting| args.all || setting.differs);
    let nodes: Vec<i32> = answers.keys().copied().collect();
    let mut answer = told(&kafka.cluster_id, ConfigDiff { nodes, settings }, differs);
    if differs > 0 {
        answer.verdict = Verdict::No;
    } else if !warnings.is_empty() {
        answer.verdict = Verdict::SomeFailed;
    }
    answer.warnings = warnings;
    Ok(answer)
}

async fn read(kafka: &mut Kafka, node: i32) -> Result<Values, Failure> {
    let name = node.to_string();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(NODE)
        .with_resource_name(text(&name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = kafka.ask(node, DESCRIBE_CONFIGS, &request).await?;
    let mut values = Values::new();
    for result in answer.results {
        let message = result.error_message.as_ref();
        outcome(result.error_code, "node", &name, message)?;
        let configs = result.configs.into_iter();
        values.extend(configs.map(|config| {
            let value = config.value.map(|value| value.to_string());
            (config.name.to_string(), value)
        }));
    }
    Ok(values)
}

fn compare(answers: &BTreeMap<i32, Values>) -> Vec<Setting> {
    let names: BTreeSet<&String> = answers.values().flat_map(Values::keys).collect();
    let setting = |name: &String| {
        let values = answers.iter().map(|(node, values)| {
            let value = values.get(name).cloned().flatten();
            (*node, value)
        });
        let values: BTreeMap<i32, Option<String>> = values.collect();
        let distinct: BTreeSet<_> = values.values().collect();
        Setting {
            name: name.clone(),
            differs: distinct.len() > 1 && !OWN.contains(&name.as_str()),
            values,
        }
    };
    names.into_iter().map(setting).collect()
}

fn told(cluster_id: &str, diff: ConfigDiff, differs: usize) -> Answer {
    let columns = [
        Column::text("setting"),
        Column::number("node"),
        Column::text("value"),
        Column::text("verdict"),
    ];
    let mut table = Table::new(&columns);
    for setting in &diff.settings {
        for (node, value) in &setting.values {
            table.row(vec![
                setting.name.as_str().into(),
                (*node).into(),
                Cell::maybe(value.as_ref()),
                match setting.differs {
                    true => Cell::toned(Tone::Bad, "DIFFERS"),
                    false => Cell::toned(Tone::Dim, "ok"),
                },
            ]);
        }
    }
    let nodes = plural(diff.nodes.len() as u64, "node");
    let headline = match differs {
        0 => (Tone::Good, format!("no differences between {nodes}")),
        _ => {
            let settings = plural(differs as u64, "setting");
            (Tone::Bad, format!("{settings} DIFFER between {nodes}"))
        }
    };
    let mut answer = Answer::of("ConfigDiff", cluster_id, &diff);
    answer.rows = answer.data["settings"].as_array().cloned();
    answer.headlines.push(headline);
    if !diff.settings.is_empty() {
        answer.tables.push(table);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_has_for_itself_alone_is_no_difference() {
        let values = |node: &str, partitions: &str| {
            let pairs = [("node.id", node), ("num.partitions", partitions)];
            let owned = pairs.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
            Values::from(owned)
        };
        let same = BTreeMap::from([(1, values("1", "3")), (2, values("2", "3"))]);
        assert!(compare(&same).iter().all(|setting| !setting.differs));
        let drift = BTreeMap::from([(1, values("1", "3")), (2, values("2", "1"))]);
        let differs = compare(&drift)
            .into_iter()
            .filter(|setting| setting.differs);
        let names: Vec<String> = differs.map(|setting| setting.name).collect();
        assert_eq!(names, ["num.partitions"]);
        // A node of another version may not know a setting.
        let older = BTreeMap::from([(1, values("1", "3")), (2, Values::new())]);
        assert!(compare(&older).iter().any(|setting| setting.differs));
    }
}
