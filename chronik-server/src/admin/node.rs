//! One node's own words: what it is, how it does, and what it logs.

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    CatchUp, Disk, LogLevel, NodeReplica, NodeStatus, NodeStatusRequest, NodeWords, Progress,
    RaftView, SetLogLevelRequest, Sight,
};
use chronik_admin::{AdminError, Code};
use chronik_core::ids::{NodeId, ReplicaId};

use super::desk::{Desk, ask_there};
use crate::clock;
use crate::logging::LogControl;
use crate::raft::inspect::{self, GroupView, Inspection, Role};

impl Desk {
    /// What this node says of itself; while it starts, it says that.
    pub(super) async fn node_status(&self, _: NodeStatusRequest) -> Result<NodeStatus, AdminError> {
        let inspection = self.inspect().await.unwrap_or_default();
        Ok(self.status_of(&inspection).await)
    }

    /// The same, with every replica.
    pub(super) async fn snapshot(&self) -> Result<NodeWords, AdminError> {
        let inspection = self.inspect().await?;
        let replica = |view: &GroupView| NodeReplica {
            group_id: view.group.0,
            view: Some(view_of(self.about.node, view)),
            catch_up: view.catch_up.as_ref().map(catch_up_of),
        };
        Ok(NodeWords {
            status: Some(self.status_of(&inspection).await),
            replicas: inspection.groups.iter().map(replica).collect(),
        })
    }

    pub(super) async fn set_log_level(
        &self,
        request: SetLogLevelRequest,
    ) -> Result<LogLevel, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let Some(node) = self.other(request.node_id)? else {
            return self.set_log_level_here(&request);
        };
        ask_there!(self, node, SetLogLevel(request) -> LogLevel)
    }

    pub(super) fn set_log_level_here(
        &self,
        request: &SetLogLevelRequest,
    ) -> Result<LogLevel, AdminError> {
        let level = &request.level;
        let no_level = |refused| {
            let message = format!("{level:?} is no log level: {refused}");
            AdminError::new(Code::InvalidArgument, message)
                .hint("try: info, debug, or info,chronik_server::raft=debug")
        };
        let previous = match request.dry_run {
            true => LogControl::check(level).map(|()| self.log.level()),
            false => self.log.set(level),
        };
        Ok(LogLevel {
            node_id: self.about.node.0,
            previous: previous.map_err(no_level)?,
            level: level.clone(),
        })
    }

    async fn status_of(&self, inspection: &Inspection) -> NodeStatus {
        let about = &self.about;
        let readiness = self.readiness.borrow().clone();
        let view = self.view();
        let catalog = view.as_ref().map(|view| &view.catalog);
        let member = catalog.and_then(|catalog| catalog.nodes.get(&about.node));
        let count = |is: fn(&GroupView) -> bool| {
            inspection.groups.iter().filter(|view| is(view)).count() as u64
        };
        let leaders = count(|view| view.role == Role::Leader);
        NodeStatus {
            node_id: about.node.0,
            incarnation: member.map_or(0, |member| member.incarnation),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: catalog
                .map(|catalog| catalog.cluster_id.to_string())
                .unwrap_or_default(),
            catalog_version: catalog.map_or(0, |catalog| catalog.version),
            ready: readiness.ready,
            reasons: readiness.reasons,
            uptime_ms: self.started.elapsed().as_millis() as u64,
            kafka_address: about.kafka_address.clone(),
            peer_address: about.peer_address.clone(),
            admin_address: about.admin_address.clone(),
            rack: about.rack.clone(),
            leaders,
            followers: inspection.groups.len() as u64 - leaders,
            leaderless: count(|view| view.leader.is_none()),
            disk: Some(self.disk()),
            resident_bytes: self.metrics.process_now().await.resident_bytes,
            log_level: self.log.level(),
            sees: inspection.sights.iter().map(sight_of).collect(),
            now_ms: clock::wall_ms().unsigned_abs(),
            produced_records: self.metrics.produce.records.get(),
            produced_bytes: self.metrics.produce.bytes.get(),
            fetched_bytes: self.metrics.fetch.bytes.get(),
        }
    }

    fn disk(&self) -> Disk {
        let path = &self.about.data_dir;
        let (total_bytes, free_bytes, available_bytes) = rustix::fs::statvfs(path)
            .map(|stat| [stat.f_blocks, stat.f_bfree, stat.f_bavail].map(|n| n * stat.f_frsize))
            .unwrap_or_default()
            .into();
        // As df does it: what nobody but the system may use counts neither as used nor as free.
        let used = total_bytes.saturating_sub(free_bytes);
        let usable = used.saturating_add(available_bytes);
        Disk {
            path: path.display().to_string(),
            total_bytes,
            available_bytes,
            used_percent: (used * 100).checked_div(usable).unwrap_or_default() as u32,
        }
    }
}

fn sight_of(sight: &crate::raft::inspect::Sight) -> Sight {
    Sight {
        node_id: sight.node.0,
        alive: sight.is_alive,
        since_ms: Some(sight.since.as_millis() as u64),
    }
}

fn catch_up_of(known: &inspect::CatchUp) -> CatchUp {
    CatchUp {
        log_bytes: known.log_bytes,
        bytes_per_second: known.bytes_per_second,
        held_back: known.held_back.iter().map(|node| node.0).collect(),
        waits_for_turn: known.waits_for_turn,
    }
}

fn view_of(node: NodeId, view: &GroupView) -> RaftView {
    let nodes = |replicas: &[ReplicaId]| replicas.iter().map(|id| id.node().0).collect();
    let role = match view.role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Absent => "absent",
    };
    let progress = view.progress.iter().map(|peer| Progress {
        node_id: peer.replica.node().0,
        incarnation: peer.replica.incarnation(),
        matched: peer.matched,
        lag_entries: peer.lag_entries,
        lag_ms: peer.lag.as_millis() as u64,
        active: peer.is_active,
        in_sync: peer.is_in_sync,
    });
    RaftView {
        node_id: node.0,
        reachable: true,
        role: role.to_owned(),
        term: view.term,
        leader: view.leader.map(|leader| leader.0),
        commit: view.commit,
        applied: view.applied,
        persisted: view.persisted,
        first: view.first,
        last: view.last,
        since_ms: view.since.as_millis() as u64,
        voters: nodes(&view.voters),
        learners: nodes(&view.learners),
        outgoing: nodes(&view.outgoing),
        progress: progress.collect(),
    }
}
