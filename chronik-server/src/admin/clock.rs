//! How far clocks are apart: every node is asked for its time, and what the question needed on its way is the doubt.

use chronik_admin::AdminError;
use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{ClockRequest, Clocks, NodeClock};
use chronik_core::ids::NodeId;

use super::desk::{Desk, Heard};
use crate::clock;

impl Desk {
    pub(super) async fn clocks(&self, request: ClockRequest) -> Result<Clocks, AdminError> {
        let others = self.ask_others(Question::Clock(request)).await?;
        let others = others.into_iter();
        let others = others.map(|(node, heard)| compare(node, &heard));
        let own = NodeClock {
            ahead_ms: Some(0),
            uncertain_ms: Some(0),
            ..self.clock_here()
        };
        let mut nodes: Vec<NodeClock> = others.chain([own]).collect();
        nodes.sort_unstable_by_key(|clock| clock.node_id);
        Ok(Clocks {
            cluster_id: self.rooms()?.broker.view().catalog.cluster_id.to_string(),
            asked_node: self.about.node.0,
            nodes,
        })
    }

    pub(super) fn clock_here(&self) -> NodeClock {
        NodeClock {
            node_id: self.about.node.0,
            reachable: true,
            now_ms: Some(clock::wall_ms().unsigned_abs()),
            ..NodeClock::default()
        }
    }
}

/// The other node read its clock somewhere between question and answer: as likely as not in the middle.
fn compare(node: NodeId, heard: &Heard) -> NodeClock {
    let silent = |why: &str| NodeClock {
        node_id: node.0,
        error: Some(why.to_owned()),
        ..NodeClock::default()
    };
    let now_ms = match &heard.answer {
        Ok(Answer::Clock(clock)) => clock.now_ms.unwrap_or_default(),
        Ok(_) => return silent("it answered something else"),
        Err(why) => return silent(why),
    };
    let doubt_ms = heard.answered_in.as_millis() as i64 / 2;
    let middle = heard.at_ms - doubt_ms;
    NodeClock {
        node_id: node.0,
        reachable: true,
        error: None,
        now_ms: Some(now_ms),
        ahead_ms: Some(i64::try_from(now_ms).unwrap_or(i64::MAX) - middle),
        // Both clocks are read in whole milliseconds.
        uncertain_ms: Some(doubt_ms.unsigned_abs() + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_of_the_way_is_not_the_clocks_fault() {
        let clock = NodeClock {
            now_ms: Some(10_500),
            ..NodeClock::default()
        };
        let heard = Heard {
            answer: Ok(Answer::Clock(clock)),
            answered_in: Duration::from_millis(40),
            at_ms: 10_020,
        };
        let told = compare(NodeId(2), &heard);
        assert_eq!((told.ahead_ms, told.uncertain_ms), (Some(500), Some(21)));
        let silent = Heard {
            answer: Err("it is not connected".to_owned()),
            ..heard
        };
        let told = compare(NodeId(2), &silent);
        assert_eq!((told.reachable, told.ahead_ms), (false, None));
    }
}
