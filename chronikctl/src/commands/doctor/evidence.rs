//! What was collected of a cluster, read back: a file that is missing or that cannot be understood is a gap.

use std::collections::BTreeMap;

use chronik_admin::v1::{
    Clocks, ClusterView, ConfigDiff, GroupLags, LogDigest, OperationList, RaftHistory, RaftStatus,
    System,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Gap;

/// All there is to look at.
#[derive(Default)]
pub(crate) struct Evidence {
    pub(super) taken_at: String,
    pub(super) view: ClusterView,
    pub(super) raft: RaftStatus,
    /// The same a moment later.
    pub(super) later: RaftStatus,
    pub(super) history: RaftHistory,
    pub(super) clocks: Clocks,
    pub(super) configs: ConfigDiff,
    pub(super) operations: OperationList,
    pub(super) lags: GroupLags,
    pub(super) nodes: BTreeMap<u64, OfNode>,
    pub(super) gaps: Vec<Gap>,
}

/// What one node said of itself.
#[derive(Default)]
pub(super) struct OfNode {
    pub(super) system: System,
    pub(super) digest: LogDigest,
    pub(super) metrics: String,
}

impl Evidence {
    /// Reads the files of a bundle.
    pub(crate) fn read(files: &BTreeMap<String, Vec<u8>>) -> Evidence {
        let mut evidence = Evidence::default();
        let mut gaps = gaps_of(files);
        let mut reader = Reader {
            files,
            gaps: &mut gaps,
        };
        evidence.taken_at = taken_at(files);
        reader.json("cluster-view.json", &mut evidence.view);
        reader.json("raft-status.json", &mut evidence.raft);
        reader.json("raft-status-later.json", &mut evidence.later);
        reader.json("raft-history.json", &mut evidence.history);
        reader.json("clocks.json", &mut evidence.clocks);
        reader.json("config-diff.json", &mut evidence.configs);
        reader.json("operations.json", &mut evidence.operations);
        reader.json("groups-lag.json", &mut evidence.lags);
        for row in &evidence.view.nodes {
            let mut node = OfNode::default();
            let name = |file: &str| format!("node-{}/{file}", row.node_id);
            reader.json(&name("system.json"), &mut node.system);
            reader.json(&name("log-digest.json"), &mut node.digest);
            let metrics = files.get(&name("metrics.txt")).map(Vec::as_slice);
            node.metrics = String::from_utf8_lossy(metrics.unwrap_or_default()).into_owned();
            evidence.nodes.insert(row.node_id, node);
        }
        evidence.gaps = gaps;
        evidence
    }

    pub(super) fn cluster_id(&self) -> String {
        self.view.cluster_id.clone()
    }
}

impl OfNode {
    /// The sum of all series of a metric.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let lines = self.metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with(['{', ' ']);
            is_it.then(|| rest.rsplit_once(' '))?
        });
        let values = lines.filter_map(|(_, value)| value.parse::<f64>().ok());
        values.sum()
    }
}

struct Reader<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    gaps: &'a mut Vec<Gap>,
}

impl Reader<'_> {
    /// What is not there was told as a gap when it was collected.
    fn json<T: DeserializeOwned>(&mut self, name: &str, into: &mut T) {
        let Some(content) = self.files.get(name) else {
            return;
        };
        match serde_json::from_slice(content) {
            Ok(read) => *into = read,
            Err(error) => self.gaps.push(Gap {
                file: name.to_owned(),
                why: format!("it cannot be understood: {error}"),
            }),
        }
    }
}

/// What could not be collected, as the manifest says.
fn gaps_of(files: &BTreeMap<String, Vec<u8>>) -> Vec<Gap> {
    let manifest = manifest(files);
    let entries = manifest["files"].as_array().cloned().unwrap_or_default();
    let gap = |entry: &Value| {
        Some(Gap {
            file: entry["name"].as_str()?.to_owned(),
            why: entry["error"].as_str()?.to_owned(),
        })
    };
    entries.iter().filter_map(gap).collect()
}

fn taken_at(files: &BTreeMap<String, Vec<u8>>) -> String {
    let manifest = manifest(files);
    manifest["ts"].as_str().unwrap_or_default().to_owned()
}

fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let manifest = files.get("manifest.json").map(Vec::as_slice);
    serde_json::from_slice(manifest.unwrap_or_default()).unwrap_or_default()
}
