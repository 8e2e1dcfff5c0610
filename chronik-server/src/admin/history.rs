//! Changes of leaders, put together from what every node remembers.

use std::collections::BTreeMap;

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{LeaderChanged, RaftHistory, RaftHistoryRequest};
use chronik_admin::{AdminError, Code};
use chronik_core::ids::{GroupUid, NodeId};

use super::desk::Desk;
use super::names;
use crate::clock;
use crate::raft::history::{Change, Why};

/// Changes in one answer, unless fewer are asked for.
const MAX_CHANGES: usize = 1000;

impl Desk {
    pub(super) async fn history(
        &self,
        request: RaftHistoryRequest,
    ) -> Result<RaftHistory, AdminError> {
        let view = self.rooms()?.broker.view();
        let wanted = match request.group.as_str() {
            "" => None,
            name => Some(names::find(&view.catalog, name)?),
        };
        let since = match request.within_ms {
            0 => 0,
            within => clock::wall_ms().unsigned_abs().saturating_sub(within),
        };
        let own = self.history_here().await?;
        let mut silent = Vec::new();
        let mut all = own.changes;
        for (node, heard) in self.ask_others(Question::History(request.clone())).await? {
            match heard.answer {
                Ok(Answer::History(history)) => all.extend(history.changes),
                _ => silent.push(node.0),
            }
        }
        let names = names::all(&view.catalog);
        let is_wanted = |change: &LeaderChanged| {
            change.at_ms >= since && wanted.is_none_or(|group| change.group_id == group.0)
        };
        all.retain(is_wanted);
        let mut changes = merge(all);
        for change in &mut changes {
            let known = names.get(&GroupUid(change.group_id));
            // A group that is gone keeps its number.
            change.group =
                known.map_or_else(|| change.group_id.to_string(), |wanted| wanted.name.clone());
        }
        let most = match request.limit {
            0 => MAX_CHANGES,
            limit => MAX_CHANGES.min(limit as usize),
        };
        changes.drain(..changes.len().saturating_sub(most));
        Ok(RaftHistory {
            cluster_id: view.catalog.cluster_id.to_string(),
            asked_node: self.about.node.0,
            silent_nodes: silent,
            changes,
        })
    }

    /// What this node remembers by itself.
    pub(super) async fn history_here(&self) -> Result<RaftHistory, AdminError> {
        let busy = || AdminError::new(Code::Overloaded, "the node has too much to do, or stops");
        let changes = self.rooms()?.shard.history().await.ok_or_else(busy)?;
        let noticed_by = self.about.node;
        Ok(RaftHistory {
            changes: changes
                .iter()
                .map(|change| told(noticed_by, change))
                .collect(),
            ..RaftHistory::default()
        })
    }
}

/// One row for each leader that a group had in a term, and for each time without one: as noticed first, with a cause if
/// anybody knows one.
fn merge(all: Vec<LeaderChanged>) -> Vec<LeaderChanged> {
    let mut merged: BTreeMap<(u64, u64, Option<u64>), LeaderChanged> = BTreeMap::new();
    for change in all {
        let key = (change.group_id, change.term, change.leader);
        let Some(known) = merged.get_mut(&key) else {
            merged.insert(key, change);
            continue;
        };
        let (why, because_of) = match change.why.is_empty() {
            true => (known.why.clone(), known.because_of),
            false => (change.why.clone(), change.because_of),
        };
        let leaderless_ms = known.leaderless_ms.max(change.leaderless_ms);
        if change.at_ms < known.at_ms {
            *known = change;
        }
        known.why = why;
        known.because_of = because_of;
        known.leaderless_ms = leaderless_ms;
    }
    let mut changes: Vec<LeaderChanged> = merged.into_values().collect();
    changes.sort_by_key(|change| (change.at_ms, change.group_id, change.term));
    changes
}

fn told(noticed_by: NodeId, change: &Change) -> LeaderChanged {
    let (why, because_of) = match change.why {
        None => ("", None),
        Some(Why::Operator) => ("operator", None),
        Some(Why::Suspected(node)) => ("suspected", Some(node.0)),
        Some(Why::Stopping) => ("stopping", Some(noticed_by.0)),
    };
    LeaderChanged {
        at_ms: change.at_ms.unsigned_abs(),
        noticed_by: noticed_by.0,
        group_id: change.group.0,
        group: String::new(),
        term: change.term,
        leader: change.leader.map(|leader| leader.0),
        leaderless_ms: change.leaderless.map(|span| span.as_millis() as u64),
        why: why.to_owned(),
        because_of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_nodes_noticed_is_one_change_with_the_cause_that_one_knows() {
        let seen = |noticed_by, at_ms, why: &str| LeaderChanged {
            noticed_by,
            at_ms,
            group_id: 1024,
            term: 8,
            leader: Some(2),
            leaderless_ms: Some(at_ms),
            why: why.to_owned(),
            ..LeaderChanged::default()
        };
        let merged = merge(vec![
            seen(1, 30, ""),
            seen(2, 20, ""),
            seen(3, 40, "suspected"),
        ]);
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].noticed_by, merged[0].at_ms), (2, 20));
        assert_eq!(
            (merged[0].why.as_str(), merged[0].leaderless_ms),
            ("suspected", Some(40))
        );
    }
}
