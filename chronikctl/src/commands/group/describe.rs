//! `chronikctl group describe`: members, positions, and what is not yet consumed.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, DescribeGroupsRequest, FindCoordinatorRequest, GroupId,
    OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::topic::edges;
use crate::exit::Failure;
use crate::kafka::{Kafka, check, refusal, text};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group
    group: String,
}

/// One group.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct GroupDescription {
    pub(crate) group: String,
    pub(crate) state: String,
    pub(crate) protocol: String,
    pub(crate) coordinator: i32,
    pub(crate) members: Vec<Member>,
    pub(crate) partitions: Vec<Position>,
    /// Over all partitions whose end is known.
    pub(crate) total_lag: i64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Member {
    member_id: String,
    client_id: String,
    host: String,
    /// As `TOPIC/PARTITION`.
    assigned: Vec<String>,
}

#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Position {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) committed: i64,
    /// None while the partition has no leader to ask.
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) lag: Option<i64>,
    /// Records that were not consumed are gone.
    pub(crate) below_start: bool,
    pub(crate) member_id: Option<String>,
}

const FIND_COORDINATOR: i16 = 3;
const DESCRIBE_GROUPS: i16 = 5;
const OFFSET_FETCH: i16 = 7;

const PARTITIONS: [Column; 7] = [
    Column::text("topic"),
    Column::number("partition"),
    Column::number("committed"),
    Column::number("end"),
    Column::number("lag"),
    Column::text("member"),
    Column::text("note"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let group = read(&mut kafka, &args.group).await?;
    Ok(answer(&kafka.cluster_id, &group))
}

/// All that is known of one group.
pub(crate) async fn read(kafka: &mut Kafka, name: &str) -> Result<GroupDescription, Failure> {
    let coordinator = coordinator(kafka, name).await?;
    let described = describe(kafka, coordinator, name).await?;
    let members: Vec<Member> = described.members.iter().map(member).collect();
    let committed = committed(kafka, coordinator, name).await?;
    if described.group_state.as_str() == "Dead" && committed.is_empty() {
        return Err(refusal(69, &format!("group {name}"), None));
    }
    let mut partitions = Vec::new();
    for (topic, offsets) in committed {
        let (start, end) = edges(kafka, &topic).await;
        for (partition, committed) in offsets {
            let name = format!("{topic}/{partition}");
            let owner = members
                .iter()
                .find(|member| member.assigned.contains(&name));
            let (start, end) = (start.get(&partition).copied(), end.get(&partition).copied());
            partitions.push(Position {
                topic: topic.clone(),
                partition,
                committed,
                start,
                end,
                lag: end.map(|end| (end - committed).max(0)),
                below_start: start.is_some_and(|start| committed < start),
                member_id: owner.map(|owner| owner.member_id.clone()),
            });
        }
    }
    Ok(GroupDescription {
        group: name.to_owned(),
        state: described.group_state.to_string(),
        protocol: described.protocol_data.to_string(),
        coordinator,
        total_lag: partitions.iter().filter_map(|position| position.lag).sum(),
        members,
        partitions,
    })
}

pub(super) async fn coordinator(kafka: &mut Kafka, group: &str) -> Result<i32, Failure> {
    let request = FindCoordinatorRequest::default()
        .with_key(text(group))
        .with_key_type(0);
    let answer = kafka.any(FIND_COORDINATOR, &request).await?;
    let message = answer
        .error_message
        .as_ref()
        .map(|message| message.to_string());
    check(
        answer.error_code,
        &format!("the coordinator of {group}"),
        message.as_deref(),
    )?;
    Ok(answer.node_id.0)
}

pub(super) async fn describe(
    kafka: &mut Kafka,
    coordinator: i32,
    group: &str,
) -> Result<DescribedGroup, Failure> {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let answer = kafka.ask(coordinator, DESCRIBE_GROUPS, &request).await?;
    let described = answer.groups.into_iter().next();
    let described = described.ok_or_else(|| refusal(69, &format!("group {group}"), None))?;
    check(described.error_code, &format!("group {group}"), None)?;
    Ok(described)
}

/// Committed offsets by topic and partition.
pub(super) async fn committed(
    kafka: &mut Kafka,
    coordinator: i32,
    group: &str,
) -> Result<BTreeMap<String, BTreeMap<i32, i64>>, Failure> {
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(None);
    let answer = kafka.ask(coordinator, OFFSET_FETCH, &request).await?;
    check(answer.error_code, &format!("offsets of {group}"), None)?;
    let mut topics = BTreeMap::new();
    for topic in answer.topics {
        let known = topic.partitions.into_iter();
        let known =
            known.filter(|partition| partition.error_code == 0 && partition.committed_offset >= 0);
        let offsets: BTreeMap<i32, i64> = known
            .map(|partition| (partition.partition_index, partition.committed_offset))
            .collect();
        topics.insert(topic.name.to_string(), offsets);
    }
    Ok(topics)
}

fn member(
    member: &kafka_protocol::messages::describe_groups_response::DescribedGroupMember,
) -> Member {
    let mut assigned = Vec::new();
    // Two bytes of version stand in front; an assignment of another protocol is not shown.
    if let Some((version, rest)) = member.member_assignment.split_first_chunk::<2>() {
        let version = i16::from_be_bytes(*version).clamp(0, 3);
        let mut rest = bytes::Bytes::copy_from_slice(rest);
        if let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut rest, version) {
            for topic in assignment.assigned_partitions {
                let name = topic.topic.to_string();
                assigned.extend(
                    topic
                        .partitions
                        .iter()
                        .map(|partition| format!("{name}/{partition}")),
                );
            }
        }
    }
    Member {
        member_id: member.member_id.to_string(),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned,
    }
}

fn answer(cluster_id: &str, group: &GroupDescription) -> Answer {
    let mut answer = Answer::of("Group", cluster_id, group);
    answer.rows = Rows::Of("partitions");
    let line = format!(
        "group {}: {}, {} members, lag {}, coordinator node {}",
        group.group,
        group.state,
        group.members.len(),
        group.total_lag,
        group.coordinator
    );
    answer.headlines.push((Tone::Strong, line));
    let mut table = Table::new(&PARTITIONS);
    for position in &group.partitions {
        table.row(vec![
            position.topic.as_str().into(),
            position.partition.into(),
            position.committed.into(),
            Cell::maybe(position.end),
            Cell::maybe(position.lag),
            Cell::maybe(position.member_id.as_ref()),
            match position.below_start {
                true => Cell::toned(Tone::Bad, "BELOW LOG START"),
                false => Cell::default(),
            },
        ]);
    }
    answer.tables.push(table);
    if !group.members.is_empty() {
        let columns = [
            Column::text("member"),
            Column::text("client"),
            Column::text("host"),
            Column::text("assigned"),
        ];
        let mut members = Table::new(&columns);
        for member in &group.members {
            members.row(vec![
                member.member_id.as_str().into(),
                member.client_id.as_str().into(),
                member.host.as_str().into(),
                member.assigned.join(" ").into(),
            ]);
        }
        answer.tables.push(members);
    }
    answer
}
