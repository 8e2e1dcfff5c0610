//! Whether every node that answers knows what was decided.

use std::time::{Duration, Instant};

use chronik_admin::v1::NodeRow;
use tokio::time::sleep;

use super::plan::listed;
use crate::commands::node;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Tone};
use crate::session::Session;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nodes that are there hear of it in no time.
const WITHIN: Duration = Duration::from_secs(10);

/// Looks until all nodes that answer have a catalog of this version or a newer one, and says so.
pub(super) async fn everywhere(
    session: &Session,
    catalog_version: u64,
    mut answer: Answer,
) -> Result<Answer, Failure> {
    let deadline = Instant::now() + WITHIN;
    let knows = |row: &&NodeRow| {
        let status = row.status.as_ref();
        status.is_some_and(|status| status.catalog_version >= catalog_version)
    };
    loop {
        let (_, view) = node::view(session).await?;
        let (there, silent): (Vec<&NodeRow>, Vec<&NodeRow>) =
            view.nodes.iter().partition(|row| row.reachable);
        let (known, late): (Vec<&NodeRow>, Vec<&NodeRow>) = there.into_iter().partition(knows);
        let numbers =
            |rows: &[&NodeRow]| -> Vec<u64> { rows.iter().map(|row| row.node_id).collect() };
        let is_late = !late.is_empty();
        if is_late && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
            continue;
        }
        let told = format!("known to node {}", listed(&numbers(&known)));
        answer.footers.push((Tone::Good, told));
        if is_late {
            let told = format!("node {} does not know it yet", listed(&numbers(&late)));
            answer.footers.push((Tone::Bad, told));
            answer.verdict = Verdict::No;
        }
        if !silent.is_empty() {
            let told = format!(
                "node {} does not answer, and will know it when it is back",
                listed(&numbers(&silent))
            );
            answer.footers.push((Tone::Warn, told));
        }
        return Ok(answer);
    }
}
