//! Raft groups: how every node sees them, and who shall lead them.

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    Expect, Hold, RaftGroup, RaftStatus, RaftStatusRequest, StepDownRequest, Transfer,
    TransferRequest,
};
use chronik_admin::{AdminError, Code};
use chronik_core::ids::{GroupUid, NodeId};
use tracing::info;

use super::desk::{Desk, ask_there};
use super::{assess, cluster, names};
use crate::raft::inspect::TransferError;

impl Desk {
    pub(super) async fn raft_status(
        &self,
        request: RaftStatusRequest,
    ) -> Result<RaftStatus, AdminError> {
        let view = self.rooms()?.broker.view();
        let wanted = match request.group.as_str() {
            "" => None,
            name => Some(names::find(&view.catalog, name)?),
        };
        let asked = self.ask_all().await?;
        let words = cluster::words_of(&asked);
        let groups = assess::groups(&names::all(&view.catalog), &words, None);
        let is_shown = |group: &RaftGroup| match wanted {
            Some(uid) => group.group_id == uid.0,
            None => request.all || !group.problems.is_empty(),
        };
        Ok(RaftStatus {
            cluster_id: view.catalog.cluster_id.to_string(),
            asked_node: self.about.node.0,
            ..assess::raft_status(groups, &words, is_shown)
        })
    }

    /// The leader gives up. Any node takes the order and passes it on to the leader, once.
    pub(super) async fn step_down(&self, request: StepDownRequest) -> Result<Transfer, AdminError> {
        match self.step_down_here(&request).await {
            Err(error) if error.code == Code::NotLeader => {
                let leader = self.leader_of(&request.group).await?;
                ask_there!(self, leader, StepDown(request) -> Transfer)
            }
            outcome => outcome,
        }
    }

    /// The leader hands over to the node that is named.
    pub(super) async fn transfer(&self, request: TransferRequest) -> Result<Transfer, AdminError> {
        match self.transfer_here(&request).await {
            Err(error) if error.code == Code::NotLeader => {
                let leader = self.leader_of(&request.group).await?;
                ask_there!(self, leader, Transfer(request) -> Transfer)
            }
            outcome => outcome,
        }
    }

    pub(super) async fn step_down_here(
        &self,
        request: &StepDownRequest,
    ) -> Result<Transfer, AdminError> {
        let order = Order {
            group: &request.group,
            to: None,
            expect: request.expect.as_ref(),
            dry_run: request.dry_run,
            request_id: &request.request_id,
        };
        self.obey(order).await
    }

    pub(super) async fn transfer_here(
        &self,
        request: &TransferRequest,
    ) -> Result<Transfer, AdminError> {
        let order = Order {
            group: &request.group,
            to: Some(NodeId(request.to)),
            expect: request.expect.as_ref(),
            dry_run: request.dry_run,
            request_id: &request.request_id,
        };
        self.obey(order).await
    }

    async fn obey(&self, order: Order<'_>) -> Result<Transfer, AdminError> {
        let rooms = self.rooms()?;
        let view = rooms.broker.view();
        let group = names::find(&view.catalog, order.group)?;
        let name = names::all(&view.catalog)
            .remove(&group)
            .map_or_else(|| group.to_string(), |wanted| wanted.name);
        self.check_cluster(order.expect)?;
        let term = order.expect.and_then(|expect| expect.term);
        let busy = || AdminError::new(Code::Overloaded, "the node has too much to do, or stops");
        let plan = rooms.shard.transfer(group, order.to, term, true);
        let plan = plan.await.ok_or_else(busy)?;
        let mut plan = plan.map_err(|refused| explain(&name, group, refused))?;
        if !order.dry_run {
            // Or the preferred node would get it back at once. If this fails, that is all that happens.
            let hold = Question::Hold(Hold { group_id: group.0 });
            _ = self.forward(plan.to, hold).await;
            let transfer = rooms.shard.transfer(group, Some(plan.to), term, false);
            let outcome = transfer.await.ok_or_else(busy)?;
            plan = outcome.map_err(|refused| explain(&name, group, refused))?;
        }
        if !order.dry_run {
            info!(request = order.request_id, group = %name, to = %plan.to, "leadership is handed over for an operator");
        }
        Ok(Transfer {
            group_id: group.0,
            group: name,
            from: self.about.node.0,
            to: plan.to.0,
            term: plan.term,
            lag_entries: plan.lag_entries,
            voters: plan.voters as u64,
            voters_alive: plan.voters_alive as u64,
            dry_run: order.dry_run,
        })
    }

    /// Another node that leads a group.
    pub(super) async fn leader_of(&self, group: &str) -> Result<NodeId, AdminError> {
        let leader = self.present_leader_of(group).await?;
        match leader == self.about.node {
            true => Err(no_leader(group)),
            false => Ok(leader),
        }
    }

    /// Who leads a group, as far as this node knows; its own replica knows best.
    pub(super) async fn present_leader_of(&self, group: &str) -> Result<NodeId, AdminError> {
        let view = self.rooms()?.broker.view();
        let uid = names::find(&view.catalog, group)?;
        let inspection = self.inspect().await?;
        let own = inspection.groups.iter().find(|view| view.group == uid);
        let own = own.and_then(|view| view.leader);
        let leader = own.or_else(|| view.leader(uid).node);
        leader.ok_or_else(|| no_leader(group))
    }
}

fn no_leader(group: &str) -> AdminError {
    AdminError::new(Code::NoLeader, format!("{group} has no leader now"))
        .hint(format!("chronikctl raft status --group {group}"))
}

/// What is the same for both ways to change a leader.
struct Order<'a> {
    group: &'a str,
    to: Option<NodeId>,
    expect: Option<&'a Expect>,
    dry_run: bool,
    request_id: &'a str,
}

fn explain(name: &str, uid: GroupUid, refused: TransferError) -> AdminError {
    let look = format!("chronikctl raft status --group {name}");
    let blocked = |check: &str| AdminError::new(Code::Blocked, format!("{check}: {refused}"));
    match &refused {
        // A node without a replica knows as little as one that follows.
        TransferError::Unknown | TransferError::NotLeader(_) => AdminError::new(
            Code::NotLeader,
            format!("this node does not lead {name} (group {uid})"),
        )
        .hint(look),
        TransferError::Stale { .. } => AdminError::new(Code::Stale, refused.to_string()).hint(look),
        TransferError::LeadsAlready(_) => blocked("LEADS_ALREADY").hint(look),
        TransferError::NotAVoter(_) => blocked("NOT_A_VOTER").hint(look),
        TransferError::Unreachable(_) => blocked("TARGET_UNREACHABLE").hint("chronikctl node list"),
        TransferError::Lagging { .. } => {
            blocked("TARGET_LAGGING").hint("wait until it has caught up, or choose another node")
        }
        TransferError::NobodyElse => blocked("WOULD_LOSE_QUORUM").hint("chronikctl node list"),
        TransferError::InProgress => blocked("OPERATION_RUNNING").hint(look),
    }
}
