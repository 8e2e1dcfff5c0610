//! Every method that is answered with one object, once: which question it takes, what it answers, and which verb of the
//! desk knows it. Both ways in are made of this table.

/// Hands the table to a macro.
macro_rules! for_each_call {
    ($make:ident) => {
        $make! {
            Node {
                Status: status(NodeStatusRequest) -> NodeStatus = node_status;
                Config: config(NodeConfigRequest) -> NodeConfig = node_config;
                System: system(SystemRequest) -> System = system;
                Clock: clock(ClockRequest) -> Clocks = clocks;
                LogDigest: log_digest(LogDigestRequest) -> LogDigest = log_digest;
                SetLogLevel: set_log_level(SetLogLevelRequest) -> LogLevel = set_log_level;
            }
            Cluster {
                View: view(ClusterViewRequest) -> ClusterView = cluster_view;
                Health: health(HealthRequest) -> Health = health;
            }
            Raft {
                Status: status(RaftStatusRequest) -> RaftStatus = raft_status;
                History: history(RaftHistoryRequest) -> RaftHistory = history;
                StepDown: step_down(StepDownRequest) -> Transfer = step_down;
                Transfer: transfer(TransferRequest) -> Transfer = transfer;
                ChangeMember: change_member(ChangeMemberRequest) -> MemberChange = change_member;
            }
            Placement {
                Plan: plan(PlanRequest) -> PlacementPlan = plan;
                Apply: apply(ApplyRequest) -> Operation = apply;
                Operations: operations(OperationsRequest) -> OperationList = operations;
                Throttle: throttle(ThrottleRequest) -> Throttle = throttle;
                Pause: pause(OperationRequest) -> Operation = pause;
                Resume: resume(OperationRequest) -> Operation = resume;
                Cancel: cancel(OperationRequest) -> Operation = cancel;
                Rollback: rollback(OperationRequest) -> Operation = roll_back;
                Verify: verify(VerifyRequest) -> Verification = verify;
                RemoveNode: remove_node(RemoveNodeRequest) -> NodeRemoved = remove_node;
                BalanceLeaders: balance_leaders(BalanceLeadersRequest) -> LeadersBalanced = balance_leaders;
            }
            Topics {
                List: list(TopicListRequest) -> TopicList = topic_list;
                Describe: describe(TopicDescribeRequest) -> Topic = topic_describe;
                Producers: producers(ProducersRequest) -> ProducerList = producers;
                Create: create(CreateTopicRequest) -> Topic = topic_create;
                Delete: delete(DeleteTopicRequest) -> TopicDeleted = topic_delete;
                AddPartitions: add_partitions(AddPartitionsRequest) -> Topic = topic_add_partitions;
                Trim: trim(TrimRequest) -> Trimmed = topic_trim;
            }
            Configs {
                Describe: describe(ConfigDescribeRequest) -> TopicConfig = config_describe;
                Diff: diff(ConfigDiffRequest) -> ConfigDiff = config_diff;
                Alter: alter(ConfigAlterRequest) -> TopicConfig = config_alter;
            }
            Groups {
                List: list(GroupListRequest) -> GroupList = group_list;
                Describe: describe(GroupDescribeRequest) -> Group = group_describe;
                Lag: lag(GroupLagRequest) -> GroupLags = group_lags;
                Seek: seek(GroupSeekRequest) -> Group = group_seek;
                Delete: delete(GroupDeleteRequest) -> GroupDeleted = group_delete;
            }
            Snapshots {
                List: list(SnapshotListRequest) -> SnapshotList = snapshot_list;
                Inspect: inspect(SnapshotInspectRequest) -> SnapshotContent = snapshot_inspect;
                Verify: verify(SnapshotVerifyRequest) -> SnapshotVerification = snapshot_verify;
                Create: create(SnapshotCreateRequest) -> SnapshotList = snapshot_create;
                Delete: delete(SnapshotDeleteRequest) -> SnapshotDeleted = snapshot_delete;
            }
        }
    };
}

pub(super) use for_each_call;
