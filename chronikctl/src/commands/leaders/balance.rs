//! `chronikctl leaders balance`: moves leaders to the nodes that should lead, and looks whether they are there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{ElectLeadersRequest, MetadataResponse};
use tokio::time::sleep;

use crate::cli::{Consent, duration};
use crate::commands::topic::{Item, items};
use crate::exit::Failure;
use crate::kafka::{Kafka, check, topic_name};
use crate::mutate::{self, Plan};
use crate::output::{Answer, note, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long the moves may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    within: Duration,
    #[command(flatten)]
    consent: Consent,
}

/// A partition that another node leads than the one that should.
struct Displaced {
    topic: String,
    partition: i32,
    leader: i32,
    preferred: i32,
}

const ELECT_LEADERS: i16 = 2;
/// Kafka's number for the election of the first replica.
const PREFERRED: i8 = 0;
/// Kafka's number for a partition that is led as it should be already.
const NOT_NEEDED: i16 = 84;
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let metadata = kafka.metadata(None).await?;
    // A first replica that does not keep up would only lose the lead again.
    let (able, unable): (Vec<Displaced>, Vec<Displaced>) = displaced(&metadata)
        .into_iter()
        .partition(|moved| is_in_sync(&metadata, moved));
    for moved in &unable {
        note(&format!(
            "{}/{} stays: node {} does not keep up",
            moved.topic, moved.partition, moved.preferred
        ));
    }
    if able.is_empty() {
        return Ok(items(&cluster_id, "partition", "moved", Vec::new()));
    }
    let action = format!(
        "move the leaders of {}",
        plural(able.len() as u64, "partition")
    );
    let mut plan = Plan::new(session, &cluster_id, action);
    plan.look_with = "chronikctl leaders show".to_owned();
    for moved in &able {
        let Displaced {
            topic,
            partition,
            leader,
            preferred,
        } = moved;
        plan.change(format!(
            "{topic}/{partition}: leader node {leader} -> node {preferred}"
        ));
    }
    let act = async {
        let refused = elect(&mut kafka, &able).await?;
        let outcomes = verify(&mut kafka, args, &able, &refused).await?;
        Ok(items(&cluster_id, "partition", "moved", outcomes))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

fn displaced(metadata: &MetadataResponse) -> Vec<Displaced> {
    let mut found = Vec::new();
    for topic in &metadata.topics {
        let name = topic
            .name
            .as_ref()
            .map(|name| name.to_string())
            .unwrap_or_default();
        for partition in &topic.partitions {
            let (leader, preferred) = (partition.leader_id, partition.replica_nodes.first());
            // Whoever has no leader gets none by being asked to hand it over.
            let is_displaced = |preferred: &&_| leader.0 >= 0 && **preferred != leader;
            if let Some(preferred) = preferred.filter(is_displaced) {
                found.push(Displaced {
                    topic: name.clone(),
                    partition: partition.partition_index,
                    leader: leader.0,
                    preferred: preferred.0,
                });
            }
        }
    }
    found.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    found
}

fn is_in_sync(metadata: &MetadataResponse, moved: &Displaced) -> bool {
    let mut topics = metadata.topics.iter();
    let topic = topics.find(|topic| {
        topic
            .name
            .as_ref()
            .is_some_and(|name| **name == *moved.topic)
    });
    let mut partitions = topic.into_iter().flat_map(|topic| &topic.partitions);
    let partition = partitions.find(|partition| partition.partition_index == moved.partition);
    partition.is_some_and(|partition| {
        partition
            .isr_nodes
            .iter()
            .any(|node| node.0 == moved.preferred)
    })
}

/// Refusals by partition.
type Refused = BTreeMap<(String, i32), String>;

async fn elect(kafka: &mut Kafka, wanted: &[Displaced]) -> Result<Refused, Failure> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for moved in wanted {
        by_topic
            .entry(&moved.topic)
            .or_default()
            .push(moved.partition);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        TopicPartitions::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions)
    });
    let request = ElectLeadersRequest::default()
        .with_election_type(PREFERRED)
        .with_topic_partitions(Some(topics.collect()))
        .with_timeout_ms(kafka.timeout_ms());
    let controller = kafka.controller;
    let answer = kafka.ask(controller, ELECT_LEADERS, &request).await?;
    check(answer.error_code, "the election", None)?;
    let mut refused = Refused::new();
    for topic in answer.replica_election_results {
        let name = topic.topic.to_string();
        for result in topic.partition_result {
            let message = result
                .error_message
                .as_ref()
                .map(|message| message.to_string());
            let what = format!("{name}/{}", result.partition_id);
            match check(result.error_code, &what, message.as_deref()) {
                Err(failure) if result.error_code != NOT_NEEDED => {
                    refused.insert((name.clone(), result.partition_id), failure.error.message);
                }
                _ => {}
            }
        }
    }
    Ok(refused)
}

/// Waits until every partition that was not refused is led as it should be.
async fn verify(
    kafka: &mut Kafka,
    args: &Args,
    wanted: &[Displaced],
    refused: &Refused,
) -> Result<Vec<Item>, Failure> {
    let deadline = Instant::now() + args.within;
    loop {
        let still = displaced(&kafka.metadata(None).await?);
        let outcome = |moved: &Displaced| {
            let is_it = |other: &&Displaced| {
                other.topic == moved.topic && other.partition == moved.partition
            };
            let refusal = refused
                .get(&(moved.topic.clone(), moved.partition))
                .cloned();
            let late = still.iter().find(is_it);
            let late = late.map(|late| format!("node {} leads it", late.leader));
            let error = refusal.or(late);
            Item {
                name: format!("{}/{}", moved.topic, moved.partition),
                done: error.is_none(),
                error,
            }
        };
        let outcomes: Vec<Item> = wanted.iter().map(outcome).collect();
        let waiting = outcomes.iter().filter(|item| !item.done).count();
        if waiting <= refused.len() || Instant::now() >= deadline {
            return Ok(outcomes);
        }
        sleep(LOOK_EVERY).await;
    }
}
