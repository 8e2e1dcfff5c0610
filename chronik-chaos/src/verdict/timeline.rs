//! When what was acknowledged: gaps, latencies, and the curve of a report.

use std::collections::BTreeMap;
use std::ops::Range;

use chronik_check::history::{Action, Event, Outcome};

/// Acknowledgements by partition, and the sends that wait for theirs.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    open: BTreeMap<u64, (u64, String, u32)>,
    /// For each partition, when batches were sent and acknowledged.
    pub(crate) acked: BTreeMap<String, Vec<(u64, u64)>>,
    pub(crate) acked_records: u64,
    /// For each partition, when which epoch first had which leader, by any node's word.
    pub(crate) leaders: BTreeMap<String, Vec<Reign>>,
    pub(crate) end_ns: u64,
    first_send_ns: Option<u64>,
}

/// The begin of a leader's time, as far as anybody outside can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) since_ns: u64,
    pub(crate) term: u64,
    pub(crate) leader: u32,
}

impl Timeline {
    pub(crate) fn take(&mut self, event: &Event) {
        self.end_ns = event.time_ns;
        match &event.action {
            Action::SendInvoke(send) => {
                self.first_send_ns.get_or_insert(event.time_ns);
                let place = send.partition.to_string();
                self.open
                    .insert(send.op, (event.time_ns, place, send.count));
            }
            Action::SendEnd(end) => {
                let Some((invoked_ns, place, count)) = self.open.remove(&end.op) else {
                    return;
                };
                let acked = self.acked.entry(place).or_default();
                if end.outcome == Outcome::Ok {
                    self.acked_records += u64::from(count);
                    acked.push((invoked_ns, event.time_ns));
                }
            }
            Action::RaftStatus(status) => {
                for (name, view) in &status.groups {
                    let reigns = self.leaders.entry(name.to_string()).or_default();
                    // Nodes learn of a leader one after another; the first word counts.
                    if view.leader != 0 && reigns.last().is_none_or(|last| last.term < view.term) {
                        reigns.push(Reign {
                            since_ns: event.time_ns,
                            term: view.term,
                            leader: view.leader,
                        });
                    }
                }
            }
            _ => {}
        }
    }

    /// How long partitions that one of these nodes led waited for a new leader, while a fault kept them away.
    pub(crate) fn elections_ns(&self, during_ns: Range<u64>, away: &[u32]) -> Vec<u64> {
        let mut waits = Vec::new();
        for reigns in self.leaders.values() {
            let before = reigns
                .iter()
                .rfind(|reign| reign.since_ns <= during_ns.start);
            let after = reigns.iter().find(|reign| reign.since_ns > during_ns.start);
            if let (Some(before), Some(after)) = (before, after)
                && away.contains(&before.leader)
                && after.since_ns < during_ns.end
            {
                waits.push(after.since_ns - during_ns.start);
            }
        }
        waits
    }

    /// Changes of leaders, the first ones not counted.
    pub(crate) fn leader_changes(&self) -> u64 {
        let changes = self
            .leaders
            .values()
            .map(|reigns| reigns.len().saturating_sub(1));
        changes.sum::<usize>() as u64
    }

    pub(crate) fn acked_batches(&self) -> u64 {
        self.acked.values().map(|acked| acked.len() as u64).sum()
    }

    /// The longest time in which a partition acknowledged nothing until the load ended, and which one it was.
    pub(crate) fn longest_gap_ns(&self, load_end_ns: u64) -> (u64, &str) {
        let start = self.first_send_ns.unwrap_or(0);
        let gaps = self.acked.iter().map(|(place, acked)| {
            let mut last = start;
            let mut longest = 0;
            // The end of the load waits for the last batches, so the time after the last one is no gap of its own
            // unless nothing was acknowledged at all.
            for (_, acked_ns) in acked {
                longest = longest.max(acked_ns.saturating_sub(last));
                last = *acked_ns;
            }
            if acked.is_empty() {
                longest = load_end_ns.saturating_sub(start);
            }
            (longest, place.as_str())
        });
        gaps.max().unwrap_or((0, ""))
    }

    /// A quantile of the time from the first attempt to the acknowledgement.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        let acked = self.acked.values().flatten();
        let mut latencies: Vec<u64> = acked
            .map(|(sent, acked)| acked.saturating_sub(*sent))
            .collect();
        latencies.sort_unstable();
        let place =
            ((latencies.len() as f64 * quantile) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(0.0, |ns| *ns as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reign(since_ns: u64, term: u64, leader: u32) -> Reign {
        Reign {
            since_ns,
            term,
            leader,
        }
    }

    #[test]
    fn an_election_is_timed_from_the_fault_to_the_next_leader() {
        let mut timeline = Timeline::default();
        let reigns = vec![reign(1, 1, 1), reign(150, 2, 3), reign(900, 3, 1)];
        timeline.leaders.insert("t/0".into(), reigns);
        timeline.leaders.insert("t/1".into(), vec![reign(1, 1, 2)]);
        assert_eq!(timeline.elections_ns(100..500, &[1]), [50]);
        assert!(timeline.elections_ns(100..500, &[2]).is_empty());
        assert!(timeline.elections_ns(100..120, &[1]).is_empty());
        assert_eq!(timeline.leader_changes(), 2);
    }

    #[test]
    fn gaps_and_latencies_come_from_acknowledgements() {
        let mut timeline = Timeline::default();
        timeline.acked.insert(
            "t/0".into(),
            vec![(0, 1_000_000), (2, 9_000_000), (9_000_000, 9_500_000)],
        );
        assert_eq!(timeline.longest_gap_ns(10_000_000), (8_000_000, "t/0"));
        assert_eq!(timeline.latency_ms(0.0), 0.5);
        assert_eq!(timeline.acked_batches(), 3);
    }
}
