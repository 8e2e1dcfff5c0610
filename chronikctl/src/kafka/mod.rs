//! A small Kafka client: one connection to each broker, one request at a time, a bound on every answer, no retries in
//! hiding.

mod connection;
mod errors;
mod partition;
mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use chronik_admin::Code;
use chronik_admin::client::Bounds;
use futures_util::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::time::sleep;

use crate::exit::Failure;
use connection::Connection;

pub(crate) use errors::{check, is_retriable, outcome, refusal};
pub(crate) use partition::for_key;
pub(crate) use records::{Read, decode, encode};

/// A cluster, by Kafka's protocol.
pub(crate) struct Kafka {
    bounds: Bounds,
    /// Whoever answered first.
    any: Connection,
    connections: BTreeMap<i32, Connection>,
    addresses: BTreeMap<i32, String>,
    pub(crate) controller: i32,
    pub(crate) cluster_id: String,
}

/// Versions that Chronik and Kafka from 2.4 to 4 understand alike.
mod versions {
    pub(super) const METADATA: i16 = 9;
}

/// The next address is tried when one has not answered for so long.
const STAGGER: Duration = Duration::from_millis(150);
/// What an answer may take longer than its call is bound, where the broker itself waits.
const GRACE: Duration = Duration::from_secs(1);

impl Kafka {
    /// Connects to whichever broker answers first.
    pub(crate) async fn connect(bootstrap: &[String], bounds: Bounds) -> Result<Kafka, Failure> {
        let attempt = |(place, address): (usize, &String)| {
            let address = address.clone();
            async move {
                sleep(STAGGER * u32::try_from(place).unwrap_or(u32::MAX)).await;
                let mut connection = Connection::open(&address, bounds).await?;
                let nothing = MetadataRequest::default().with_topics(Some(Vec::new()));
                let metadata = connection
                    .ask(versions::METADATA, &nothing, bounds.call)
                    .await?;
                Ok::<_, Failure>((connection, metadata))
            }
        };
        let mut attempts: FuturesUnordered<_> = bootstrap.iter().enumerate().map(attempt).collect();
        let mut refusals = Vec::new();
        while let Some(outcome) = attempts.next().await {
            match outcome {
                Ok((any, metadata)) => {
                    let mut kafka = Kafka {
                        bounds,
                        any,
                        connections: BTreeMap::new(),
                        addresses: BTreeMap::new(),
                        controller: -1,
                        cluster_id: String::new(),
                    };
                    kafka.learn(&metadata);
                    return Ok(kafka);
                }
                Err(failure) => refusals.push(failure.error.message),
            }
        }
        let message = match refusals.is_empty() {
            true => "the context has no Kafka address".to_owned(),
            false => refusals.join("; "),
        };
        Err(Failure::new(Code::Unreachable, message).hint("chronikctl context show"))
    }

    /// What the cluster says of these topics, or of all.
    pub(crate) async fn metadata(
        &mut self,
        topics: Option<&[String]>,
    ) -> Result<MetadataResponse, Failure> {
        let wanted =
            |name: &String| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(wanted).collect()))
            .with_allow_auto_topic_creation(false);
        let metadata = self.any(versions::METADATA, &request).await?;
        self.learn(&metadata);
        Ok(metadata)
    }

    /// Names a topic in the way in which producers do, upon which a cluster may make it.
    pub(crate) async fn make_by_naming(&mut self, topic: &str) -> Result<(), Failure> {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(true);
        self.any(versions::METADATA, &request).await.map(drop)
    }

    /// Asks any broker.
    pub(crate) async fn any<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Failure> {
        self.any
            .ask(version, request, self.bounds.call + GRACE)
            .await
    }

    /// Asks one broker, which knows more or leads.
    pub(crate) async fn ask<R: Request>(
        &mut self,
        node: i32,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Failure> {
        let bound = self.bounds.call + GRACE;
        if !self.connections.contains_key(&node) {
            let address = self.addresses.get(&node).cloned().ok_or_else(|| {
                Failure::new(
                    Code::Unreachable,
                    format!("broker {node} is not in the cluster's metadata"),
                )
            })?;
            let connection = Connection::open(&address, self.bounds).await?;
            self.connections.insert(node, connection);
        }
        let connection = self.connections.get_mut(&node).expect("it was just made");
        let answer = connection.ask(version, request, bound).await;
        if answer.is_err() {
            // What else comes over it would answer an older question.
            self.connections.remove(&node);
        }
        answer
    }

    /// The bound that the broker is told, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.bounds.call.as_millis()).unwrap_or(i32::MAX)
    }

    /// How long an answer may take.
    pub(crate) fn bound(&self) -> Duration {
        self.bounds.call
    }

    /// All brokers that are there.
    pub(crate) fn nodes(&self) -> Vec<i32> {
        self.addresses.keys().copied().collect()
    }

    fn learn(&mut self, metadata: &MetadataResponse) {
        let brokers = metadata.brokers.iter();
        self.addresses = brokers
            .map(|broker| (broker.node_id.0, format!("{}:{}", broker.host, broker.port)))
            .collect();
        self.controller = metadata.controller_id.0;
        let id = metadata.cluster_id.as_ref();
        self.cluster_id = id.map(ToString::to_string).unwrap_or_default();
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
