//! Topics: what may be created and changed, decided here once, then one proposal for one intent.

use std::sync::Arc;
use std::time::Duration;

use chronik_core::catalog::name::{self, NameRefused};
use chronik_core::catalog::topic_config::{self, ConfigRefused, Row};
use chronik_core::catalog::{Command, NewTopic, Outcome, Refused, Topic, TopicOutcome};
use chronik_core::ids::{NodeId, TopicId};
use chronik_core::plan::placement;

use super::{Broker, ProposeError, View};

/// A topic as a client asks for it.
#[derive(Clone, Debug, Default)]
pub struct TopicSpec {
    pub name: String,
    /// None takes the broker's default; ignored when `assignments` are given.
    pub partitions: Option<u32>,
    pub replication_factor: Option<u32>,
    /// Explicit replicas per partition, in the order of partitions.
    pub assignments: Vec<Vec<NodeId>>,
    pub configs: Vec<(String, String)>,
    pub internal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateRefused {
    #[error(transparent)]
    Name(#[from] NameRefused),
    #[error("a topic has at least one partition and at most {MAX_PARTITIONS}, not {0}")]
    Partitions(u32),
    #[error(
        "replication factor {wanted} needs {wanted} nodes that get replicas, the cluster has {nodes}"
    )]
    ReplicationFactor { wanted: u32, nodes: usize },
    #[error("the assignment is not one of known, distinct nodes for each partition")]
    Assignment,
    #[error(transparent)]
    Config(#[from] ConfigRefused),
    #[error("the request names {0:?} more than once")]
    Repeated(String),
    #[error(transparent)]
    Catalog(#[from] Refused),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtendRefused {
    #[error("a topic has at most {MAX_PARTITIONS} partitions, not {0}")]
    Partitions(u32),
    #[error("the assignment is not one of known, distinct nodes for each new partition")]
    Assignment,
    #[error(transparent)]
    Catalog(#[from] Refused),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

pub(super) const MAX_PARTITIONS: u32 = 10_000;
/// The one key whose default is the node's to say.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl Broker {
    /// Checks a creation and completes it with defaults, without doing it.
    pub fn plan_topic(&self, spec: &TopicSpec) -> Result<NewTopic, CreateRefused> {
        let view = self.view();
        name::check(&spec.name)?;
        if let Some(topic) = view.catalog.topic(&spec.name) {
            return Err(Refused::TopicExists(topic.name.clone()).into());
        }
        if let Some(other) = view.catalog.collision(&spec.name) {
            return Err(Refused::NameCollides(other.clone()).into());
        }
        for (key, value) in &spec.configs {
            topic_config::check(key, value)?;
        }
        let partitions = match spec.assignments.is_empty() {
            true => self.place(&view, spec)?,
            false => {
                check_assignments(&view, &spec.assignments).ok_or(CreateRefused::Assignment)?
            }
        };
        Ok(NewTopic {
            name: spec.name.clone(),
            id: new_topic_id(),
            internal: spec.internal,
            partitions,
            configs: spec.configs.clone(),
        })
    }

    /// Creates topics with one proposal; each has its own result, and success means that leaders exist.
    pub async fn create_topics(
        &self,
        specs: &[TopicSpec],
        timeout: Duration,
    ) -> Vec<Result<Arc<Topic>, CreateRefused>> {
        let plans: Vec<_> = specs.iter().map(|spec| self.plan_topic(spec)).collect();
        let wanted: Vec<NewTopic> = plans
            .iter()
            .filter_map(|plan| plan.as_ref().ok().cloned())
            .collect();
        let mut created = match wanted.is_empty() {
            true => Ok(Vec::new().into_iter()),
            false => self
                .propose_topics(Command::CreateTopics(wanted), timeout)
                .await
                .map(Vec::into_iter),
        };
        let mut results = Vec::with_capacity(plans.len());
        for plan in plans {
            results.push(match (plan, &mut created) {
                (Err(refused), _) => Err(refused),
                (Ok(_), Err(error)) => Err(error.clone().into()),
                (Ok(_), Ok(outcomes)) => match outcomes.next() {
                    Some(TopicOutcome::Created(topic)) => Ok(topic),
                    Some(TopicOutcome::Refused(refused)) => Err(refused.into()),
                    other => unreachable!("a creation was proposed, not {other:?}"),
                },
            });
        }
        results
    }

    /// Deletes topics; each has its own result.
    pub async fn delete_topics(
        &self,
        ids: Vec<TopicId>,
        timeout: Duration,
    ) -> Result<Vec<Result<Arc<Topic>, Refused>>, ProposeError> {
        let outcomes = self
            .propose_topics(Command::DeleteTopics(ids), timeout)
            .await?;
        let result = |outcome| match outcome {
            TopicOutcome::Deleted(topic) => Ok(topic),
            TopicOutcome::Refused(refused) => Err(refused),
            other => unreachable!("a deletion was proposed, not {other:?}"),
        };
        Ok(outcomes.into_iter().map(result).collect())
    }

    /// Checks what [`Broker::add_partitions`] would do.
    pub fn plan_partitions(
        &self,
        topic: &Topic,
        total: u32,
        assignments: &[Vec<NodeId>],
    ) -> Result<Vec<Vec<NodeId>>, ExtendRefused> {
        let present = topic.partitions.len();
        if total > MAX_PARTITIONS {
            return Err(ExtendRefused::Partitions(total));
        }
        if total as usize <= present {
            return Err(Refused::NotMorePartitions {
                present,
                wanted: total as usize,
            }
            .into());
        }
        let added = total as usize - present;
        let view = self.view();
        if assignments.is_empty() {
            let factor = topic
                .partitions
                .first()
                .map_or(1, |partition| partition.replicas.len());
            return placement::place(&view.catalog, added, factor).ok_or(ExtendRefused::Assignment);
        }
        let placed = check_assignments(&view, assignments).filter(|placed| placed.len() == added);
        placed.ok_or(ExtendRefused::Assignment)
    }

    /// Brings a topic to `total` partitions.
    pub async fn add_partitions(
        &self,
        topic: &Topic,
        total: u32,
        assignments: &[Vec<NodeId>],
        timeout: Duration,
    ) -> Result<Arc<Topic>, ExtendRefused> {
        let replicas = self.plan_partitions(topic, total, assignments)?;
        let command = Command::AddPartitions {
            topic: topic.id,
            total,
            replicas,
        };
        match self.propose_topics(command, timeout).await?.pop() {
            Some(TopicOutcome::Extended { topic, .. }) => Ok(topic),
            Some(TopicOutcome::Refused(refused)) => Err(refused.into()),
            other => unreachable!("more partitions were proposed, not {other:?}"),
        }
    }

    /// Sets (some) or resets (none) configs that [`topic_config::check`] has accepted.
    pub async fn set_configs(
        &self,
        topic: TopicId,
        changes: Vec<(String, Option<String>)>,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        self.propose_plain(Command::SetConfigs { topic, changes }, timeout)
            .await
    }

    /// Proposes what is either done or refused.
    pub(super) async fn propose_plain(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Result<(), Refused>, ProposeError> {
        match self.propose(command, timeout).await? {
            Outcome::Done => Ok(Ok(())),
            Outcome::Refused(refused) => Ok(Err(refused)),
            other => unreachable!("a plain change was proposed, not {other:?}"),
        }
    }

    /// What holds for a topic that does not set the key.
    pub fn default_of(&self, row: &Row) -> String {
        match row.name {
            MIN_INSYNC_REPLICAS => self.settings.min_insync_replicas.to_string(),
            _ => row.default.to_owned(),
        }
    }

    async fn propose_topics(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Vec<TopicOutcome>, ProposeError> {
        match self.propose(command, timeout).await? {
            Outcome::Topics(outcomes) => Ok(outcomes),
            other => unreachable!("topics were proposed, not {other:?}"),
        }
    }

    fn place(&self, view: &View, spec: &TopicSpec) -> Result<Vec<Vec<NodeId>>, CreateRefused> {
        let count = spec.partitions.unwrap_or(self.settings.default_partitions);
        if count == 0 || count > MAX_PARTITIONS {
            return Err(CreateRefused::Partitions(count));
        }
        let factor = spec
            .replication_factor
            .unwrap_or(self.settings.default_replication_factor);
        let catalog = &view.catalog;
        if catalog.nodes.is_empty() {
            // This node does not know its cluster yet.
            return Err(ProposeError::NotLeader(None).into());
        }
        let placed = placement::place(&view.catalog, count as usize, factor as usize);
        let gets_some = |node: &&NodeId| !catalog.drained.contains(*node);
        placed.ok_or_else(|| CreateRefused::ReplicationFactor {
            wanted: factor,
            nodes: catalog.nodes.keys().filter(gets_some).count(),
        })
    }
}

fn check_assignments(view: &View, assignments: &[Vec<NodeId>]) -> Option<Vec<Vec<NodeId>>> {
    let factor = assignments.first()?.len();
    let fits = |replicas: &Vec<NodeId>| {
        let distinct = replicas
            .iter()
            .enumerate()
            .all(|(at, node)| !replicas[..at].contains(node));
        let known = replicas
            .iter()
            .all(|node| view.catalog.nodes.contains_key(node));
        factor > 0 && replicas.len() == factor && distinct && known
    };
    assignments.iter().all(fits).then(|| assignments.to_vec())
}

fn new_topic_id() -> TopicId {
    TopicId(*uuid::Uuid::new_v4().as_bytes())
}
