//! The cluster, put together from what its members say.

use std::collections::BTreeMap;

use chronik_admin::AdminError;
use chronik_admin::v1::{ClusterView, ClusterViewRequest, Health, HealthRequest, Leader, NodeRow};
use chronik_core::ids::NodeId;

use super::assess::{self, Words};
use super::desk::{Asked, Desk};
use super::names;

impl Desk {
    pub(super) async fn cluster_view(
        &self,
        _: ClusterViewRequest,
    ) -> Result<ClusterView, AdminError> {
        self.view_for(&HealthRequest::default()).await
    }

    pub(super) async fn health(&self, request: HealthRequest) -> Result<Health, AdminError> {
        let view = self.view_for(&request).await?;
        Ok(view.health.expect("a view has a verdict"))
    }

    async fn view_for(&self, request: &HealthRequest) -> Result<ClusterView, AdminError> {
        let asked = self.ask_all().await?;
        let words = words_of(&asked);
        let view = self.rooms()?.broker.view();
        let catalog = &view.catalog;
        let groups = assess::groups(&names::all(catalog), &words, request.max_lag_entries);
        let silences = self.silences(&words);
        let nodes = asked.iter().map(|(node, asked)| {
            let member = catalog.nodes.get(node);
            let status = asked.outcome.as_ref().ok();
            let status = status.and_then(|snapshot| snapshot.status.clone());
            NodeRow {
                node_id: node.0,
                reachable: asked.outcome.is_ok(),
                error: asked.outcome.as_ref().err().cloned(),
                silent_ms: silences.get(&node.0).copied(),
                answered_in_ms: asked.answered_in.as_millis() as u64,
                kafka_address: member
                    .map(|member| format!("{}:{}", member.kafka_host, member.kafka_port))
                    .unwrap_or_default(),
                peer_address: member
                    .map(|member| member.peer_address.clone())
                    .unwrap_or_default(),
                status,
                drained: catalog.drained.contains(node),
            }
        });
        let nodes: Vec<NodeRow> = nodes.collect();
        let cluster_id = catalog.cluster_id.to_string();
        let partitions = catalog
            .topics
            .values()
            .map(|topic| topic.partitions.len() as u64);
        let health = assess::health(request, &cluster_id, &nodes, &groups);
        let metadata = groups.first();
        Ok(ClusterView {
            cluster_id,
            asked_node: self.about.node.0,
            catalog_version: catalog.version,
            metadata_leader: metadata.map(|group| Leader {
                node_id: group.leader,
                term: group.term,
            }),
            topics: catalog.topics.len() as u64,
            partitions: partitions.sum(),
            nodes,
            health: Some(health),
            worst_lag: assess::worst_lag(&groups),
        })
    }

    /// For how long this node has heard nothing of others.
    fn silences(&self, words: &Words<'_>) -> BTreeMap<u64, u64> {
        let own = words.get(&self.about.node).and_then(|words| words.ok());
        let sees = own.and_then(|snapshot| snapshot.status.as_ref());
        let sees = sees.into_iter().flat_map(|status| &status.sees);
        sees.filter(|sight| !sight.alive)
            .filter_map(|sight| Some((sight.node_id, sight.since_ms?)))
            .collect()
    }
}

/// What was said, without how long it took.
pub(super) fn words_of(asked: &BTreeMap<NodeId, Asked>) -> Words<'_> {
    let said = asked.iter();
    said.map(|(node, asked)| (*node, asked.outcome.as_ref().map_err(String::as_str)))
        .collect()
}
