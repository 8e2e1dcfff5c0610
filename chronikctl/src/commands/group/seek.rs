//! `chronikctl group seek`: other positions for a group that nobody is a member of.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest};

use super::describe::{committed, coordinator, describe};
use crate::cli::Consent;
use crate::commands::place::Place;
use crate::commands::topic::{Item, Offsets, items};
use crate::exit::Failure;
use crate::kafka::{Kafka, check, text, topic_name};
use crate::mutate::{self, Plan};
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group
    group: String,
    /// Only this topic; all that the group has positions in if none is named
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only this partition of the topic
    #[arg(long, value_name = "NUMBER", requires = "topic")]
    partition: Option<i32>,
    /// Where to: start, end, an offset, or a time as 2026-11-21T18:55:40Z or @MS
    #[arg(long, value_name = "PLACE", value_parser = Place::parse)]
    to: Place,
    #[command(flatten)]
    consent: Consent,
}

/// New positions, by topic and partition.
type Positions = BTreeMap<String, Offsets>;

const OFFSET_COMMIT: i16 = 7;
/// Of a commit that no member makes.
const NO_GENERATION: i32 = -1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let coordinator = coordinator(&mut kafka, &args.group).await?;
    let described = describe(&mut kafka, coordinator, &args.group).await?;
    let before = committed(&mut kafka, coordinator, &args.group).await?;
    let wanted = wanted(&mut kafka, args, &before).await?;
    let mut plan = Plan::new(
        session,
        &cluster_id,
        format!("move the positions of group {}", args.group),
    );
    let members = described.members.len();
    plan.check(
        "GROUP_EMPTY",
        members == 0,
        format!(
            "group {} has {members} members, and only one without any can be moved",
            args.group
        ),
    );
    for (topic, offsets) in &wanted {
        for (partition, to) in offsets {
            let from = before.get(topic).and_then(|offsets| offsets.get(partition));
            let from = from.map_or("none".to_owned(), i64::to_string);
            plan.change(format!("{topic}/{partition}: {from} -> {to}"));
        }
    }
    let act = async {
        commit(&mut kafka, coordinator, &args.group, &wanted).await?;
        let after = committed(&mut kafka, coordinator, &args.group).await?;
        Ok(verified(&cluster_id, &wanted, &after))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// Where the group shall be, within the edges of each log.
async fn wanted(
    kafka: &mut Kafka,
    args: &Args,
    before: &BTreeMap<String, BTreeMap<i32, i64>>,
) -> Result<Positions, Failure> {
    let topics: Vec<String> = match &args.topic {
        Some(topic) => vec![topic.clone()],
        None => before.keys().cloned().collect(),
    };
    if topics.is_empty() {
        let message = format!("group {} has no positions yet", args.group);
        return Err(Failure::usage(message).hint("name a topic with --topic"));
    }
    let mut positions = Positions::new();
    for topic in topics {
        let places = args.to.find(kafka, &topic, args.partition).await?;
        let places = places.into_iter();
        let places = places.map(|(partition, found)| (partition, found.at));
        positions.insert(topic, places.collect());
    }
    Ok(positions)
}

async fn commit(
    kafka: &mut Kafka,
    coordinator: i32,
    group: &str,
    wanted: &Positions,
) -> Result<(), Failure> {
    let topic = |(topic, offsets): (&String, &Offsets)| {
        let partition = |(partition, offset): (&i32, &i64)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
        };
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(offsets.iter().map(partition).collect())
    };
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(wanted.iter().map(topic).collect());
    let answer = kafka.ask(coordinator, OFFSET_COMMIT, &request).await?;
    for topic in answer.topics {
        for partition in topic.partitions {
            let what = format!("{}/{}", *topic.name, partition.partition_index);
            check(partition.error_code, &what, None)?;
        }
    }
    Ok(())
}

fn verified(
    cluster_id: &str,
    wanted: &Positions,
    after: &BTreeMap<String, BTreeMap<i32, i64>>,
) -> Answer {
    let mut outcomes = Vec::new();
    for (topic, offsets) in wanted {
        for (partition, to) in offsets {
            let now = after.get(topic).and_then(|offsets| offsets.get(partition));
            let place = now.map_or("nowhere".to_owned(), |now| format!("at {now}"));
            let error = (now != Some(to)).then(|| format!("it is {place}, not at {to}"));
            outcomes.push(Item {
                name: format!("{topic}/{partition}"),
                done: error.is_none(),
                error,
            });
        }
    }
    items(cluster_id, "partition", "moved", outcomes)
}
