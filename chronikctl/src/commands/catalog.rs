//! Every command and every kind of answer, once: help for programs, schemas and tests come from here.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::{
    bundle, check, cluster, config, consume, context, doctor, explain, group, journal, leaders,
    node, partition, produce, raft, rebalance, snapshot, status, topic, version,
};
use crate::exit::ErrorBody;
use crate::mutate::Plan;

/// What a command may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Impact {
    Read,
    Write,
    /// It takes away what cannot be brought back.
    Destructive,
}

/// What a command talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Needs {
    /// The admin API.
    Admin,
    /// Kafka's protocol: any Kafka cluster will do.
    Kafka,
    /// Nothing but this machine.
    Nothing,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) path: &'static str,
    /// What it answers; none if it prints something else than answers.
    pub(crate) kind: Option<&'static str>,
    pub(crate) impact: Impact,
    pub(crate) needs: Needs,
}

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[Entry] = &[
    read("status", "ClusterStatus", Needs::Admin),
    read("health", "Health", Needs::Admin),
    read("check", "Check", Needs::Admin),
    read("wait leader", "RaftStatus", Needs::Admin),
    read("wait caught-up", "RaftStatus", Needs::Admin),
    read("wait healthy", "Health", Needs::Admin),
    read("wait operation", "OperationList", Needs::Admin),
    read("explain partition", "Explanation", Needs::Admin),
    read("explain node", "Explanation", Needs::Admin),
    read("explain group", "Explanation", Needs::Kafka),
    read("explain operation", "Explanation", Needs::Admin),
    read("raft status", "RaftStatus", Needs::Admin),
    read("raft history", "RaftHistory", Needs::Admin),
    write("raft step-down", "LeaderChange", Needs::Admin),
    write("raft transfer", "LeaderChange", Needs::Admin),
    write("raft member add", "MemberChange", Needs::Admin),
    write("raft member promote", "MemberChange", Needs::Admin),
    write("raft member remove", "MemberChange", Needs::Admin),
    write("raft snapshot", "SnapshotList", Needs::Admin),
    read("leaders show", "LeaderShares", Needs::Kafka),
    write("leaders balance", "ItemList", Needs::Kafka),
    read("partition list", "PartitionList", Needs::Kafka),
    read("partition describe", "Partition", Needs::Admin),
    read("partition moves", "MoveList", Needs::Kafka),
    write("partition move", "ItemList", Needs::Kafka),
    read("rebalance plan", "PlacementPlan", Needs::Admin),
    write("rebalance apply", "OperationList", Needs::Admin),
    read("rebalance status", "OperationList", Needs::Admin),
    read("rebalance wait", "OperationList", Needs::Admin),
    write("rebalance throttle", "Throttle", Needs::Admin),
    write("rebalance pause", "OperationList", Needs::Admin),
    write("rebalance resume", "OperationList", Needs::Admin),
    write("rebalance cancel", "OperationList", Needs::Admin),
    write("rebalance rollback", "OperationList", Needs::Admin),
    read("rebalance verify", "Verification", Needs::Admin),
    read("rebalance diff", "PlanDiff", Needs::Admin),
    bare("events", Needs::Admin),
    read("node list", "NodeList", Needs::Admin),
    read("node describe", "Node", Needs::Admin),
    write("node log-level", "LogLevel", Needs::Admin),
    write("node drain", "OperationList", Needs::Admin),
    write("node undrain", "OperationList", Needs::Admin),
    read("node restart-check", "RestartCheck", Needs::Admin),
    destructive("node decommission", "NodeRemoved", Needs::Admin),
    write("snapshot create", "SnapshotList", Needs::Admin),
    read("snapshot list", "SnapshotList", Needs::Admin),
    read("snapshot inspect", "SnapshotContent", Needs::Admin),
    read("snapshot verify", "SnapshotVerification", Needs::Admin),
    read("snapshot download", "SnapshotDownloaded", Needs::Admin),
    destructive("snapshot delete", "SnapshotDeleted", Needs::Admin),
    write("snapshot restore", "Restoration", Needs::Nothing),
    read("topic list", "TopicList", Needs::Kafka),
    read("topic describe", "Topic", Needs::Kafka),
    write("topic create", "ItemList", Needs::Kafka),
    destructive("topic delete", "ItemList", Needs::Kafka),
    write("topic add-partitions", "ItemList", Needs::Kafka),
    write("topic alter", "Settings", Needs::Kafka),
    destructive("topic trim", "Trimmed", Needs::Kafka),
    read("config get", "Settings", Needs::Kafka),
    write("config set", "Settings", Needs::Kafka),
    read("config diff", "ConfigDiff", Needs::Kafka),
    read("group list", "GroupList", Needs::Kafka),
    read("group describe", "Group", Needs::Kafka),
    read("group lag", "GroupLagList", Needs::Kafka),
    write("group seek", "ItemList", Needs::Kafka),
    destructive("group delete", "ItemList", Needs::Kafka),
    write("produce", "Produced", Needs::Kafka),
    bare("consume", Needs::Kafka),
    bare("tui", Needs::Admin),
    read("cluster status", "ClusterStatus", Needs::Admin),
    read("cluster health", "Health", Needs::Admin),
    write("cluster up", "LocalCluster", Needs::Nothing),
    write("cluster down", "LocalCluster", Needs::Nothing),
    destructive("cluster reset", "LocalCluster", Needs::Nothing),
    bare("cluster logs", Needs::Nothing),
    read("context list", "ContextList", Needs::Nothing),
    read("context show", "Context", Needs::Nothing),
    write("context add", "Context", Needs::Nothing),
    write("context use", "Context", Needs::Nothing),
    read("context validate", "ContextCheck", Needs::Nothing),
    read("context prompt", "Context", Needs::Nothing),
    Entry {
        impact: Impact::Destructive,
        ..bare("api", Needs::Admin)
    },
    bare("schema", Needs::Nothing),
    bare("help-json", Needs::Nothing),
    bare("completions", Needs::Nothing),
    read("bundle create", "Bundle", Needs::Admin),
    read("bundle analyze", "Diagnosis", Needs::Nothing),
    read("doctor", "Diagnosis", Needs::Admin),
    read("journal", "Journal", Needs::Nothing),
    bare("man", Needs::Nothing),
    read("version", "Version", Needs::Nothing),
];

/// How the schema of a kind is made.
pub(crate) type MakeSchema = fn() -> Schema;

/// All kinds of answers, with the schema of their data.
pub(crate) const KINDS: &[(&str, MakeSchema)] = &[
    ("Bundle", schema::<bundle::Written>),
    ("Check", schema::<check::Check>),
    ("ClusterStatus", schema::<status::ClusterStatus<'static>>),
    ("ConfigDiff", schema::<chronik_admin::v1::ConfigDiff>),
    ("Context", schema::<context::Described>),
    ("ContextCheck", schema::<context::ContextCheck>),
    ("ContextList", schema::<context::ContextList>),
    ("Diagnosis", schema::<doctor::Diagnosis>),
    ("Error", schema::<ErrorBody<'static>>),
    ("Explanation", schema::<explain::Explanation>),
    ("Group", schema::<group::GroupDescription>),
    ("GroupLagList", schema::<group::GroupLagList>),
    ("GroupList", schema::<group::GroupList>),
    ("Health", schema::<chronik_admin::v1::Health>),
    ("ItemList", schema::<topic::ItemList>),
    ("Journal", schema::<journal::Journal>),
    ("LeaderChange", schema::<raft::LeaderChange>),
    ("LeaderShares", schema::<leaders::LeaderShares>),
    ("LocalCluster", schema::<cluster::LocalCluster>),
    ("LogLevel", schema::<chronik_admin::v1::LogLevel>),
    ("MemberChange", schema::<raft::MemberChange>),
    ("MoveList", schema::<partition::MoveList>),
    ("Node", schema::<chronik_admin::v1::NodeRow>),
    ("NodeRemoved", schema::<chronik_admin::v1::NodeRemoved>),
    ("NodeList", schema::<node::NodeList<'static>>),
    ("OperationList", schema::<chronik_admin::v1::OperationList>),
    ("PlacementPlan", schema::<chronik_admin::v1::PlacementPlan>),
    ("PlanDiff", schema::<rebalance::diff::PlanDiff>),
    ("Partition", schema::<partition::PartitionDescription>),
    ("PartitionList", schema::<partition::PartitionList>),
    ("Plan", schema::<Plan>),
    ("Produced", schema::<produce::Produced>),
    ("RaftHistory", schema::<chronik_admin::v1::RaftHistory>),
    ("RaftStatus", schema::<chronik_admin::v1::RaftStatus>),
    ("Record", schema::<consume::Record<'static>>),
    ("RestartCheck", schema::<node::RestartCheck>),
    ("Restoration", schema::<chronik_admin::v1::Restoration>),
    ("Settings", schema::<config::Settings>),
    (
        "SnapshotContent",
        schema::<chronik_admin::v1::SnapshotContent>,
    ),
    (
        "SnapshotDeleted",
        schema::<chronik_admin::v1::SnapshotDeleted>,
    ),
    ("SnapshotDownloaded", schema::<snapshot::Downloaded>),
    ("SnapshotList", schema::<chronik_admin::v1::SnapshotList>),
    (
        "SnapshotVerification",
        schema::<chronik_admin::v1::SnapshotVerification>,
    ),
    ("Throttle", schema::<chronik_admin::v1::Throttle>),
    ("Topic", schema::<topic::TopicDescription>),
    ("TopicList", schema::<topic::TopicList>),
    ("Trimmed", schema::<topic::Trimmed>),
    ("Verification", schema::<chronik_admin::v1::Verification>),
    ("Version", schema::<version::Version>),
];

/// A kind by its name, in whatever case.
pub(crate) fn kind(name: &str) -> Option<(&'static str, MakeSchema)> {
    let is_it = |(known, _): &&(&str, MakeSchema)| known.eq_ignore_ascii_case(name);
    KINDS.iter().find(is_it).copied()
}

const fn read(path: &'static str, kind: &'static str, needs: Needs) -> Entry {
    Entry {
        kind: Some(kind),
        ..bare(path, needs)
    }
}

const fn write(path: &'static str, kind: &'static str, needs: Needs) -> Entry {
    Entry {
        impact: Impact::Write,
        ..read(path, kind, needs)
    }
}

const fn destructive(path: &'static str, kind: &'static str, needs: Needs) -> Entry {
    Entry {
        impact: Impact::Destructive,
        ..read(path, kind, needs)
    }
}

const fn bare(path: &'static str, needs: Needs) -> Entry {
    Entry {
        path,
        kind: None,
        impact: Impact::Read,
        needs,
    }
}

/// A schema that stands alone.
fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}
