//! Members of groups: who votes, who shall, and what that makes of the quorum.

use std::time::Duration;

use chronik_admin::v1::{ChangeMemberRequest, MemberChange, Quorum};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::{Catalog, Destination, Expected, Move, Order};
use chronik_core::ids::{GroupUid, NodeId};
use tracing::info;

use super::desk::Desk;
use super::names;
use super::placement::{locate, not_ordered, numbers, refused};

const CHANGE_TIMEOUT: Duration = Duration::from_secs(4);

/// What is to become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Add,
    Promote,
    Remove,
}

/// A group's voters as the catalog wants them, and those who only learn.
struct Members {
    name: String,
    voters: Vec<NodeId>,
    learners: Vec<NodeId>,
}

impl Desk {
    pub(super) async fn change_member(
        &self,
        request: ChangeMemberRequest,
    ) -> Result<MemberChange, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let rooms = self.rooms()?;
        let view = rooms.broker.view();
        let catalog = &view.catalog;
        let (node, change) = (NodeId(request.node_id), change(&request.change)?);
        if !catalog.nodes.contains_key(&node) {
            let message = format!("there is no node {node}");
            return Err(AdminError::new(Code::NotFound, message).hint("chronikctl node list"));
        }
        let uid = names::find(catalog, &request.group)?;
        let members = members(catalog, uid, &request.group)?;
        let voters = wanted(&members, node, change)?;
        let sights = self.sights().await?;
        let is_alive = |node: NodeId| {
            let mut dead = sights.iter().filter(|sight| !sight.is_alive);
            !dead.any(|sight| sight.node == node)
        };
        let (before, after) = (quorum(&members.voters, is_alive), quorum(&voters, is_alive));
        bearable(&members.name, &after)?;
        let mut told = MemberChange {
            group_id: uid.0,
            group: members.name.clone(),
            node_id: node.0,
            change: request.change,
            before: Some(before),
            after: Some(after),
            operation_id: None,
            dry_run: request.dry_run,
        };
        if !request.dry_run {
            told.operation_id = match uid {
                GroupUid::META => self.set_meta_voters(members.voters, voters).await?,
                _ => self.set_replicas(&members.name, voters).await?,
            };
            info!(request = request.request_id, group = told.group, %node, change = told.change, "an operator changes the members of a group");
        }
        Ok(told)
    }

    async fn set_meta_voters(
        &self,
        present: Vec<NodeId>,
        wanted: Vec<NodeId>,
    ) -> Result<Option<u64>, AdminError> {
        let broker = &self.rooms()?.broker;
        let set = broker
            .set_meta_voters(present, wanted, CHANGE_TIMEOUT)
            .await;
        set.map_err(not_ordered)?.map_err(refused)?;
        Ok(None)
    }

    async fn set_replicas(
        &self,
        name: &str,
        wanted: Vec<NodeId>,
    ) -> Result<Option<u64>, AdminError> {
        let view = self.rooms()?.broker.view();
        let (topic, partition, present) = locate(&view.catalog, name)?;
        let wanted = Move {
            topic: topic.id,
            partition,
            to: Destination::Nodes(wanted),
            expected: Expected::At(present.replicas.clone()),
        };
        let order = Order {
            moves: vec![wanted],
            ..Order::default()
        };
        self.order(order).await.map(Some)
    }
}

fn change(word: &str) -> Result<Change, AdminError> {
    match word {
        "add" => Ok(Change::Add),
        "promote" => Ok(Change::Promote),
        "remove" => Ok(Change::Remove),
        other => Err(AdminError::new(
            Code::InvalidArgument,
            format!("{other:?} is no change of a member"),
        )
        .hint("add, promote or remove")),
    }
}

fn members(catalog: &Catalog, uid: GroupUid, name: &str) -> Result<Members, AdminError> {
    if uid == GroupUid::META {
        return Ok(Members {
            name: "meta".to_owned(),
            voters: catalog.meta_voters.clone(),
            learners: catalog.meta_learners().collect(),
        });
    }
    let (topic, number, partition) = locate(catalog, name)?;
    let name = format!("{}/{number}", topic.name);
    if partition.is_moving() {
        let message = format!("OPERATION_RUNNING: {name} moves already");
        return Err(AdminError::new(Code::Blocked, message).hint("chronikctl rebalance status"));
    }
    Ok(Members {
        name,
        voters: partition.replicas.clone(),
        // A replica of a partition votes by itself once it has caught up.
        learners: Vec::new(),
    })
}

/// The voters that there shall be.
fn wanted(members: &Members, node: NodeId, change: Change) -> Result<Vec<NodeId>, AdminError> {
    let Members {
        name,
        voters,
        learners,
    } = members;
    let votes = voters.contains(&node);
    let learns = learners.contains(&node);
    let blocked = |check: &str, message: String, hint: String| {
        Err(AdminError::new(Code::Blocked, format!("{check}: {message}")).hint(hint))
    };
    let look = format!("chronikctl raft status --group {name}");
    let mut wanted = voters.clone();
    match change {
        Change::Add | Change::Promote if votes => {
            let message = format!("node {node} votes in {name} already");
            return blocked("VOTES_ALREADY", message, look);
        }
        Change::Add if learns => {
            let message = format!("node {node} learns in {name} already");
            let hint = format!("chronikctl raft member promote {node} --group {name}");
            return blocked("LEARNS_ALREADY", message, hint);
        }
        Change::Promote if !learns => {
            let message = format!("node {node} does not learn in {name}");
            let hint = format!("chronikctl raft member add {node} --group {name}");
            return blocked("NOT_A_LEARNER", message, hint);
        }
        Change::Add | Change::Promote => wanted.push(node),
        Change::Remove if !votes => {
            let message = format!("node {node} has no vote in {name}");
            return blocked("NOT_A_VOTER", message, look);
        }
        Change::Remove if voters.len() == 1 => {
            let message = format!("node {node} holds all there is of {name}");
            let hint = format!("chronikctl raft member add NODE --group {name}");
            return blocked("LAST_REPLICA", message, hint);
        }
        Change::Remove => wanted.retain(|voter| *voter != node),
    }
    Ok(wanted)
}

fn quorum(voters: &[NodeId], is_alive: impl Fn(NodeId) -> bool) -> Quorum {
    let needed = voters.len() / 2 + 1;
    Quorum {
        voters: numbers(voters),
        alive: voters.iter().filter(|voter| is_alive(**voter)).count() as u64,
        needed: needed as u64,
        tolerates: (voters.len() - needed) as u64,
    }
}

fn bearable(name: &str, after: &Quorum) -> Result<(), AdminError> {
    if after.alive >= after.needed {
        return Ok(());
    }
    let (alive, needed, all) = (after.alive, after.needed, after.voters.len());
    let message = format!(
        "WOULD_LOSE_QUORUM: {name} would need {needed} of {all} voters, and {alive} answer"
    );
    Err(AdminError::new(Code::Blocked, message).hint("chronikctl node list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Members {
        Members {
            name: "meta".to_owned(),
            voters: [1, 2, 3].map(NodeId).to_vec(),
            learners: vec![NodeId(4)],
        }
    }

    fn check(node: u64, change: Change) -> String {
        match wanted(&three(), NodeId(node), change) {
            Ok(voters) => format!("{:?}", numbers(&voters)),
            Err(refusal) => refusal.message.split(':').next().unwrap().to_owned(),
        }
    }

    #[test]
    fn each_change_fits_some_members_only() {
        assert_eq!(check(4, Change::Promote), "[1, 2, 3, 4]");
        assert_eq!(check(5, Change::Add), "[1, 2, 3, 5]");
        assert_eq!(check(2, Change::Remove), "[1, 3]");
        assert_eq!(check(4, Change::Add), "LEARNS_ALREADY");
        assert_eq!(check(1, Change::Add), "VOTES_ALREADY");
        assert_eq!(check(1, Change::Promote), "VOTES_ALREADY");
        assert_eq!(check(5, Change::Promote), "NOT_A_LEARNER");
        assert_eq!(check(4, Change::Remove), "NOT_A_VOTER");
        let last = Members {
            voters: vec![NodeId(1)],
            ..three()
        };
        let refusal = wanted(&last, NodeId(1), Change::Remove).unwrap_err();
        assert!(refusal.message.starts_with("LAST_REPLICA"));
    }

    #[test]
    fn a_group_that_could_decide_nothing_is_not_made() {
        let voters = [1, 2, 3].map(NodeId);
        let after = quorum(&voters, |node| node == NodeId(1));
        assert_eq!((after.alive, after.needed, after.tolerates), (1, 2, 1));
        let refusal = bearable("orders/0", &after).unwrap_err();
        assert!(
            refusal.message.starts_with("WOULD_LOSE_QUORUM"),
            "{refusal}"
        );
        assert_eq!(bearable("orders/0", &quorum(&voters, |_| true)), Ok(()));
    }
}
