//! `result.json`, schema `chronik-bench/1`: what a run publishes. Names carry their units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::calibration::Calibration;
use crate::exit::Exit;
use crate::leak::Leak;
use crate::sampling::GENERATOR;
use crate::statistics::Spread;
use crate::units::grouped;

/// The end of a window that the user ended.
pub(crate) const INTERRUPTED: &str = "interrupted";
pub(crate) const SCHEMA: &str = "chronik-bench/1";

/// One result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct BenchResult {
    /// Always `chronik-bench/1`.
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Marks the records of this run in their topics: `verify` prints it.
    pub(crate) run: String,
    /// The run was neither interrupted nor cut short.
    pub(crate) complete: bool,
    pub(crate) argv: Vec<String>,
    pub(crate) time: Time,
    pub(crate) tool: Tool,
    pub(crate) fingerprint: Fingerprint,
    /// What the generator could do on this machine, if that was measured.
    #[serde(default)]
    pub(crate) calibration: Option<Calibration>,
    pub(crate) target: Target,
    pub(crate) workload: Workload,
    pub(crate) throughput: Throughput,
    pub(crate) latency_us: LatencySection,
    pub(crate) decomposition_us: Decomposition,
    pub(crate) batches: Batches,
    pub(crate) errors: Errors,
    pub(crate) integrity: Integrity,
    pub(crate) resources: Vec<Resource>,
    /// How memory and handles of each process grew, if it was watched for long enough (soak).
    #[serde(default)]
    pub(crate) leaks: Vec<Leak>,
    /// Results of the same command, if it was repeated.
    pub(crate) repeats: Vec<String>,
    pub(crate) audit: Audit,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Time {
    pub(crate) started_utc: String,
    pub(crate) warmup_s: f64,
    /// The divisor of all rates.
    pub(crate) window_s: f64,
    /// `duration`, `messages`, `end-of-data`, `steady`, `interrupted`, or `running` if the tool was killed.
    pub(crate) window_end: String,
    /// From the end of the window until the last message was decided.
    pub(crate) drain_s: f64,
    /// Wall clock against monotonic clock over the run.
    pub(crate) clock_drift_us: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Tool {
    pub(crate) version: String,
    pub(crate) librdkafka: String,
}

/// The machine of the generator; results of different ones are not compared without force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Fingerprint {
    /// A hash of processor, cores, memory and kernel.
    pub(crate) class: String,
    pub(crate) host: String,
    pub(crate) cpu: String,
    pub(crate) cores: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Of the fastest interface that says how fast it is, in 10^6 bytes.
    #[serde(default)]
    pub(crate) network_mb_per_second: Option<f64>,
    /// A broker runs on the same machine, so both compete for its cores.
    pub(crate) co_located: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Target {
    pub(crate) bootstrap: String,
    pub(crate) cluster_id: Option<String>,
    /// As told by `--name` or by the suite; the protocol does not say it.
    pub(crate) software: Option<String>,
    pub(crate) brokers: BTreeMap<String, String>,
    pub(crate) topics: u32,
    pub(crate) partitions: u32,
    pub(crate) replication_factor: u32,
    pub(crate) topics_created: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Workload {
    pub(crate) mode: String,
    /// `closed`: latency hides stalls. `open`: it does not.
    #[serde(rename = "loop")]
    pub(crate) load_loop: String,
    pub(crate) target_msgs_per_second: Option<f64>,
    pub(crate) arrival: Option<String>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) max_outstanding: Option<u64>,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    pub(crate) groups: u32,
    pub(crate) message_bytes_mean: f64,
    pub(crate) entropy: f64,
    pub(crate) key: String,
    pub(crate) transaction_messages: Option<u64>,
    pub(crate) pacing: String,
    pub(crate) seed: u64,
    /// What librdkafka says it uses.
    pub(crate) client_config: BTreeMap<String, String>,
}

/// Completions inside the window over its length; megabytes are 10^6 bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Throughput {
    pub(crate) acked: u64,
    pub(crate) msgs_per_second: f64,
    pub(crate) payload_mb_per_second: f64,
    /// Bytes on the wire over the whole run, both ways, per second of load.
    pub(crate) wire_mb_per_second: f64,
    pub(crate) consumed: u64,
    pub(crate) consumed_msgs_per_second: f64,
    pub(crate) consumed_mb_per_second: f64,
    /// What the mode is about: acknowledged, or consumed where nothing is produced.
    pub(crate) headline_per_second: f64,
    pub(crate) achieved_of_target: Option<f64>,
    /// Over full seconds of the window.
    pub(crate) spread: RateSpread,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct RateSpread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    /// Standard deviation over mean.
    pub(crate) variation: f64,
}

/// Percentiles come from merged histograms of messages intended within the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct LatencySection {
    /// Which entry of `by_tag` to look at first.
    pub(crate) headline: Option<String>,
    /// `intended send` or `actual send (closed loop)`.
    pub(crate) basis: String,
    pub(crate) by_tag: BTreeMap<String, Latency>,
    /// Acknowledgements by the broker that gave them.
    pub(crate) by_broker: BTreeMap<String, Latency>,
    /// Values beyond the histograms' range.
    pub(crate) clamped: u64,
    /// Messages still open at the end, recorded as at least that long.
    pub(crate) censored: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p75: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
    /// For the percentile curve: quantile and value.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Is it my client? Where librdkafka says the time goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Decomposition {
    pub(crate) client_queue: Spread,
    pub(crate) client_socket: Spread,
    pub(crate) network_and_broker: Spread,
    pub(crate) throttle: Spread,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Batches {
    pub(crate) bytes: Spread,
    pub(crate) messages: Spread,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Errors {
    pub(crate) failed: u64,
    pub(crate) failed_in_window: u64,
    /// Failed without an answer that says what became of the record.
    pub(crate) undecided: u64,
    pub(crate) retries: u64,
    pub(crate) request_timeouts: u64,
    pub(crate) disconnects: u64,
    pub(crate) by_name: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Integrity {
    /// `off`, `counts` or `full`.
    pub(crate) level: String,
    /// Sum of the growth of all end offsets.
    pub(crate) offset_growth: Option<u64>,
    pub(crate) acked: u64,
    pub(crate) undecided: u64,
    pub(crate) transaction_markers: u64,
    pub(crate) read: Option<u64>,
    pub(crate) lost: Option<u64>,
    pub(crate) duplicated: Option<u64>,
    pub(crate) reordered: Option<u64>,
    pub(crate) corrupt: Option<u64>,
    pub(crate) foreign: Option<u64>,
    pub(crate) examples: Vec<String>,
    /// Broken promises; empty is good.
    pub(crate) violations: Vec<String>,
    /// Seen, and allowed by the settings of the producer.
    pub(crate) allowed: Vec<String>,
}

/// What one process cost within the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Resource {
    /// `generator`, `broker N`, `pid:N` or a metrics page.
    pub(crate) subject: String,
    pub(crate) cores_used: f64,
    /// Processor seconds per 10^9 payload bytes of the headline direction.
    pub(crate) cpu_s_per_gb: Option<f64>,
    /// Processor seconds per million messages.
    pub(crate) cpu_s_per_million_msgs: Option<f64>,
    pub(crate) resident_max_bytes: f64,
    pub(crate) disk_written_mb_per_second: Option<f64>,
    pub(crate) open_files_max: f64,
    pub(crate) threads_max: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Verdict {
    pub(crate) exit: Option<Exit>,
    pub(crate) code: u8,
    /// Why, one sentence each.
    pub(crate) reasons: Vec<String>,
}

impl Workload {
    /// What drives the load, in a few words.
    pub(crate) fn load(&self) -> String {
        match self.target_msgs_per_second {
            Some(rate) => format!("{}, open, {}/s", self.mode, grouped(rate)),
            None => format!("{}, closed, {}", self.mode, self.concurrency.unwrap_or(0)),
        }
    }
}

impl Integrity {
    pub(crate) fn sentence(&self) -> String {
        let growth = self
            .offset_growth
            .map_or("?".to_owned(), |growth| grouped(growth as f64));
        let mut text = format!(
            "{} records acknowledged, the logs grew by {growth} (verified by: {})",
            grouped(self.acked as f64),
            self.level
        );
        if let Some(read) = self.read {
            let count = |found: Option<u64>| grouped(found.unwrap_or(0) as f64);
            text.push_str(&format!(
                "; {} read, {} lost, {} duplicated, {} reordered, {} corrupt",
                grouped(read as f64),
                count(self.lost),
                count(self.duplicated),
                count(self.reordered),
                count(self.corrupt)
            ));
        }
        text.push('.');
        text
    }
}

impl BenchResult {
    /// What reports call it: the software if it is known, else the name.
    pub(crate) fn label(&self) -> &str {
        let software = self.target.software.as_deref();
        software.unwrap_or(&self.name)
    }

    /// Somebody wanted it to end; what else it says of itself may be worse.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.time.window_end == INTERRUPTED
    }

    /// What speaks against this result by its own audit and account.
    pub(crate) fn doubts(&self) -> (Exit, Vec<String>) {
        let audit = self.audit.red().map(|entry| {
            let reason = format!("audit: {}: {}", entry.name, entry.detail);
            (Exit::Invalid, reason)
        });
        let violations = self.integrity.violations.iter();
        let integrity =
            violations.map(|violation| (Exit::Integrity, format!("integrity: {violation}")));
        audit.chain(integrity).fold(
            (Exit::Pass, Vec::new()),
            |(exit, mut reasons), (worse, reason)| {
                reasons.push(reason);
                (exit.worst(worse), reasons)
            },
        )
    }

    /// What was sampled of the cluster.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = &Resource> {
        self.resources
            .iter()
            .filter(|resource| resource.subject != GENERATOR)
    }

    pub(crate) fn generator(&self) -> Option<&Resource> {
        self.resources
            .iter()
            .find(|resource| resource.subject == GENERATOR)
    }

    pub(crate) fn headline_latency(&self) -> Option<(&str, &Latency)> {
        let name = self.latency_us.headline.as_deref()?;
        Some((name, self.latency_us.by_tag.get(name)?))
    }
}
