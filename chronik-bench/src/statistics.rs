//! What librdkafka says about itself, condensed: is the time spent in the client, on the wire or in the broker?

use std::collections::BTreeMap;

use rdkafka::statistics::{Statistics, Window};
use serde::{Deserialize, Serialize};

/// A latency or size over all reports of a run: means weighted by count, the worst percentiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    /// The highest median of any reporting interval.
    pub(crate) p50_worst: f64,
    pub(crate) p99_worst: f64,
    pub(crate) max: f64,
}

/// The sum of all reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientStatistics {
    /// Waiting in the producer's own queue for a batch to be made.
    pub(crate) queue_us: Spread,
    /// Waiting for the socket.
    pub(crate) socket_us: Spread,
    /// From the socket to the answer: network and broker.
    pub(crate) broker_us: Spread,
    pub(crate) throttle_us: Spread,
    pub(crate) batch_bytes: Spread,
    pub(crate) batch_messages: Spread,
    /// Most callbacks that ever waited for a poll thread.
    pub(crate) reply_queue_max: u64,
    /// Latest cumulative counts by client.
    latest: BTreeMap<String, Counts>,
    pub(crate) reports: u64,
    pub(crate) unreadable: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    wire_sent: i64,
    wire_received: i64,
    retries: u64,
    timeouts: u64,
    disconnects: i64,
}

impl ClientStatistics {
    /// Takes one report of one client.
    pub(crate) fn add(&mut self, json: &[u8]) {
        let Ok(report) = serde_json::from_slice::<Statistics>(json) else {
            self.unreadable += 1;
            return;
        };
        self.reports += 1;
        let waiting = u64::try_from(report.replyq).unwrap_or(0);
        self.reply_queue_max = self.reply_queue_max.max(waiting);
        let mut counts = Counts {
            wire_sent: report.tx_bytes,
            wire_received: report.rx_bytes,
            ..Counts::default()
        };
        for broker in report.brokers.values() {
            counts.retries += broker.txretries;
            counts.timeouts += broker.req_timeouts;
            counts.disconnects += broker.disconnects.unwrap_or(0);
            let is_producer = report.client_type == "producer";
            if is_producer && broker.nodeid >= 0 {
                self.queue_us.add(broker.int_latency.as_ref(), 1.0);
                self.socket_us.add(broker.outbuf_latency.as_ref(), 1.0);
                self.broker_us.add(broker.rtt.as_ref(), 1.0);
                // The only one in milliseconds.
                self.throttle_us.add(broker.throttle.as_ref(), 1e3);
            }
        }
        if report.client_type == "producer" {
            for topic in report.topics.values() {
                self.batch_bytes.add(Some(&topic.batchsize), 1.0);
                self.batch_messages.add(Some(&topic.batchcnt), 1.0);
            }
        }
        self.latest.insert(report.name, counts);
    }

    pub(crate) fn wire_sent_bytes(&self) -> u64 {
        self.sum(|counts| counts.wire_sent)
    }

    pub(crate) fn wire_received_bytes(&self) -> u64 {
        self.sum(|counts| counts.wire_received)
    }

    pub(crate) fn retries(&self) -> u64 {
        self.latest.values().map(|counts| counts.retries).sum()
    }

    pub(crate) fn timeouts(&self) -> u64 {
        self.latest.values().map(|counts| counts.timeouts).sum()
    }

    pub(crate) fn disconnects(&self) -> u64 {
        self.sum(|counts| counts.disconnects)
    }

    fn sum(&self, of: impl Fn(&Counts) -> i64) -> u64 {
        let total: i64 = self.latest.values().map(of).sum();
        u64::try_from(total).unwrap_or(0)
    }
}

impl Spread {
    fn add(&mut self, window: Option<&Window>, scale: f64) {
        let Some(window) = window.filter(|window| window.cnt > 0) else {
            return;
        };
        let count = window.cnt as u64;
        let sum = self.mean * self.count as f64 + window.sum as f64 * scale;
        self.count += count;
        self.mean = sum / self.count as f64;
        self.p50_worst = self.p50_worst.max(window.p50 as f64 * scale);
        self.p99_worst = self.p99_worst.max(window.p99 as f64 * scale);
        self.max = self.max.max(window.max as f64 * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_weigh_by_count() {
        let mut spread = Spread::default();
        let window = |cnt, sum, p99, max| Window {
            cnt,
            sum,
            p99,
            max,
            ..Window::default()
        };
        spread.add(Some(&window(10, 100, 20, 30)), 1.0);
        spread.add(Some(&window(30, 900, 40, 50)), 1.0);
        spread.add(Some(&window(0, 0, 99, 99)), 1.0);
        spread.add(None, 1.0);
        assert_eq!((spread.count, spread.mean), (40, 25.0));
        assert_eq!((spread.p99_worst, spread.max), (40.0, 50.0));
    }

    #[test]
    fn garbage_is_counted() {
        let mut statistics = ClientStatistics::default();
        statistics.add(b"{");
        assert_eq!(statistics.unreadable, 1);
    }
}
