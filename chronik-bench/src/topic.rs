//! The cluster as the load finds it: brokers, topics (created where missing), leaders, end offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::client::ClientSettings;
use crate::error::BenchError;

const ANSWER_BOUND: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A connection for questions.
pub(crate) struct Cluster {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    /// Metadata and offsets. A consumer, because a producer that asks for a topic creates it.
    asker: BaseConsumer,
}

/// What a topic turned out to be, whoever created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicLayout {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) replication_factor: u32,
    /// By partition.
    pub(crate) leaders: Vec<i32>,
    pub(crate) was_created: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// End offsets by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

impl Cluster {
    pub(crate) fn connect(bootstrap: &str, client: &ClientSettings) -> Result<Self, BenchError> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            admin: client.admin().create().map_err(BenchError::client)?,
            asker: client.admin().create().map_err(BenchError::client)?,
        })
    }

    pub(crate) fn brokers(&self) -> Result<Vec<BrokerAddress>, BenchError> {
        let metadata = self
            .asker
            .client()
            .fetch_metadata(Some("__chronik_bench_none"), ANSWER_BOUND)
            .map_err(BenchError::cluster(
                "asking for the brokers",
                &self.bootstrap,
            ))?;
        let brokers = metadata.brokers().iter().map(|broker| BrokerAddress {
            id: broker.id(),
            host: broker.host().to_owned(),
            port: u16::try_from(broker.port()).unwrap_or(0),
        });
        Ok(brokers.collect())
    }

    pub(crate) fn id(&self) -> Option<String> {
        self.asker.client().fetch_cluster_id(ANSWER_BOUND)
    }

    /// The layout of a topic, or `None` if the cluster does not know it.
    pub(crate) fn layout(&self, name: &str) -> Result<Option<TopicLayout>, BenchError> {
        let metadata = self
            .asker
            .client()
            .fetch_metadata(Some(name), ANSWER_BOUND)
            .map_err(BenchError::cluster("asking for a topic", &self.bootstrap))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(None);
        };
        if topic.error().is_some() || topic.partitions().is_empty() {
            return Ok(None);
        }
        let mut partitions: Vec<_> = topic.partitions().iter().collect();
        partitions.sort_by_key(|partition| partition.id());
        Ok(Some(TopicLayout {
            name: name.to_owned(),
            partitions: partitions.len() as u32,
            replication_factor: partitions[0].replicas().len() as u32,
            leaders: partitions.iter().map(|found| found.leader()).collect(),
            was_created: false,
        }))
    }

    /// The topic as it is; an error if it is not there.
    pub(crate) fn existing_topic(&self, name: &str) -> Result<TopicLayout, BenchError> {
        self.layout(name)?.ok_or_else(|| BenchError::NoTopic {
            topic: name.to_owned(),
        })
    }

    /// The topic as it is, created first where it is missing: auto-creation would give one partition at one replica.
    pub(crate) fn ensure_topic(
        &self,
        name: &str,
        partitions: u32,
        replication_factor: Option<u32>,
        creates: bool,
    ) -> Result<TopicLayout, BenchError> {
        if !creates {
            return self.existing_topic(name);
        }
        if let Some(layout) = self.layout(name)? {
            return Ok(layout);
        }
        let brokers = self.brokers()?.len() as u32;
        let replicas = replication_factor.unwrap_or(brokers.clamp(1, 3));
        self.create_topic(name, partitions, replicas)?;
        let begin = Instant::now();
        loop {
            let layout = self.layout(name)?;
            if let Some(layout) = layout
                && layout.partitions == partitions
                && layout.leaders.iter().all(|leader| *leader >= 0)
            {
                return Ok(TopicLayout {
                    was_created: true,
                    ..layout
                });
            }
            if begin.elapsed() > ANSWER_BOUND {
                return Err(BenchError::CouldNotRun(format!(
                    "topic {name} was created but has no leaders after {ANSWER_BOUND:?}"
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        replicas: u32,
    ) -> Result<(), BenchError> {
        let mut topic = NewTopic::new(
            name,
            i32::try_from(partitions).unwrap_or(i32::MAX),
            TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(i32::MAX)),
        );
        if replicas >= 3 {
            topic = topic.set("min.insync.replicas", "2");
        }
        let results = block_on(self.admin.create_topics([&topic], &options()))
            .map_err(BenchError::cluster("creating a topic", &self.bootstrap))?;
        accepted(
            results,
            &format!("creating topic {name}"),
            RDKafkaErrorCode::TopicAlreadyExists,
        )
    }

    pub(crate) fn delete_topic(&self, name: &str) -> Result<(), BenchError> {
        let results = block_on(self.admin.delete_topics(&[name], &options()))
            .map_err(BenchError::cluster("deleting a topic", &self.bootstrap))?;
        accepted(
            results,
            &format!("deleting topic {name}"),
            RDKafkaErrorCode::UnknownTopic,
        )
    }

    /// First and end offset of a partition. librdkafka learns of another leader from this question, but leaves asking
    /// again to its users.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), BenchError> {
        let begin = Instant::now();
        let client = self.asker.client();
        loop {
            let failed = match client.fetch_watermarks(topic, partition, ANSWER_BOUND) {
                Ok(edges) => return Ok(edges),
                Err(failed) => failed,
            };
            let is_moving = failed.rdkafka_error_code().is_some_and(|code| {
                matches!(
                    code,
                    RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable
                        | RDKafkaErrorCode::OffsetNotAvailable
                )
            });
            if !is_moving || begin.elapsed() > ANSWER_BOUND {
                return Err(BenchError::cluster("asking for offsets", &self.bootstrap)(
                    failed,
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn end_offsets(&self, topics: &[TopicLayout]) -> Result<Offsets, BenchError> {
        self.offsets(topics, |(_, end)| end)
    }

    pub(crate) fn start_offsets(&self, topics: &[TopicLayout]) -> Result<Offsets, BenchError> {
        self.offsets(topics, |(start, _)| start)
    }

    fn offsets(
        &self,
        topics: &[TopicLayout],
        pick: impl Fn((i64, i64)) -> i64,
    ) -> Result<Offsets, BenchError> {
        let mut offsets = Offsets::new();
        for topic in topics {
            for partition in 0..topic.partitions as i32 {
                let watermarks = self.watermarks(&topic.name, partition)?;
                offsets.insert((topic.name.clone(), partition), pick(watermarks));
            }
        }
        Ok(offsets)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_BOUND))
        .operation_timeout(Some(ANSWER_BOUND))
}

fn accepted(
    results: Vec<Result<String, (String, RDKafkaErrorCode)>>,
    action: &str,
    as_good: RDKafkaErrorCode,
) -> Result<(), BenchError> {
    for result in results {
        if let Err((_, code)) = result
            && code != as_good
        {
            return Err(BenchError::Refused {
                action: action.to_owned(),
                code: code.to_string(),
            });
        }
    }
    Ok(())
}
