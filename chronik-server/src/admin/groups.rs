//! Consumer groups: each has a coordinator somewhere, and any node finds it.

use std::collections::{BTreeMap, BTreeSet};

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    Edge, Group, GroupDescribeRequest, GroupLag, GroupLagRequest, GroupLags, GroupList,
    GroupListRequest, GroupMember, GroupPosition, GroupSummary,
};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::Catalog;
use chronik_core::consumer_group::GroupError;
use chronik_core::consumer_group::message::{
    FetchRequest, FetchedTopic, GroupDescription, GroupState, Stability,
};
use chronik_core::ids::{GroupUid, NodeId};
use futures_util::StreamExt;
use futures_util::stream;

use super::desk::{Desk, ask_there};
use crate::limits;

impl Desk {
    pub(super) async fn group_list(
        &self,
        request: GroupListRequest,
    ) -> Result<GroupList, AdminError> {
        let mut list = self.group_list_here().await?;
        for (node, heard) in self.ask_others(Question::Groups(request)).await? {
            match heard.answer {
                Ok(Answer::Groups(theirs)) => list.groups.extend(theirs.groups),
                _ => list.silent_nodes.push(node.0),
            }
        }
        list.groups
            .sort_by(|one, other| one.group.cmp(&other.group));
        Ok(list)
    }

    /// Groups that this node coordinates.
    pub(super) async fn group_list_here(&self) -> Result<GroupList, AdminError> {
        let rooms = self.rooms()?;
        let listed = rooms.groups.list().await.map_err(refused)?;
        let groups = listed.into_iter().map(|listing| GroupSummary {
            group: listing.group,
            state: listing.state.name().to_owned(),
            protocol_type: listing.protocol_type,
            coordinator: self.about.node.0,
        });
        Ok(GroupList {
            cluster_id: rooms.broker.view().catalog.cluster_id.to_string(),
            groups: groups.collect(),
            silent_nodes: Vec::new(),
        })
    }

    pub(super) async fn group_describe(
        &self,
        request: GroupDescribeRequest,
    ) -> Result<Group, AdminError> {
        let name = request.group.clone();
        let mut group = match self.coordinator_elsewhere(&name)? {
            None => self.group_here(&name).await?,
            Some(node) => ask_there!(self, node, Group(request) -> Group)?,
        };
        self.measure(&mut group).await?;
        Ok(group)
    }

    pub(super) async fn group_lags(
        &self,
        request: GroupLagRequest,
    ) -> Result<GroupLags, AdminError> {
        let mut list = match request.group.as_str() {
            "" => self.group_list(GroupListRequest {}).await?,
            name => {
                let summary = GroupSummary {
                    group: name.to_owned(),
                    ..GroupSummary::default()
                };
                GroupList {
                    cluster_id: self.rooms()?.broker.view().catalog.cluster_id.to_string(),
                    groups: vec![summary],
                    silent_nodes: Vec::new(),
                }
            }
        };
        let is_one = !request.group.is_empty();
        let describe = |summary: &GroupSummary| {
            let group = summary.group.clone();
            self.group_describe(GroupDescribeRequest { group })
        };
        // As many at once as leave room for others to be asked something.
        let described: Vec<_> = stream::iter(list.groups.iter().map(describe))
            .buffered(limits::ADMIN_GROUPS_AT_ONCE)
            .collect()
            .await;
        let mut groups = Vec::new();
        for outcome in described {
            match outcome {
                Ok(group) => groups.push(lag(&group)),
                Err(error) if is_one => return Err(error),
                // It went meanwhile, or its coordinator did.
                Err(_) => {}
            }
        }
        Ok(GroupLags {
            cluster_id: std::mem::take(&mut list.cluster_id),
            groups,
            silent_nodes: list.silent_nodes,
        })
    }

    /// Members and positions of a group that this node coordinates, without the edges of the partitions.
    pub(super) async fn group_here(&self, name: &str) -> Result<Group, AdminError> {
        let groups = &self.rooms()?.groups;
        let described = groups.describe(name.to_owned()).await.map_err(refused)?;
        let request = FetchRequest {
            group: name.to_owned(),
            topics: None,
            stability: Stability::Any,
        };
        let fetched = groups.fetch_offsets(request).await.map_err(refused)?;
        if described.is_none() && fetched.is_empty() {
            return Err(unknown(name));
        }
        let mut group = Group {
            group: name.to_owned(),
            state: GroupState::Dead.name().to_owned(),
            coordinator: self.about.node.0,
            positions: fetched.into_iter().flat_map(positions).collect(),
            ..Group::default()
        };
        if let Some(described) = described {
            tell(&mut group, described);
        }
        Ok(group)
    }

    /// The node that coordinates a group, if it is another one than this.
    pub(super) fn coordinator_elsewhere(&self, group: &str) -> Result<Option<NodeId>, AdminError> {
        let rooms = self.rooms()?;
        let uid = rooms.groups.place(group).ok_or_else(|| unknown(group))?;
        let leader = rooms.broker.view().leader(uid).node.ok_or_else(|| {
            let message = format!("group {group} has no coordinator now");
            AdminError::new(Code::NoLeader, message)
                .hint(format!("chronikctl raft status --group {uid}"))
        })?;
        Ok(Some(leader).filter(|leader| *leader != self.about.node))
    }

    /// Puts the positions of a group next to the edges of their partitions.
    pub(super) async fn measure(&self, group: &mut Group) -> Result<(), AdminError> {
        let view = self.rooms()?.broker.view();
        let mut uids: BTreeMap<(String, u32), GroupUid> = BTreeMap::new();
        for position in &group.positions {
            if let Some(uid) = uid(&view.catalog, &position.topic, position.partition) {
                uids.insert((position.topic.clone(), position.partition), uid);
            }
        }
        let wanted: BTreeSet<GroupUid> = uids.values().copied().collect();
        let wanted: Vec<GroupUid> = wanted.into_iter().collect();
        let edges = self.edges(&wanted).await;
        for position in &mut group.positions {
            let place = (position.topic.clone(), position.partition);
            let edge = uids.get(&place).and_then(|uid| edges.get(uid));
            if let Some(edge) = edge {
                set(position, edge);
            }
        }
        group.lag = group.positions.iter().filter_map(|it| it.lag).sum();
        Ok(())
    }
}

/// The Raft group of a partition.
pub(super) fn uid(catalog: &Catalog, topic: &str, partition: u32) -> Option<GroupUid> {
    let topic = catalog.topic(topic)?;
    let partition = topic.partitions.get(partition as usize)?;
    Some(partition.group)
}

pub(super) fn refused(error: GroupError) -> AdminError {
    let (code, hint) = match error {
        GroupError::CoordinatorLoadInProgress
        | GroupError::CoordinatorNotAvailable
        | GroupError::NotCoordinator
        | GroupError::RebalanceInProgress => (Code::NotLeader, "chronikctl group list"),
        GroupError::GroupIdNotFound => (Code::NotFound, "chronikctl group list"),
        GroupError::NonEmptyGroup => (Code::Blocked, "stop its members first"),
        _ => (Code::InvalidArgument, "chronikctl group list"),
    };
    let message = match code {
        Code::Blocked => format!("GROUP_NOT_EMPTY: {error}"),
        _ => error.to_string(),
    };
    AdminError::new(code, message).hint(hint)
}

fn unknown(group: &str) -> AdminError {
    let message = format!("there is no group {group:?}");
    AdminError::new(Code::NotFound, message).hint("chronikctl group list")
}

fn tell(group: &mut Group, described: GroupDescription) {
    group.state = described.state.name().to_owned();
    group.protocol_type = described.protocol_type;
    group.protocol = described.protocol_name;
    let members = described.members.into_iter().map(|known| GroupMember {
        member_id: known.member.member_id,
        instance_id: known.member.instance_id,
        client_id: known.client_id,
        client_host: known.client_host,
    });
    group.members = members.collect();
}

fn positions(fetched: FetchedTopic) -> impl Iterator<Item = GroupPosition> {
    let topic = fetched.topic;
    let committed = fetched.partitions.into_iter().filter(|it| it.offset >= 0);
    committed.map(move |committed| GroupPosition {
        topic: topic.clone(),
        partition: committed.partition.unsigned_abs(),
        committed: committed.offset,
        ..GroupPosition::default()
    })
}

fn set(position: &mut GroupPosition, edge: &Edge) {
    position.start = Some(edge.start);
    position.end = Some(edge.end);
    let lag = edge.end - position.committed.max(edge.start);
    position.lag = Some(u64::try_from(lag).unwrap_or_default());
    position.below_start = position.committed < edge.start;
}

fn lag(group: &Group) -> GroupLag {
    let positions = || group.positions.iter();
    let behind = positions().filter(|position| position.lag.is_some_and(|lag| lag > 0));
    GroupLag {
        group: group.group.clone(),
        state: group.state.clone(),
        members: group.members.len() as u64,
        lag: group.lag,
        behind: behind.count() as u64,
        below_start: positions().filter(|position| position.below_start).count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_not_waited_for() {
        let edge = Edge {
            group_id: 1024,
            start: 40,
            end: 100,
        };
        let mut position = GroupPosition {
            committed: 10,
            ..GroupPosition::default()
        };
        set(&mut position, &edge);
        assert_eq!((position.lag, position.below_start), (Some(60), true));
        position.committed = 120;
        set(&mut position, &edge);
        assert_eq!((position.lag, position.below_start), (Some(0), false));
        let group = Group {
            positions: vec![position],
            ..Group::default()
        };
        assert_eq!((lag(&group).behind, lag(&group).below_start), (0, 0));
    }
}
