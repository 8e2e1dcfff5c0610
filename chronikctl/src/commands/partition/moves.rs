//! `chronikctl partition moves`: replicas that come and go.

use kafka_protocol::messages::{BrokerId, ListPartitionReassignmentsRequest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::exit::Failure;
use crate::kafka::{Kafka, check};
use crate::output::{Answer, Column, Rows, Table, note};
use crate::session::Session;

/// Moves that are under way.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MoveList {
    moves: Vec<Move>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Move {
    pub(super) topic: String,
    pub(super) partition: i32,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

const LIST_REASSIGNMENTS: i16 = 0;

const COLUMNS: [Column; 5] = [
    Column::text("topic"),
    Column::number("partition"),
    Column::text("replicas"),
    Column::text("coming"),
    Column::text("going"),
];

pub(super) async fn run(session: &Session) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let moves = read(&mut kafka).await?;
    let list = |nodes: &[i32]| {
        nodes
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut table = Table::new(&COLUMNS);
    for one in &moves {
        table.row(vec![
            one.topic.as_str().into(),
            one.partition.into(),
            list(&one.replicas).into(),
            list(&one.adding).into(),
            list(&one.removing).into(),
        ]);
    }
    if moves.is_empty() {
        note("nothing moves");
    }
    let mut answer = Answer::of("MoveList", &kafka.cluster_id, &MoveList { moves });
    answer.rows = Rows::Of("moves");
    answer.tables.push(table);
    Ok(answer)
}

/// All moves that the cluster knows of.
pub(super) async fn read(kafka: &mut Kafka) -> Result<Vec<Move>, Failure> {
    let request = ListPartitionReassignmentsRequest::default()
        .with_timeout_ms(kafka.timeout_ms())
        .with_topics(None);
    let controller = kafka.controller;
    let answer = kafka.ask(controller, LIST_REASSIGNMENTS, &request).await?;
    let message = answer
        .error_message
        .as_ref()
        .map(|message| message.to_string());
    check(answer.error_code, "moves of replicas", message.as_deref())?;
    let nodes = |nodes: &[BrokerId]| nodes.iter().map(|node| node.0).collect();
    let mut moves = Vec::new();
    for topic in &answer.topics {
        moves.extend(topic.partitions.iter().map(|partition| Move {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            replicas: nodes(&partition.replicas),
            adding: nodes(&partition.adding_replicas),
            removing: nodes(&partition.removing_replicas),
        }));
    }
    Ok(moves)
}
