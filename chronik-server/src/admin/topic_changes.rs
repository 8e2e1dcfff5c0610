//! Orders to topics: made, extended, deleted, trimmed.

use std::time::Duration;

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    AddPartitionsRequest, CreateTopicRequest, DeleteTopicRequest, Topic, TopicDeleted, TrimRequest,
    Trimmed,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::Refused;
use tracing::info;

use super::desk::{Desk, ask_there};
use super::groups::uid;
use super::placement::{locate, not_ordered, refused};
use super::topics::{described, find, planned};
use crate::broker::{CreateRefused, ExtendRefused, GroupError, TopicSpec, TrimError};

const ORDER_TIMEOUT: Duration = Duration::from_secs(4);
/// To trim: all that is committed.
const HIGH_WATERMARK: i64 = -1;

impl Desk {
    pub(super) async fn topic_create(
        &self,
        request: CreateTopicRequest,
    ) -> Result<Topic, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let broker = &self.rooms()?.broker;
        let spec = TopicSpec {
            name: request.name.clone(),
            partitions: request.partitions,
            replication_factor: request.replication_factor,
            configs: request.configs.into_iter().collect(),
            ..TopicSpec::default()
        };
        if request.dry_run {
            return Ok(planned(&broker.plan_topic(&spec).map_err(not_created)?));
        }
        let created = broker.create_topics(&[spec], ORDER_TIMEOUT).await.pop();
        let created = created.expect("one result for one topic");
        let topic = created.map_err(not_created)?;
        info!(
            request = request.request_id,
            topic = request.name,
            "an operator creates a topic"
        );
        Ok(described(&broker.view(), &topic))
    }

    pub(super) async fn topic_delete(
        &self,
        request: DeleteTopicRequest,
    ) -> Result<TopicDeleted, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let broker = &self.rooms()?.broker;
        let view = broker.view();
        let topic = find(&view.catalog, &request.name)?;
        check_own(topic)?;
        if !request.dry_run {
            let deleted = broker.delete_topics(vec![topic.id], ORDER_TIMEOUT).await;
            let deleted = deleted.map_err(not_ordered)?.pop();
            deleted
                .expect("one result for one topic")
                .map_err(refused)?;
            info!(
                request = request.request_id,
                topic = request.name,
                "an operator deletes a topic"
            );
        }
        Ok(TopicDeleted {
            name: request.name,
            partitions: topic.partitions.len() as u32,
            dry_run: request.dry_run,
        })
    }

    pub(super) async fn topic_add_partitions(
        &self,
        request: AddPartitionsRequest,
    ) -> Result<Topic, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let broker = &self.rooms()?.broker;
        let view = broker.view();
        let topic = find(&view.catalog, &request.name)?;
        check_own(topic)?;
        if request.dry_run {
            let plan = broker.plan_partitions(topic, request.total, &[]);
            plan.map_err(not_extended)?;
            return Ok(described(&view, topic));
        }
        let extended = broker
            .add_partitions(topic, request.total, &[], ORDER_TIMEOUT)
            .await;
        let topic = extended.map_err(not_extended)?;
        info!(
            request = request.request_id,
            topic = request.name,
            total = request.total,
            "an operator gives a topic more partitions"
        );
        Ok(described(&broker.view(), &topic))
    }

    pub(super) async fn topic_trim(&self, request: TrimRequest) -> Result<Trimmed, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        match self.trim_here(&request).await {
            Err(error) if error.code == Code::NotLeader => {
                let leader = self.leader_of(&request.group).await?;
                ask_there!(self, leader, Trim(request) -> Trimmed)
            }
            outcome => outcome,
        }
    }

    pub(super) async fn trim_here(&self, request: &TrimRequest) -> Result<Trimmed, AdminError> {
        let broker = &self.rooms()?.broker;
        let view = broker.view();
        let (topic, number, _) = locate(&view.catalog, &request.group)?;
        check_own(topic)?;
        let name = format!("{}/{number}", topic.name);
        let group = uid(&view.catalog, &topic.name, number).expect("it was just found");
        let offset = match request.before_offset {
            None => HIGH_WATERMARK,
            Some(offset) => i64::try_from(offset).unwrap_or(i64::MAX),
        };
        let bounds = broker.bounds(group, None).await;
        let bounds = bounds.map_err(|error| {
            AdminError::new(Code::NotLeader, format!("{name}: {error}"))
                .hint(format!("chronikctl raft status --group {name}"))
        })?;
        let (start, end) = (bounds.start_offset, bounds.high_watermark);
        if offset > end {
            return Err(above_the_end(&name, end));
        }
        let start_after = match (request.dry_run, offset) {
            (true, HIGH_WATERMARK) => end,
            (true, offset) => offset.max(start),
            (false, offset) => {
                let trimmed = broker.trim(group, offset).await;
                let trimmed = trimmed.map_err(|error| not_trimmed(&name, error))?;
                info!(
                    request = request.request_id,
                    group = name,
                    start = trimmed,
                    "an operator trims a partition"
                );
                trimmed
            }
        };
        Ok(Trimmed {
            group: name,
            start_before: start.unsigned_abs(),
            start_after: start_after.unsigned_abs(),
            end: end.unsigned_abs(),
            dry_run: request.dry_run,
        })
    }
}

/// What the cluster keeps for itself is not for operators to change.
fn check_own(topic: &chronik_core::catalog::Topic) -> Result<(), AdminError> {
    match topic.internal {
        false => Ok(()),
        true => {
            let message = format!(
                "INTERNAL_TOPIC: the cluster keeps {} for itself",
                topic.name
            );
            Err(AdminError::new(Code::Blocked, message).hint("chronikctl topic list"))
        }
    }
}

fn not_created(error: CreateRefused) -> AdminError {
    match error {
        CreateRefused::Propose(error) => not_ordered(error),
        CreateRefused::Catalog(Refused::TopicExists(_)) => {
            AdminError::new(Code::AlreadyExists, error.to_string()).hint("chronikctl topic list")
        }
        CreateRefused::Catalog(error) => refused(error),
        CreateRefused::ReplicationFactor { .. } => {
            AdminError::new(Code::InvalidArgument, error.to_string()).hint("chronikctl node list")
        }
        _ => AdminError::new(Code::InvalidArgument, error.to_string())
            .hint("GET /openapi.json says what the method takes"),
    }
}

fn not_extended(error: ExtendRefused) -> AdminError {
    match error {
        ExtendRefused::Propose(error) => not_ordered(error),
        ExtendRefused::Catalog(error @ Refused::NotMorePartitions { .. }) => {
            AdminError::new(Code::InvalidArgument, error.to_string())
                .hint("chronikctl topic describe shows how many there are")
        }
        ExtendRefused::Catalog(error) => refused(error),
        _ => AdminError::new(Code::InvalidArgument, error.to_string()).hint("chronikctl node list"),
    }
}

fn not_trimmed(name: &str, error: TrimError) -> AdminError {
    let code = match &error {
        TrimError::AboveHighWatermark(end) => return above_the_end(name, *end),
        TrimError::Group(GroupError::NotLeader(_) | GroupError::Unknown) => Code::NotLeader,
        TrimError::Group(GroupError::Stopping) => Code::NotReady,
    };
    AdminError::new(code, format!("{name}: {error}"))
        .hint(format!("chronikctl raft status --group {name}"))
}

fn above_the_end(name: &str, end: i64) -> AdminError {
    let message = format!("{name} ends at {end}: there is nothing above to be dropped");
    AdminError::new(Code::InvalidArgument, message).hint("leave the offset out to drop all records")
}
