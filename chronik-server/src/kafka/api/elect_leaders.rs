//! ElectLeaders: brings leadership back to the preferred replicas, and answers once they lead.
//!
//! Produces that arrive meanwhile wait at the leader that hands over. Elections of replicas that lack what was
//! acknowledged do not exist here, so whoever asks for an unclean one is told whether there is a leader.

use chronik_core::catalog::Topic;
use chronik_core::ids::{GroupUid, NodeId};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::convert::{text, timeout, topic_name};
use crate::broker::View;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// The kind of election that a client asks for.
const PREFERRED: i8 = 0;

/// What there is to say of a partition before anybody is asked to hand it over.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Known(ErrorCode),
    HandOver(GroupUid, NodeId),
}

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let view = call.broker().view();
    let asked: Vec<(TopicName, Vec<i32>)> = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|asked| (asked.topic, asked.partitions))
            .collect(),
        None => every_partition(&view),
    };
    let judge = |(name, partitions): (TopicName, Vec<i32>)| {
        let topic = view.catalog.topic(&name).map(|topic| &**topic);
        let judged = partitions
            .into_iter()
            .map(|index| (index, judge(&view, topic, index, request.election_type)));
        (name, judged.collect::<Vec<_>>())
    };
    let judged: Vec<_> = asked.into_iter().map(judge).collect();
    let verdicts = judged.iter().flat_map(|(_, rows)| rows);
    let wanted = verdicts.filter_map(|(_, verdict)| match *verdict {
        Verdict::HandOver(group, node) => Some((group, node)),
        Verdict::Known(_) => None,
    });
    let time = timeout(request.timeout_ms);
    let missing = call.broker().elect(wanted.collect(), time).await;
    let result = |(index, verdict): (i32, Verdict)| {
        let error = match verdict {
            Verdict::Known(error) => error,
            Verdict::HandOver(group, _) if missing.contains(&group) => {
                ErrorCode::PreferredLeaderNotAvailable
            }
            Verdict::HandOver(..) => ErrorCode::None,
        };
        row(index, error)
    };
    let results = judged.into_iter().map(|(name, rows)| {
        ReplicaElectionResult::default()
            .with_partition_result(rows.into_iter().map(result).collect())
            .with_topic(name)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}

fn every_partition(view: &View) -> Vec<(TopicName, Vec<i32>)> {
    let topics = view.catalog.topics.values();
    let partitions = |topic: &Topic| (0..topic.partitions.len() as i32).collect();
    topics
        .map(|topic| (topic_name(&topic.name), partitions(topic)))
        .collect()
}

fn judge(view: &View, topic: Option<&Topic>, index: i32, kind: i8) -> Verdict {
    let index = usize::try_from(index).ok();
    let partition = index
        .zip(topic)
        .and_then(|(index, topic)| topic.partitions.get(index));
    let Some(partition) = partition else {
        return Verdict::Known(ErrorCode::UnknownTopicOrPartition);
    };
    let leader = view.leader(partition.group).node;
    let preferred = partition.replicas.first().copied();
    match (leader, preferred) {
        (Some(_), _) if kind != PREFERRED => Verdict::Known(ErrorCode::ElectionNotNeeded),
        (None, _) if kind != PREFERRED => Verdict::Known(ErrorCode::EligibleLeadersNotAvailable),
        (Some(leader), Some(preferred)) if leader == preferred => {
            Verdict::Known(ErrorCode::ElectionNotNeeded)
        }
        (Some(_), Some(preferred)) if view.is_in_sync(partition.group, preferred) => {
            Verdict::HandOver(partition.group, preferred)
        }
        _ => Verdict::Known(ErrorCode::PreferredLeaderNotAvailable),
    }
}

fn row(index: i32, error: ErrorCode) -> PartitionResult {
    let message = match error {
        ErrorCode::None => None,
        ErrorCode::ElectionNotNeeded => Some("the leader is the right one already"),
        ErrorCode::PreferredLeaderNotAvailable => {
            Some("the preferred replica is not there, or does not keep up")
        }
        ErrorCode::EligibleLeadersNotAvailable => Some("no majority of the replicas is there"),
        _ => Some("there is no such partition"),
    };
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(error.number())
        .with_error_message(message.map(text))
}
