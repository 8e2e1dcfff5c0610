//! `chronikctl config diff`: settings of the nodes next to each other.

use std::collections::{BTreeMap, BTreeSet};

use chronik_admin::client::Client;
use chronik_admin::v1::{ConfigDiff, ConfigDiffRequest, SettingDiff};

use super::get::of_broker;
use crate::context::Kind;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, Warning, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Settings that are the same everywhere as well
    #[arg(long)]
    all: bool,
}

/// What every node has for itself alone.
const OWN: [&str; 5] = [
    "advertised.listeners",
    "broker.id",
    "broker.rack",
    "listeners",
    "node.id",
];

type Values = BTreeMap<String, String>;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let diff = match session.settings.context.kind {
        Kind::Chronik => by_admin(session, args.all).await?,
        Kind::Kafka => by_kafka(session, args.all).await?,
    };
    let silent = diff.silent_nodes.iter();
    let warnings = silent.map(|node| Warning {
        code: "NODE_UNREACHABLE".to_owned(),
        message: format!("node {node} does not answer: its settings are missing"),
    });
    let warnings: Vec<Warning> = warnings.collect();
    let differs = diff.settings.iter().filter(|setting| setting.differs);
    let differs = differs.count();
    let mut answer = told(&diff, differs);
    if differs > 0 {
        answer.verdict = Verdict::No;
    } else if !warnings.is_empty() {
        answer.verdict = Verdict::SomeFailed;
    }
    answer.warnings = warnings;
    Ok(answer)
}

async fn by_admin(session: &Session, all: bool) -> Result<ConfigDiff, Failure> {
    let question = |client: Client| async move {
        let mut configs = client.configs();
        client
            .bounded(configs.diff(ConfigDiffRequest { all }))
            .await
    };
    let (_, diff) = session.ask(question).await?;
    session.check_cluster(&diff.cluster_id)?;
    Ok(diff)
}

/// As far as Kafka's protocol tells.
async fn by_kafka(session: &Session, all: bool) -> Result<ConfigDiff, Failure> {
    let mut kafka = session.own_kafka().await?;
    let mut answers: BTreeMap<u64, Values> = BTreeMap::new();
    let mut silent_nodes = Vec::new();
    for broker in kafka.nodes() {
        let node = u64::try_from(broker).unwrap_or_default();
        match of_broker(&mut kafka, broker).await {
            Ok(settings) => {
                let pairs = settings.into_iter();
                let pairs = pairs.map(|setting| (setting.name, setting.value));
                answers.insert(node, pairs.collect());
            }
            Err(_) => silent_nodes.push(node),
        }
    }
    let mut settings = compare(&answers);
    settings.retain(|setting| all || setting.differs);
    Ok(ConfigDiff {
        cluster_id: kafka.cluster_id,
        nodes: answers.keys().copied().collect(),
        silent_nodes,
        settings,
    })
}

fn compare(answers: &BTreeMap<u64, Values>) -> Vec<SettingDiff> {
    let names: BTreeSet<&String> = answers.values().flat_map(Values::keys).collect();
    let setting = |name: &String| {
        let values = answers.iter().filter_map(|(node, values)| {
            let value = values.get(name)?;
            Some((*node, value.clone()))
        });
        let values: BTreeMap<u64, String> = values.collect();
        let distinct: BTreeSet<_> = values.values().collect();
        let is_everywhere = values.len() == answers.len();
        SettingDiff {
            name: name.clone(),
            differs: !OWN.contains(&name.as_str()) && (distinct.len() > 1 || !is_everywhere),
            values,
        }
    };
    names.into_iter().map(setting).collect()
}

fn told(diff: &ConfigDiff, differs: usize) -> Answer {
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
                Cell::maybe(Some(value).filter(|value| !value.is_empty())),
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
    let mut answer = Answer::of("ConfigDiff", &diff.cluster_id, diff);
    answer.rows = Rows::Of("settings");
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
            let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
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
