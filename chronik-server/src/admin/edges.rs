//! Where partitions begin and end: their leaders know, wherever they are.

use std::collections::BTreeMap;

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{Edge, Edges, EdgesRequest};
use chronik_core::ids::{GroupUid, NodeId};

use super::desk::Desk;

impl Desk {
    /// The edges of these partitions, as far as they have leaders that answer.
    pub(super) async fn edges(&self, wanted: &[GroupUid]) -> BTreeMap<GroupUid, Edge> {
        let Some(view) = self.view() else {
            return BTreeMap::new();
        };
        let mut by_leader: BTreeMap<NodeId, EdgesRequest> = BTreeMap::new();
        for group in wanted {
            if let Some(leader) = view.leader(*group).node {
                let asked = by_leader.entry(leader).or_default();
                asked.group_ids.push(group.0);
            }
        }
        let ask = |(leader, request): (NodeId, EdgesRequest)| async move {
            if leader == self.about.node {
                return self.edges_here(&request).await;
            }
            match self.forward(leader, Question::Edges(request)).await {
                Ok(Answer::Edges(edges)) => edges,
                // A gap says enough.
                _ => Edges::default(),
            }
        };
        let answers = futures_util::future::join_all(by_leader.into_iter().map(ask)).await;
        let edges = answers.into_iter().flat_map(|answer| answer.edges);
        edges.map(|edge| (GroupUid(edge.group_id), edge)).collect()
    }

    /// Those of them that this node leads.
    pub(super) async fn edges_here(&self, request: &EdgesRequest) -> Edges {
        let Ok(rooms) = self.rooms() else {
            return Edges::default();
        };
        let groups: Vec<GroupUid> = request.group_ids.iter().copied().map(GroupUid).collect();
        let described = rooms.broker.describe(groups.clone()).await;
        let edge = |(group, described): (GroupUid, Option<crate::broker::Description>)| {
            let described = described.filter(|described| described.leads)?;
            Some(Edge {
                group_id: group.0,
                start: described.bounds.start_offset,
                end: described.bounds.high_watermark,
            })
        };
        Edges {
            edges: groups.into_iter().zip(described).filter_map(edge).collect(),
        }
    }
}
