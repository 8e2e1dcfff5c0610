//! Results of other tools as far as `compare` can use them: OpenMessaging Benchmark, and the older chronik-bench.
//!
//! Neither says which machine made it, and both time from the actual send, so latencies are shown and never gated.

use serde::Deserialize;
use serde_json::Value;

use crate::audit::{Audit, Entry, Light};
use crate::clock;
use crate::model::{BenchResult, Latency, SCHEMA};
use crate::stats;

const MILLISECOND_US: f64 = 1e3;
/// Instead of a fingerprint.
const UNKNOWN_MACHINE: &str = "unknown";
const BASIS: &str = "actual send (as told by the tool it was imported from)";

/// A result file of OpenMessaging Benchmark. Rates are of intervals, latencies are milliseconds over the whole run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenMessaging {
    workload: String,
    driver: String,
    #[serde(default)]
    message_size: f64,
    #[serde(default)]
    topics: u32,
    #[serde(default)]
    partitions: u32,
    publish_rate: Vec<f64>,
    #[serde(default)]
    publish_error_rate: Vec<f64>,
    #[serde(default)]
    consume_rate: Vec<f64>,
    #[serde(rename = "aggregatedPublishLatencyAvg")]
    mean_ms: f64,
    #[serde(rename = "aggregatedPublishLatency50pct")]
    p50_ms: f64,
    #[serde(rename = "aggregatedPublishLatency75pct", default)]
    p75_ms: f64,
    #[serde(rename = "aggregatedPublishLatency95pct", default)]
    p95_ms: f64,
    #[serde(rename = "aggregatedPublishLatency99pct")]
    p99_ms: f64,
    #[serde(rename = "aggregatedPublishLatency999pct", default)]
    p999_ms: f64,
    #[serde(rename = "aggregatedPublishLatency9999pct", default)]
    p9999_ms: f64,
    #[serde(rename = "aggregatedPublishLatencyMax")]
    max_ms: f64,
}

/// A result file of the older chronik-bench, which divided by a time that its reporter had rounded up.
#[derive(Debug, Deserialize)]
struct OlderChronik {
    duration: OlderDuration,
    total_messages: u64,
    failed_messages: u64,
    total_bytes: u64,
    latency_p50_us: f64,
    latency_p90_us: f64,
    latency_p95_us: f64,
    latency_p99_us: f64,
    latency_p999_us: f64,
    latency_max_us: f64,
    message_size: f64,
    concurrency: u32,
}

#[derive(Debug, Deserialize)]
struct OlderDuration {
    secs: u64,
    nanos: u32,
}

/// What another tool wrote; `None` if it is neither of the two.
pub(crate) fn import(text: &str) -> Option<BenchResult> {
    let value: Value = serde_json::from_str(text).ok()?;
    if let Ok(found) = OpenMessaging::deserialize(&value) {
        return Some(found.result());
    }
    let found = OlderChronik::deserialize(&value).ok()?;
    Some(found.result())
}

impl OpenMessaging {
    fn result(self) -> BenchResult {
        let mut result = imported(&self.workload, self.message_size);
        result.workload.mode = match self.consume_rate.iter().any(|rate| *rate > 0.0) {
            true => "mixed",
            false => "produce",
        }
        .to_owned();
        result.workload.load_loop = "rate-limited".to_owned();
        result.target.software = Some(self.driver.clone());
        result.target.topics = self.topics;
        result.target.partitions = self.topics * self.partitions;
        let rate = stats::mean(&self.publish_rate);
        set_rate(&mut result, rate, self.message_size);
        result.throughput.consumed_msgs_per_second = match self.consume_rate.is_empty() {
            true => 0.0,
            false => stats::mean(&self.consume_rate),
        };
        result.errors.failed = self.publish_error_rate.iter().sum::<f64>().round() as u64;
        let us = |ms: f64| ms * MILLISECOND_US;
        let found = Latency {
            mean: us(self.mean_ms),
            p50: us(self.p50_ms),
            p75: us(self.p75_ms),
            p95: us(self.p95_ms),
            p99: us(self.p99_ms),
            p999: us(self.p999_ms),
            p9999: us(self.p9999_ms),
            max: us(self.max_ms),
            ..Latency::default()
        };
        set_latency(&mut result, found);
        result
    }
}

impl OlderChronik {
    fn result(self) -> BenchResult {
        let seconds = self.duration.secs as f64 + f64::from(self.duration.nanos) / 1e9;
        let mut result = imported("chronik-bench (older)", self.message_size);
        result.workload.mode = "produce".to_owned();
        result.workload.load_loop = "closed".to_owned();
        result.workload.concurrency = Some(self.concurrency);
        result.time.window_s = seconds;
        let rate = self.total_messages as f64 / seconds;
        set_rate(
            &mut result,
            rate,
            self.total_bytes as f64 / self.total_messages as f64,
        );
        result.throughput.acked = self.total_messages;
        result.errors.failed = self.failed_messages;
        let found = Latency {
            count: self.total_messages,
            p50: self.latency_p50_us,
            p90: self.latency_p90_us,
            p95: self.latency_p95_us,
            p99: self.latency_p99_us,
            p999: self.latency_p999_us,
            max: self.latency_max_us,
            ..Latency::default()
        };
        result.audit.entries.push(self.littles_law(rate));
        set_latency(&mut result, found);
        result
    }

    /// With N messages always outstanding the mean latency is N over the rate; a mean above the p99 shows a wrong divisor.
    fn littles_law(&self, rate: f64) -> Entry {
        let mean_us = f64::from(self.concurrency) / rate * 1e6;
        let light = match mean_us > self.latency_p99_us {
            true => Light::Red,
            false => Light::Green,
        };
        Entry {
            name: "little's law".to_owned(),
            light,
            detail: format!(
                "{} outstanding at {rate:.0} per second take {mean_us:.0} us on average; the p99 is said to be {:.0} us",
                self.concurrency, self.latency_p99_us
            ),
        }
    }
}

fn imported(name: &str, message_bytes: f64) -> BenchResult {
    let mut result = BenchResult {
        schema: SCHEMA.to_owned(),
        name: name.to_owned(),
        complete: true,
        audit: Audit {
            entries: vec![Entry {
                name: "measured by this tool".to_owned(),
                light: Light::Amber,
                detail: "imported: machine, window and accounting are unknown".to_owned(),
            }],
        },
        ..BenchResult::default()
    };
    result.time.started_utc = clock::utc(std::time::SystemTime::UNIX_EPOCH);
    result.fingerprint.class = UNKNOWN_MACHINE.to_owned();
    result.workload.message_bytes_mean = message_bytes;
    result
}

fn set_rate(result: &mut BenchResult, rate: f64, message_bytes: f64) {
    result.throughput.msgs_per_second = rate;
    result.throughput.headline_per_second = rate;
    result.throughput.payload_mb_per_second = rate * message_bytes / 1e6;
}

fn set_latency(result: &mut BenchResult, found: Latency) {
    let tag = "ack-service".to_owned();
    result.latency_us.basis = BASIS.to_owned();
    result.latency_us.headline = Some(tag.clone());
    result.latency_us.by_tag.insert(tag, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_MESSAGING: &str = r#"{
        "workload": "1-topic-16-partitions-1kb", "driver": "Kafka", "messageSize": 1024, "topics": 1, "partitions": 16,
        "publishRate": [49000.0, 51000.0], "publishErrorRate": [0.0, 0.0], "consumeRate": [50000.0, 50000.0],
        "backlog": [0, 0],
        "aggregatedPublishLatencyAvg": 2.5, "aggregatedPublishLatency50pct": 2.0, "aggregatedPublishLatency75pct": 3.0,
        "aggregatedPublishLatency95pct": 5.0, "aggregatedPublishLatency99pct": 9.0,
        "aggregatedPublishLatency999pct": 20.0, "aggregatedPublishLatency9999pct": 40.0,
        "aggregatedPublishLatencyMax": 80.5, "aggregatedEndToEndLatency99pct": 11.0
    }"#;

    fn older(total_messages: u64, seconds: u64) -> String {
        format!(
            r#"{{"mode": "Produce", "duration": {{"secs": {seconds}, "nanos": 0}}, "total_messages": {total_messages},
            "failed_messages": 3, "total_bytes": {}, "latency_p50_us": 500, "latency_p90_us": 550,
            "latency_p95_us": 560, "latency_p99_us": 590, "latency_p999_us": 900, "latency_max_us": 20000,
            "message_size": 256, "concurrency": 128, "compression": "None"}}"#,
            total_messages * 256
        )
    }

    #[test]
    fn open_messaging_is_understood() {
        let result = import(OPEN_MESSAGING).unwrap();
        assert_eq!(result.throughput.headline_per_second, 50_000.0);
        let (tag, found) = result.headline_latency().unwrap();
        assert_eq!(
            (tag, found.p99, found.max),
            ("ack-service", 9_000.0, 80_500.0)
        );
        assert_ne!(result.workload.load_loop, "open", "its latency omits");
        assert_eq!(result.label(), "Kafka");
    }

    #[test]
    fn the_wrong_divisor_of_the_older_tool_is_found() {
        // Published as 197,793 messages per second over 35 s; the load had lasted 30 s.
        let published = import(&older(6_922_755, 35)).unwrap();
        assert!((published.throughput.headline_per_second - 197_793.0).abs() < 1.0);
        let red: Vec<_> = published.audit.red().collect();
        assert_eq!(red.len(), 1, "{red:?}");
        let corrected = import(&older(6_922_755, 30)).unwrap();
        assert_eq!(corrected.audit.red().count(), 0);
    }

    #[test]
    fn anything_else_is_not_guessed_at() {
        for text in ["", "[]", "{}", r#"{"workload": "x", "driver": "y"}"#] {
            assert!(import(text).is_none(), "{text}");
        }
    }
}
