//! Every method, once: where it is, what it may change, and who may call it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::v1;

/// How a method is called by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Get,
    Post,
}

/// What a method may do to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    Read,
    Write,
}

/// Who may call a method, once callers have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}

/// What an answer looks like by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object.
    Object,
    /// One object after the other, a line each.
    Lines,
    /// A file as it is.
    Bytes,
}

/// One method of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    pub service: &'static str,
    pub rpc: &'static str,
    pub verb: Verb,
    pub path: &'static str,
    pub impact: Impact,
    pub form: Form,
    pub role: Role,
    pub summary: &'static str,
    pub request: fn() -> Schema,
    pub response: fn() -> Schema,
}

/// The contract as a table; a test holds it against the protobuf file.
pub const METHODS: &[Method] = &[
    read::<v1::NodeStatusRequest, v1::NodeStatus>(
        "Node",
        "Status",
        "/v1/node/status",
        "What a node says of itself, without asking anybody.",
    ),
    write::<v1::SetLogLevelRequest, v1::LogLevel>(
        "Node",
        "SetLogLevel",
        "/v1/node/log-level",
        "Changes what a node logs, until it is started again.",
    ),
    read::<v1::ClusterViewRequest, v1::ClusterView>(
        "Cluster",
        "View",
        "/v1/cluster/view",
        "All nodes, the silent ones included, and the verdict.",
    ),
    read::<v1::HealthRequest, v1::Health>(
        "Cluster",
        "Health",
        "/v1/cluster/health",
        "Whether everything is as it should be, and if not, what is not.",
    ),
    Method {
        form: Form::Lines,
        ..read::<v1::EventsRequest, v1::ClusterEvent>(
            "Cluster",
            "Events",
            "/v1/cluster/events",
            "What happens, from now on or from a while ago on, until the caller goes.",
        )
    },
    read::<v1::RaftStatusRequest, v1::RaftStatus>(
        "Raft",
        "Status",
        "/v1/raft/status",
        "How every node sees the groups; only those with a problem, unless more is asked for.",
    ),
    read::<v1::RaftHistoryRequest, v1::RaftHistory>(
        "Raft",
        "History",
        "/v1/raft/history",
        "When groups changed their leaders, and why, as far as the nodes remember.",
    ),
    write::<v1::StepDownRequest, v1::Transfer>(
        "Raft",
        "StepDown",
        "/v1/raft/step-down",
        "The leader of a group gives up; the member that has most of the log leads next.",
    ),
    write::<v1::TransferRequest, v1::Transfer>(
        "Raft",
        "Transfer",
        "/v1/raft/transfer",
        "The leader of a group hands over to a named node.",
    ),
    read::<v1::PlanRequest, v1::PlacementPlan>(
        "Placement",
        "Plan",
        "/v1/placement/plan",
        "What would have to move to reach a goal. Nothing is changed.",
    ),
    write::<v1::ApplyRequest, v1::Operation>(
        "Placement",
        "Apply",
        "/v1/placement/apply",
        "Begins the moves of a plan, if every partition still is where the plan says; marks a node as drained, or not.",
    ),
    read::<v1::OperationsRequest, v1::OperationList>(
        "Placement",
        "Operations",
        "/v1/placement/operations",
        "Moves that were ordered together, with how far they are.",
    ),
    write::<v1::ThrottleRequest, v1::Throttle>(
        "Placement",
        "Throttle",
        "/v1/placement/throttle",
        "How many bytes in a second each node sends at most to replicas on the move.",
    ),
    write::<v1::OperationRequest, v1::Operation>(
        "Placement",
        "Pause",
        "/v1/placement/pause",
        "The moves of an operation stand still.",
    ),
    write::<v1::OperationRequest, v1::Operation>(
        "Placement",
        "Resume",
        "/v1/placement/resume",
        "The moves of an operation go on where they were.",
    ),
    write::<v1::OperationRequest, v1::Operation>(
        "Placement",
        "Cancel",
        "/v1/placement/cancel",
        "Brings back what has not arrived yet.",
    ),
    write::<v1::OperationRequest, v1::Operation>(
        "Placement",
        "Rollback",
        "/v1/placement/rollback",
        "Brings back everything to where it was before the operation, by a new one.",
    ),
    Method {
        // A plan is longer than a path may be.
        verb: Verb::Post,
        ..read::<v1::VerifyRequest, v1::Verification>(
            "Placement",
            "Verify",
            "/v1/placement/verify",
            "Where the partitions of a plan are now.",
        )
    },
    write::<v1::RemoveNodeRequest, v1::NodeRemoved>(
        "Placement",
        "RemoveNode",
        "/v1/placement/remove-node",
        "Lets a node leave for good that holds nothing any more.",
    ),
    read::<v1::TopicListRequest, v1::TopicList>(
        "Topics",
        "List",
        "/v1/topics",
        "All topics, with what is wrong with their partitions.",
    ),
    read::<v1::TopicDescribeRequest, v1::Topic>(
        "Topics",
        "Describe",
        "/v1/topics/describe",
        "One topic with all its partitions.",
    ),
    read::<v1::SnapshotListRequest, v1::SnapshotList>(
        "Snapshots",
        "List",
        "/v1/snapshots",
        "What every node keeps and makes, the silent nodes included.",
    ),
    read::<v1::SnapshotInspectRequest, v1::SnapshotContent>(
        "Snapshots",
        "Inspect",
        "/v1/snapshots/inspect",
        "What is in a snapshot, group by group.",
    ),
    read::<v1::SnapshotVerifyRequest, v1::SnapshotVerification>(
        "Snapshots",
        "Verify",
        "/v1/snapshots/verify",
        "Reads a snapshot to its end, and says whether it can be trusted.",
    ),
    Method {
        form: Form::Bytes,
        ..read::<v1::SnapshotDownloadRequest, v1::SnapshotChunk>(
            "Snapshots",
            "Download",
            "/v1/snapshots/download",
            "The file of a snapshot, from its first byte to its last.",
        )
    },
    write::<v1::SnapshotCreateRequest, v1::SnapshotList>(
        "Snapshots",
        "Create",
        "/v1/snapshots/create",
        "Begins a snapshot on every node, on one, or of one group; the list says what becomes of it.",
    ),
    write::<v1::SnapshotDeleteRequest, v1::SnapshotDeleted>(
        "Snapshots",
        "Delete",
        "/v1/snapshots/delete",
        "Removes a snapshot for good.",
    ),
];

impl Method {
    /// The method that is called by this request, if any has its path.
    pub fn at(path: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.path == path)
    }
}

const fn read<Q: JsonSchema, A: JsonSchema>(
    service: &'static str,
    rpc: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Method {
    Method {
        service,
        rpc,
        verb: Verb::Get,
        path,
        impact: Impact::Read,
        form: Form::Object,
        role: Role::Viewer,
        summary,
        request: schema::<Q>,
        response: schema::<A>,
    }
}

const fn write<Q: JsonSchema, A: JsonSchema>(
    service: &'static str,
    rpc: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Method {
    Method {
        verb: Verb::Post,
        impact: Impact::Write,
        role: Role::Operator,
        ..read::<Q, A>(service, rpc, path, summary)
    }
}

/// A schema that stands alone: everything it needs is inside.
fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}
