//! Every method, once: where it is, what it may change, and who may call it.

use std::fmt;

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
    /// It takes away what cannot be brought back.
    Destructive,
}

/// Who may call a method, once callers have names; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    read::<v1::NodeConfigRequest, v1::NodeConfig>(
        "Node",
        "Config",
        "/v1/node/config",
        "What a node was configured with, and where each value comes from.",
    ),
    read::<v1::SystemRequest, v1::System>(
        "Node",
        "System",
        "/v1/node/system",
        "What a node runs on.",
    ),
    read::<v1::ClockRequest, v1::Clocks>(
        "Node",
        "Clock",
        "/v1/node/clock",
        "How far the clocks of the other nodes are from the one that is asked.",
    ),
    read::<v1::LogDigestRequest, v1::LogDigest>(
        "Node",
        "LogDigest",
        "/v1/node/log-digest",
        "What a node complained of lately: each kind of warning and error once, with how often.",
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
    write::<v1::ChangeMemberRequest, v1::MemberChange>(
        "Raft",
        "ChangeMember",
        "/v1/raft/change-member",
        "Adds a node to a group, gives it a vote, or lets it leave; says what that makes of the quorum.",
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
    destructive::<v1::RemoveNodeRequest, v1::NodeRemoved>(
        "Placement",
        "RemoveNode",
        "/v1/placement/remove-node",
        "Lets a node leave for good that holds nothing any more.",
    ),
    write::<v1::BalanceLeadersRequest, v1::LeadersBalanced>(
        "Placement",
        "BalanceLeaders",
        "/v1/placement/balance-leaders",
        "Lets the first replica of each partition lead, where it keeps up.",
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
    read::<v1::ProducersRequest, v1::ProducerList>(
        "Topics",
        "Producers",
        "/v1/topics/producers",
        "Idempotent producers that a partition remembers.",
    ),
    write::<v1::CreateTopicRequest, v1::Topic>(
        "Topics",
        "Create",
        "/v1/topics/create",
        "Creates a topic; once it is answered, all partitions have leaders.",
    ),
    destructive::<v1::DeleteTopicRequest, v1::TopicDeleted>(
        "Topics",
        "Delete",
        "/v1/topics/delete",
        "Deletes a topic with all its records.",
    ),
    write::<v1::AddPartitionsRequest, v1::Topic>(
        "Topics",
        "AddPartitions",
        "/v1/topics/add-partitions",
        "Gives a topic more partitions.",
    ),
    destructive::<v1::TrimRequest, v1::Trimmed>(
        "Topics",
        "Trim",
        "/v1/topics/trim",
        "Drops the oldest records of a partition.",
    ),
    read::<v1::ConfigDescribeRequest, v1::TopicConfig>(
        "Configs",
        "Describe",
        "/v1/configs",
        "What holds for a topic, and where it comes from.",
    ),
    read::<v1::ConfigDiffRequest, v1::ConfigDiff>(
        "Configs",
        "Diff",
        "/v1/configs/diff",
        "Settings of the nodes that differ, although they should be the same everywhere.",
    ),
    write::<v1::ConfigAlterRequest, v1::TopicConfig>(
        "Configs",
        "Alter",
        "/v1/configs/alter",
        "Changes the settings of a topic.",
    ),
    read::<v1::GroupListRequest, v1::GroupList>(
        "Groups",
        "List",
        "/v1/groups",
        "All groups, as their coordinators know them.",
    ),
    read::<v1::GroupDescribeRequest, v1::Group>(
        "Groups",
        "Describe",
        "/v1/groups/describe",
        "Members and positions of one group.",
    ),
    read::<v1::GroupLagRequest, v1::GroupLags>(
        "Groups",
        "Lag",
        "/v1/groups/lag",
        "What each group has not read yet.",
    ),
    write::<v1::GroupSeekRequest, v1::Group>(
        "Groups",
        "Seek",
        "/v1/groups/seek",
        "Other positions for a group without members.",
    ),
    destructive::<v1::GroupDeleteRequest, v1::GroupDeleted>(
        "Groups",
        "Delete",
        "/v1/groups/delete",
        "A group without members goes, with all its positions.",
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
    destructive::<v1::SnapshotDeleteRequest, v1::SnapshotDeleted>(
        "Snapshots",
        "Delete",
        "/v1/snapshots/delete",
        "Removes a snapshot for good.",
    ),
];

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        })
    }
}

/// What the paths of all methods begin with in gRPC.
const PACKAGE: &str = "/chronik.admin.v1.";

impl Method {
    /// The method with this path of the HTTP mirror.
    pub fn at(path: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.path == path)
    }

    /// The method with this path of gRPC, as in `/chronik.admin.v1.Raft/StepDown`.
    pub fn at_grpc(path: &str) -> Option<&'static Method> {
        let (service, rpc) = path.strip_prefix(PACKAGE)?.split_once('/')?;
        let mut methods = METHODS.iter();
        methods.find(|method| method.service == service && method.rpc == rpc)
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

const fn destructive<Q: JsonSchema, A: JsonSchema>(
    service: &'static str,
    rpc: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Method {
    Method {
        impact: Impact::Destructive,
        role: Role::Admin,
        ..write::<Q, A>(service, rpc, path, summary)
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
