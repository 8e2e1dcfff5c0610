//! `chronikctl partition move`: other nodes for the replicas of one partition, and a wait until they have it.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use chronik_admin::v1::Operation;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, BrokerId};
use tokio::time::sleep;

use super::moves;
use crate::cli::{Consent, duration};
use crate::commands::rebalance::{self, Patience, carry};
use crate::commands::topic::{Item, find, items};
use crate::exit::{Failure, Verdict};
use crate::kafka::{Kafka, check, topic_name};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Progress};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As TOPIC/PARTITION
    #[arg(value_name = "TOPIC/PARTITION", value_parser = partition)]
    partition: (String, i32),
    /// The nodes, the first of which shall lead
    #[arg(long, value_name = "NODE,..", value_delimiter = ',', required = true)]
    to: Vec<i32>,
    /// How long the move may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    within: Duration,
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    consent: Consent,
}

const ALTER_REASSIGNMENTS: i16 = 0;
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let (topic, number) = &args.partition;
    let present = replicas(&mut kafka, topic, *number).await?;
    let mut plan = Plan::new(session, &cluster_id, format!("move {topic}/{number}"));
    plan.look_with = "chronikctl partition moves".to_owned();
    let strangers: Vec<&i32> = args
        .to
        .iter()
        .filter(|node| !kafka.nodes().contains(node))
        .collect();
    plan.check(
        "NODES_THERE",
        strangers.is_empty(),
        match strangers.is_empty() {
            true => "all nodes are there".to_owned(),
            false => format!(
                "of the nodes {strangers:?} the cluster knows nothing, or they do not answer"
            ),
        },
    );
    let majority = |count: usize| (count.saturating_sub(1)) / 2;
    let (before, after) = (present.len(), args.to.len());
    plan.change(format!(
        "{topic}/{number}: replicas on {present:?} -> {:?}",
        args.to
    ));
    plan.change(format!(
        "voters {before} -> {after}, tolerates {} -> {} failures",
        majority(before),
        majority(after)
    ));
    let act = act(session, &mut kafka, args, &cluster_id);
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn act(
    session: &Session,
    kafka: &mut Kafka,
    args: &Args,
    cluster_id: &str,
) -> Result<Answer, Failure> {
    let (topic, number) = &args.partition;
    let name = format!("{topic}/{number}");
    order(kafka, topic, *number, &args.to).await?;
    let deadline = Instant::now() + args.within;
    let mut progress = Progress::new(io::stderr().is_terminal());
    let mut has_operations = true;
    let error = loop {
        let now = replicas(kafka, topic, *number).await?;
        let mut moving = moves::read(kafka).await?.into_iter();
        let moves = moving.any(|one| one.topic == *topic && one.partition == *number);
        if now == args.to && !moves {
            break None;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if args.no_wait || left.is_zero() {
            break Some(format!("under way: replicas are on {now:?}"));
        }
        let operation = match has_operations {
            true => operation_of(session, cluster_id, &name, &args.to).await,
            false => Ok(None),
        };
        match operation {
            Ok(Some(operation)) => {
                let patience = Patience {
                    within: left,
                    no_wait: false,
                };
                progress.end();
                carry::finish(session, cluster_id, operation, &patience).await?;
            }
            other => {
                // Any Kafka cluster moves partitions; only some have operations.
                has_operations = other.is_ok();
                progress.show(&format!("{name} moves: replicas are on {now:?}"));
                sleep(LOOK_EVERY).await;
            }
        }
    };
    progress.end();
    let is_done = error.is_none();
    let item = Item {
        name,
        done: is_done,
        error: error.filter(|_| !args.no_wait),
    };
    let done = if is_done { "moved" } else { "moves" };
    let mut answer = items(cluster_id, "partition", done, vec![item]);
    if !is_done && !args.no_wait {
        answer.verdict = Verdict::No;
    }
    Ok(answer)
}

/// What the cluster calls this move, if it has numbers for such things.
async fn operation_of(
    session: &Session,
    cluster_id: &str,
    group: &str,
    to: &[i32],
) -> Result<Option<Operation>, Failure> {
    let list = rebalance::status::operations(session, None).await?;
    let to: Vec<u64> = to
        .iter()
        .map(|node| i64::from(*node).unsigned_abs())
        .collect();
    // Whoever is asked may know of an earlier order only.
    let is_it = |operation: &Operation| {
        let mut moves = operation.moves.iter();
        moves.any(|one| one.group == group && one.to == to)
    };
    let mut found = list.operations.into_iter().filter(is_it);
    Ok(found.next().filter(|_| list.cluster_id == cluster_id))
}

async fn order(kafka: &mut Kafka, topic: &str, number: i32, to: &[i32]) -> Result<(), Failure> {
    let partition = ReassignablePartition::default()
        .with_partition_index(number)
        .with_replicas(Some(to.iter().map(|node| BrokerId(*node)).collect()));
    let wanted = ReassignableTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(kafka.timeout_ms())
        .with_topics(vec![wanted]);
    let controller = kafka.controller;
    let answer = kafka.ask(controller, ALTER_REASSIGNMENTS, &request).await?;
    let message = answer
        .error_message
        .as_ref()
        .map(|message| message.to_string());
    check(answer.error_code, "the move", message.as_deref())?;
    for result in answer
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions)
    {
        let message = result
            .error_message
            .as_ref()
            .map(|message| message.to_string());
        check(
            result.error_code,
            &format!("{topic}/{number}"),
            message.as_deref(),
        )?;
    }
    Ok(())
}

/// The nodes of a partition now, the preferred leader first.
async fn replicas(kafka: &mut Kafka, topic: &str, number: i32) -> Result<Vec<i32>, Failure> {
    let found = find(kafka, topic).await?;
    let mut partitions = found.partitions.iter();
    let partition = partitions.find(|partition| partition.partition_index == number);
    let partition = partition.ok_or_else(|| {
        let count = found.partitions.len();
        Failure::usage(format!("{topic} has {count} partitions, not {number}"))
    })?;
    Ok(partition.replica_nodes.iter().map(|node| node.0).collect())
}

pub(super) fn partition(text: &str) -> Result<(String, i32), String> {
    let parts = text.rsplit_once('/');
    let (topic, number) = parts.ok_or_else(|| format!("{text:?} is no TOPIC/PARTITION"))?;
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is no number"))?;
    Ok((topic.to_owned(), number))
}
