//! Elections that somebody asks for: leadership goes back to preferred replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use chronik_core::ids::{GroupUid, NodeId};
use tokio::time::{Instant, timeout_at};

use super::Broker;
use crate::neighbours::Request;

/// A leader hands over within two ways between nodes and a sync; whoever lags catches up first.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const CALL_TIMEOUT: Duration = Duration::from_secs(1);

impl Broker {
    /// Asks whoever leads these groups to let others lead, and waits until they do. Returns those that still do not.
    pub async fn elect(
        &self,
        mut wanted: Vec<(GroupUid, NodeId)>,
        timeout: Duration,
    ) -> Vec<GroupUid> {
        let deadline = Instant::now() + timeout;
        let mut leaders = self.leader_changes();
        let mut asked_at: Option<Instant> = None;
        loop {
            leaders.mark_unchanged();
            let view = self.view();
            wanted.retain(|(group, node)| view.leader(*group).node != Some(*node));
            if wanted.is_empty() || Instant::now() >= deadline {
                return wanted.into_iter().map(|(group, _)| group).collect();
            }
            if asked_at.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
                self.ask_leaders(&wanted).await;
                asked_at = Some(Instant::now());
            }
            let next = deadline.min(Instant::now() + ASK_AGAIN);
            // An error means that the time is over, or that the node stops: both show above.
            let _ = timeout_at(next, leaders.changed()).await;
        }
    }

    async fn ask_leaders(&self, wanted: &[(GroupUid, NodeId)]) {
        let view = self.view();
        let mut by_leader: BTreeMap<NodeId, Vec<(GroupUid, NodeId)>> = BTreeMap::new();
        for (group, node) in wanted {
            if let Some(leader) = view.leader(*group).node {
                by_leader.entry(leader).or_default().push((*group, *node));
            }
        }
        if let Some(led_here) = by_leader.remove(&self.settings.node) {
            self.shard.hand_to(led_here);
        }
        let calls = by_leader.into_iter().map(|(leader, wanted)| {
            let request = Request::HandTo(wanted).encode();
            self.peers.call(leader, request, CALL_TIMEOUT)
        });
        // Whoever does not answer now is asked again.
        futures_util::future::join_all(calls).await;
    }
}
