//! Figures over time: what one poll after the other said, kept for as long as a screen can show it.

use std::collections::{BTreeMap, VecDeque};

use super::data::Data;
use crate::commands::raft;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    Produced,
    ProducedBytes,
    FetchedBytes,
    Committed,
    Lag,
    LeaderlessGroups,
    Led,
    Disk,
    Memory,
    Answer,
}

/// Every series, for the cluster (no node) or one of its nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    series: BTreeMap<(Figure, Option<u64>), VecDeque<f64>>,
    /// Counters at the poll before.
    counted: BTreeMap<(Figure, Option<u64>), u64>,
    at_ms: u64,
}

/// Looks that are kept: as many as the widest screen has columns.
pub(crate) const MOST_LOOKS: usize = 240;

impl Figure {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Figure::Produced => "produced records/s",
            Figure::ProducedBytes => "produced bytes/s",
            Figure::FetchedBytes => "fetched bytes/s",
            Figure::Committed => "committed entries/s",
            Figure::Lag => "largest lag, entries",
            Figure::LeaderlessGroups => "groups without leader",
            Figure::Led => "groups led",
            Figure::Disk => "disk used",
            Figure::Memory => "memory",
            Figure::Answer => "time to answer",
        }
    }
}

impl History {
    /// Takes one poll in. A node that does not answer has a gap.
    pub(crate) fn note(&mut self, data: &Data) {
        let passed_ms = data.at_ms.saturating_sub(self.at_ms);
        let seconds = (self.at_ms > 0 && passed_ms > 0).then(|| passed_ms as f64 / 1000.0);
        self.at_ms = data.at_ms;
        let mut sums: BTreeMap<Figure, f64> = BTreeMap::new();
        for row in &data.cluster.nodes {
            let node = Some(row.node_id);
            let status = row.status.as_ref();
            let mut told = |figure, value: Option<f64>| {
                if let Some(value) = value {
                    *sums.entry(figure).or_default() += value;
                }
                self.push(figure, node, value);
            };
            let disk = status.and_then(|status| status.disk.as_ref());
            told(Figure::Disk, disk.map(|disk| f64::from(disk.used_percent)));
            told(
                Figure::Memory,
                status.map(|status| status.resident_bytes as f64),
            );
            told(Figure::Led, status.map(|status| status.leaders as f64));
            told(
                Figure::Answer,
                row.reachable.then_some(row.answered_in_ms as f64),
            );
            let counters = [
                (
                    Figure::Produced,
                    status.map(|status| status.produced_records),
                ),
                (
                    Figure::ProducedBytes,
                    status.map(|status| status.produced_bytes),
                ),
                (
                    Figure::FetchedBytes,
                    status.map(|status| status.fetched_bytes),
                ),
            ];
            for (figure, count) in counters {
                let rate = count.and_then(|count| self.rate(figure, node, count, seconds));
                self.push(figure, node, rate);
                if let Some(rate) = rate {
                    *sums.entry(figure).or_default() += rate;
                }
            }
        }
        for figure in [
            Figure::Produced,
            Figure::ProducedBytes,
            Figure::FetchedBytes,
        ] {
            self.push(figure, None, sums.get(&figure).copied());
        }
        self.note_groups(data, seconds);
        let is_member = |node: u64| data.node(node).is_some();
        self.series
            .retain(|(_, node), _| node.is_none_or(is_member));
    }

    fn note_groups(&mut self, data: &Data, seconds: Option<f64>) {
        let leaders = data.raft.groups.iter().filter_map(raft::leader);
        let (mut commit, mut lag) = (0, 0);
        for view in leaders {
            commit += view.commit;
            let most = view.progress.iter().map(|peer| peer.lag_entries).max();
            lag = lag.max(most.unwrap_or(0));
        }
        let rate = self.rate(Figure::Committed, None, commit, seconds);
        self.push(Figure::Committed, None, rate);
        self.push(Figure::Lag, None, Some(lag as f64));
        let headless = data
            .raft
            .groups
            .iter()
            .filter(|group| group.leader.is_none());
        let headless = headless.count() as f64;
        self.push(Figure::LeaderlessGroups, None, Some(headless));
    }

    /// How fast a counter goes. One that went back began again: what it says now came since then, at least.
    fn rate(
        &mut self,
        figure: Figure,
        node: Option<u64>,
        count: u64,
        seconds: Option<f64>,
    ) -> Option<f64> {
        let before = self.counted.insert((figure, node), count)?;
        let grown = match figure {
            // A topic that is gone takes its entries along.
            Figure::Committed => count.saturating_sub(before),
            _ => count.checked_sub(before).unwrap_or(count),
        };
        Some(grown as f64 / seconds?)
    }

    fn push(&mut self, figure: Figure, node: Option<u64>, value: Option<f64>) {
        let series = self.series.entry((figure, node)).or_default();
        series.push_back(value.unwrap_or(f64::NAN));
        if series.len() > MOST_LOOKS {
            series.pop_front();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Figure, Option<u64>, &VecDeque<f64>)> {
        let series = self.series.iter();
        series.map(|((figure, node), values)| (*figure, *node, values))
    }
}

/// A line of signs, the newest at the right edge; the largest value that is shown fills a cell, and what is unknown is
/// blank.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let most = shown.iter().copied().fold(0.0, f64::max);
    let sign = |value: &f64| match (value.is_nan(), most > 0.0) {
        (true, _) => ' ',
        (false, false) => SIGNS[0],
        (false, true) => SIGNS[((value / most * 7.0).round() as usize).min(7)],
    };
    let blanks = " ".repeat(width - shown.len());
    blanks + &shown.iter().map(sign).collect::<String>()
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{ClusterView, NodeRow, NodeStatus};

    use super::*;

    fn poll(at_ms: u64, produced: Option<u64>) -> Data {
        let status = produced.map(|produced_records| NodeStatus {
            produced_records,
            ..NodeStatus::default()
        });
        Data {
            at_ms,
            cluster: ClusterView {
                nodes: vec![NodeRow {
                    node_id: 1,
                    reachable: status.is_some(),
                    status,
                    ..NodeRow::default()
                }],
                ..ClusterView::default()
            },
            ..Data::default()
        }
    }

    fn of(history: &History, figure: Figure) -> Vec<f64> {
        let mut series = history.iter();
        let found = series.find(|(one, node, _)| (*one, *node) == (figure, Some(1)));
        found.unwrap().2.iter().copied().collect()
    }

    #[test]
    fn counters_become_rates_and_silence_is_a_gap() {
        let mut history = History::default();
        let polls = [
            (1_000, Some(100)),
            (2_000, Some(150)),
            (4_000, Some(350)),
            (5_000, None),
            (6_000, Some(30)),
        ];
        for (at_ms, produced) in polls {
            history.note(&poll(at_ms, produced));
        }
        let rates = of(&history, Figure::Produced);
        assert_eq!(rates[1..3], [50.0, 100.0]);
        assert!(rates[0].is_nan() && rates[3].is_nan());
        // It was started again, and has produced 30 since then.
        assert_eq!(rates[4], 30.0);
        for second in 0..2 * MOST_LOOKS as u64 {
            history.note(&poll(7_000 + second * 1_000, Some(30)));
        }
        assert_eq!(of(&history, Figure::Produced).len(), MOST_LOOKS);
    }

    #[test]
    fn the_newest_value_is_at_the_right_edge() {
        assert_eq!(sparkline(&[1.0, f64::NAN, 7.0], 5), "  ▂ █");
        assert_eq!(sparkline(&[9.0, 0.0, 3.5, 7.0], 3), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0], 2), "▁▁");
        assert_eq!(sparkline(&[], 2), "  ");
    }
}
