//! `chronikctl group list`: every broker is asked for the groups that it coordinates.

use kafka_protocol::messages::ListGroupsRequest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, check};
use crate::output::{Answer, Column, Rows, Table, Warning, note};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// All groups.
#[derive(Serialize, JsonSchema)]
pub(crate) struct GroupList {
    groups: Vec<GroupSummary>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct GroupSummary {
    pub(crate) group: String,
    state: String,
    protocol_type: String,
    coordinator: i32,
}

const LIST_GROUPS: i16 = 4;

const COLUMNS: [Column; 4] = [
    Column::text("group"),
    Column::text("state"),
    Column::text("type"),
    Column::number("coordinator"),
];

pub(super) async fn run(session: &Session) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let (groups, warnings) = read(&mut kafka).await;
    let mut table = Table::new(&COLUMNS);
    for group in &groups {
        table.row(vec![
            group.group.as_str().into(),
            group.state.as_str().into(),
            group.protocol_type.as_str().into(),
            group.coordinator.into(),
        ]);
    }
    if groups.is_empty() {
        note("no groups");
    }
    let mut answer = Answer::of("GroupList", &kafka.cluster_id, &GroupList { groups });
    answer.rows = Rows::Of("groups");
    answer.tables.push(table);
    if !warnings.is_empty() {
        answer.verdict = Verdict::SomeFailed;
    }
    answer.warnings = warnings;
    Ok(answer)
}

/// All groups, and the brokers whose groups are missing.
pub(crate) async fn read(kafka: &mut Kafka) -> (Vec<GroupSummary>, Vec<Warning>) {
    let mut groups = Vec::new();
    let mut warnings = Vec::new();
    for node in kafka.nodes() {
        let answer = kafka
            .ask(node, LIST_GROUPS, &ListGroupsRequest::default())
            .await;
        let answer = answer.and_then(|answer| {
            check(answer.error_code, &format!("broker {node}"), None)?;
            Ok(answer)
        });
        match answer {
            Ok(answer) => groups.extend(answer.groups.into_iter().map(|group| GroupSummary {
                group: group.group_id.to_string(),
                state: group.group_state.to_string(),
                protocol_type: group.protocol_type.to_string(),
                coordinator: node,
            })),
            Err(failure) => warnings.push(Warning {
                code: "GROUPS_MISSING".to_owned(),
                message: format!(
                    "the groups of broker {node} are missing: {}",
                    failure.error.message
                ),
            }),
        }
    }
    groups.sort_by(|one, other| one.group.cmp(&other.group));
    (groups, warnings)
}
