//! Leaders back to the nodes that should lead.

use std::time::Duration;

use chronik_admin::AdminError;
use chronik_admin::v1::{BalanceLeadersRequest, LeaderMove, LeadersBalanced};
use chronik_core::ids::{GroupUid, NodeId};
use tracing::info;

use super::desk::Desk;
use crate::broker::View;

/// How long leaders may take if nobody says it.
const WITHIN: Duration = Duration::from_secs(10);
/// An admin connection does not live for ever.
const MAX_WITHIN: Duration = Duration::from_secs(50);

/// A partition that another node leads than its first.
struct Displaced {
    group: GroupUid,
    name: String,
    leader: Option<NodeId>,
    preferred: NodeId,
    keeps_up: bool,
}

impl Desk {
    pub(super) async fn balance_leaders(
        &self,
        request: BalanceLeadersRequest,
    ) -> Result<LeadersBalanced, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let broker = &self.rooms()?.broker;
        let displaced = displaced(&broker.view());
        let able = displaced.iter().filter(|one| one.keeps_up);
        let able: Vec<(GroupUid, NodeId)> = able.map(|one| (one.group, one.preferred)).collect();
        let within = match request.within_ms {
            0 => WITHIN,
            ms => Duration::from_millis(ms).min(MAX_WITHIN),
        };
        let late = match request.dry_run {
            true => Vec::new(),
            false => {
                info!(
                    request = request.request_id,
                    partitions = able.len(),
                    "an operator balances leaders"
                );
                broker.elect(able, within).await
            }
        };
        let (mut moved, mut left) = (Vec::new(), Vec::new());
        for one in displaced {
            let why = match (one.keeps_up, late.contains(&one.group)) {
                (false, _) => "its first replica does not keep up",
                (true, true) => "it was not handed over in time",
                (true, false) => "",
            };
            let list = if why.is_empty() {
                &mut moved
            } else {
                &mut left
            };
            list.push(LeaderMove {
                group: one.name,
                from: one.leader.map(|leader| leader.0),
                to: one.preferred.0,
                why: why.to_owned(),
            });
        }
        Ok(LeadersBalanced {
            moved,
            left,
            dry_run: request.dry_run,
        })
    }
}

fn displaced(view: &View) -> Vec<Displaced> {
    let topics = view.catalog.topics.values();
    let partitions = topics.flat_map(|topic| {
        let numbered = topic.partitions.iter().enumerate();
        numbered.map(|(number, partition)| (format!("{}/{number}", topic.name), partition))
    });
    let displaced = partitions.filter_map(|(name, partition)| {
        let leader = view.leader(partition.group).node;
        let preferred = *partition.replicas.first()?;
        (leader != Some(preferred)).then(|| Displaced {
            group: partition.group,
            name,
            leader,
            preferred,
            keeps_up: view.is_in_sync(partition.group, preferred),
        })
    });
    displaced.collect()
}
