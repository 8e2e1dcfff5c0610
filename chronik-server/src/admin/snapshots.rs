//! Snapshots of the nodes: what each keeps and makes, what is in them, and their bytes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{
    ChunkRequest, SnapshotCheck, SnapshotChunk, SnapshotContent, SnapshotCreateRequest,
    SnapshotDeleteRequest, SnapshotDeleted, SnapshotDownloadRequest, SnapshotFile, SnapshotGroup,
    SnapshotInspectRequest, SnapshotList, SnapshotListRequest, SnapshotNode, SnapshotVerification,
    SnapshotVerifyRequest,
};
use chronik_admin::{AdminError, Code};
use chronik_core::ids::{GroupUid, NodeId};
use futures_util::stream::{self, Stream, TryStreamExt};
use serde_json::json;
use tracing::info;

use super::desk::{Desk, strange};
use super::names;
use crate::broker::View;
use crate::limits;
use crate::snapshots::format::{Cause, FormatError};
use crate::snapshots::{self, Content, GroupSummary, Row, Snapshots, State, Verified};

/// How long a node may take to read a whole snapshot.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl Desk {
    pub(super) async fn snapshot_list(
        &self,
        request: SnapshotListRequest,
    ) -> Result<SnapshotList, AdminError> {
        let is_wanted = |node: NodeId| request.node_id.is_none_or(|wanted| wanted == node.0);
        let mut nodes = Vec::new();
        if is_wanted(self.about.node) {
            nodes.push(self.snapshots_here(None)?);
        }
        let question = Question::ListSnapshots(request);
        for (node, heard) in self.ask_these(question, &is_wanted).await? {
            nodes.push(match heard.answer {
                Ok(Answer::Snapshots(snapshots)) => snapshots,
                Ok(_) => silent(node, "it answered something else".to_owned()),
                Err(why) => silent(node, why),
            });
        }
        if nodes.is_empty() {
            return Err(unknown_node(request.node_id.unwrap_or_default()));
        }
        nodes.sort_by_key(|row| row.node_id);
        self.listed(nodes)
    }

    pub(super) async fn snapshot_inspect(
        &self,
        request: SnapshotInspectRequest,
    ) -> Result<SnapshotContent, AdminError> {
        let node = NodeId(request.node_id);
        if node == self.about.node {
            return self.inspect_here(request.snapshot_id).await;
        }
        let question = Question::InspectSnapshot(request);
        match self.ask_holder(node, question).await? {
            Answer::SnapshotContent(content) => Ok(content),
            _ => Err(strange(node)),
        }
    }

    pub(super) async fn snapshot_verify(
        &self,
        request: SnapshotVerifyRequest,
    ) -> Result<SnapshotVerification, AdminError> {
        let node = NodeId(request.node_id);
        if node == self.about.node {
            return self.verify_here(request.snapshot_id).await;
        }
        let question = Question::VerifySnapshot(request);
        match self.ask_holder(node, question).await? {
            Answer::SnapshotVerification(verification) => Ok(verification),
            _ => Err(strange(node)),
        }
    }

    /// The file in pieces, each read once the one before it was taken.
    pub(super) fn snapshot_download(
        self: Arc<Desk>,
        request: SnapshotDownloadRequest,
    ) -> impl Stream<Item = Result<SnapshotChunk, AdminError>> + Send + use<> {
        stream::try_unfold(Some(0), move |offset| {
            let desk = self.clone();
            async move {
                let Some(offset) = offset else {
                    return Ok(None);
                };
                let chunk = desk.chunk(&request, offset).await?;
                let next = offset + chunk.data.len() as u64;
                let is_last = chunk.data.len() < limits::SNAPSHOT_CHUNK_BYTES;
                Ok(Some((chunk, (!is_last).then_some(next))))
            }
        })
    }

    pub(super) async fn snapshot_create(
        &self,
        request: SnapshotCreateRequest,
    ) -> Result<SnapshotList, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let view = self.rooms()?.broker.view();
        let group = self.group_of(&view, &request.group)?;
        let makers = self.makers(&request, group).await?;
        let is_maker = |node: NodeId| makers.contains(&node);
        let mut nodes = Vec::new();
        if is_maker(self.about.node) {
            nodes.push(self.create_here(&request)?);
        }
        let question = Question::CreateSnapshot(request);
        for (node, heard) in self.ask_these(question, &is_maker).await? {
            nodes.push(match heard.answer {
                Ok(Answer::Snapshots(snapshots)) => snapshots,
                Ok(_) => silent(node, "it answered something else".to_owned()),
                Err(why) => silent(node, why),
            });
        }
        nodes.sort_by_key(|row| row.node_id);
        self.listed(nodes)
    }

    pub(super) async fn snapshot_delete(
        &self,
        request: SnapshotDeleteRequest,
    ) -> Result<SnapshotDeleted, AdminError> {
        let node = NodeId(request.node_id);
        if node == self.about.node {
            return self.delete_here(&request).await;
        }
        match self
            .ask_holder(node, Question::DeleteSnapshot(request))
            .await?
        {
            Answer::SnapshotDeleted(deleted) => Ok(deleted),
            _ => Err(strange(node)),
        }
    }

    /// What another node asks of this one.
    pub(super) async fn answer_about_snapshots(
        &self,
        question: Question,
    ) -> Result<Answer, AdminError> {
        Ok(match question {
            Question::ListSnapshots(_) => Answer::Snapshots(self.snapshots_here(None)?),
            Question::InspectSnapshot(request) => {
                Answer::SnapshotContent(self.inspect_here(request.snapshot_id).await?)
            }
            Question::VerifySnapshot(request) => {
                Answer::SnapshotVerification(self.verify_here(request.snapshot_id).await?)
            }
            Question::SnapshotChunk(request) => {
                Answer::SnapshotChunk(self.chunk_here(&request).await?)
            }
            Question::CreateSnapshot(request) => Answer::Snapshots(self.create_here(&request)?),
            Question::DeleteSnapshot(request) => {
                Answer::SnapshotDeleted(self.delete_here(&request).await?)
            }
            _ => unreachable!("only questions about snapshots come here"),
        })
    }

    /// Who shall make one: who is named, or the leader of the group, or everybody.
    async fn makers(
        &self,
        request: &SnapshotCreateRequest,
        group: Option<GroupUid>,
    ) -> Result<BTreeSet<NodeId>, AdminError> {
        let members = self.members();
        let makers = match (request.node_id, group) {
            (Some(node), _) => vec![NodeId(node)],
            (None, Some(_)) => vec![self.present_leader_of(&request.group).await?],
            (None, None) => members.clone(),
        };
        match makers.iter().find(|node| !members.contains(node)) {
            Some(node) => Err(unknown_node(node.0)),
            None => Ok(makers.into_iter().collect()),
        }
    }

    async fn ask_holder(&self, node: NodeId, question: Question) -> Result<Answer, AdminError> {
        match self.members().contains(&node) {
            true => self.forward_within(node, question, READ_TIMEOUT).await,
            false => Err(unknown_node(node.0)),
        }
    }

    fn create_here(&self, request: &SnapshotCreateRequest) -> Result<SnapshotNode, AdminError> {
        let rooms = self.rooms()?;
        let view = rooms.broker.view();
        if view.catalog.cluster_id.is_empty() {
            let message = "the node belongs to no cluster yet";
            return Err(AdminError::new(Code::NotReady, message));
        }
        let group = self.group_of(&view, &request.group)?;
        if request.dry_run {
            return self.snapshots_here(Some(0));
        }
        let named = group.map(|group| (group, name_of(&view, group)));
        let created = rooms.snapshots.create(named, Cause::Operator);
        let id = created.map_err(|_| busy())?;
        info!(
            request = request.request_id,
            snapshot = id,
            group = request.group,
            "a snapshot is made for an operator"
        );
        self.snapshots_here(Some(id))
    }

    async fn delete_here(
        &self,
        request: &SnapshotDeleteRequest,
    ) -> Result<SnapshotDeleted, AdminError> {
        self.check_cluster(request.expect.as_ref())?;
        let snapshots = &self.rooms()?.snapshots;
        let id = request.snapshot_id;
        let row = self.row(snapshots, id)?;
        if matches!(row.state, State::Making { .. }) {
            let message = format!("OPERATION_RUNNING: snapshot {id} is being made");
            return Err(AdminError::new(Code::Blocked, message).hint("chronikctl snapshot list"));
        }
        let mut deleted = SnapshotDeleted {
            node_id: self.about.node.0,
            snapshot_id: id,
            freed_bytes: file_of(id, &row).bytes,
            dry_run: request.dry_run,
        };
        if !request.dry_run {
            let removed = snapshots.remove(id).await.ok_or_else(busy)?;
            deleted.freed_bytes = removed.or_else(|error| match error.kind() {
                // There was a row without a file, and now there is none.
                std::io::ErrorKind::NotFound => Ok(0),
                _ => Err(AdminError::new(Code::Internal, error.to_string())),
            })?;
            info!(
                request = request.request_id,
                snapshot = id,
                "a snapshot was deleted for an operator"
            );
        }
        Ok(deleted)
    }

    async fn inspect_here(&self, id: u64) -> Result<SnapshotContent, AdminError> {
        let snapshots = &self.rooms()?.snapshots;
        let row = self.row(snapshots, id)?;
        let content = snapshots.read(id, snapshots::inspect).await;
        let content = content.map_err(|error| {
            note_damage(snapshots, id, &row, &error);
            AdminError::new(Code::Internal, format!("snapshot {id}: {error}"))
                .hint("chronikctl snapshot list")
        })?;
        Ok(content_of(file_of(id, &row), content))
    }

    async fn verify_here(&self, id: u64) -> Result<SnapshotVerification, AdminError> {
        let snapshots = &self.rooms()?.snapshots;
        let row = self.row(snapshots, id)?;
        let verified = snapshots.read(id, snapshots::verify).await;
        if let Some(fault) = verified.fault() {
            note_damage(snapshots, id, &row, fault);
        }
        Ok(SnapshotVerification {
            node_id: self.about.node.0,
            snapshot_id: id,
            ..verification_of(&verified)
        })
    }

    async fn chunk(
        &self,
        request: &SnapshotDownloadRequest,
        offset: u64,
    ) -> Result<SnapshotChunk, AdminError> {
        let node = NodeId(request.node_id);
        let wanted = ChunkRequest {
            snapshot_id: request.snapshot_id,
            offset,
        };
        if node == self.about.node {
            return self.chunk_here(&wanted).await;
        }
        match self
            .ask_holder(node, Question::SnapshotChunk(wanted))
            .await?
        {
            Answer::SnapshotChunk(chunk) => Ok(chunk),
            _ => Err(strange(node)),
        }
    }

    async fn chunk_here(&self, wanted: &ChunkRequest) -> Result<SnapshotChunk, AdminError> {
        let snapshots = &self.rooms()?.snapshots;
        let (id, offset) = (wanted.snapshot_id, wanted.offset);
        self.row(snapshots, id)?;
        let most = limits::SNAPSHOT_CHUNK_BYTES;
        let data = snapshots.chunk(id, offset, most).await;
        let data = data
            .map_err(|error| AdminError::new(Code::Internal, format!("snapshot {id}: {error}")))?;
        Ok(SnapshotChunk { offset, data })
    }

    /// All snapshots of this node, or one of them.
    fn snapshots_here(&self, only: Option<u64>) -> Result<SnapshotNode, AdminError> {
        let shelf = self.rooms()?.snapshots.shelf();
        let rows = shelf.rows.iter();
        let rows = rows.filter(|(id, _)| only.is_none_or(|only| only == **id));
        Ok(SnapshotNode {
            node_id: self.about.node.0,
            reachable: true,
            error: None,
            snapshots: rows.map(|(id, row)| file_of(*id, row)).collect(),
        })
    }

    fn row(&self, snapshots: &Snapshots, id: u64) -> Result<Row, AdminError> {
        let row = snapshots.shelf().rows.remove(&id);
        row.ok_or_else(|| {
            let node = self.about.node;
            let message = format!("node {node} has no snapshot {id}");
            AdminError::new(Code::NotFound, message).hint("chronikctl snapshot list")
        })
    }

    fn listed(&self, nodes: Vec<SnapshotNode>) -> Result<SnapshotList, AdminError> {
        let view = self.rooms()?.broker.view();
        Ok(SnapshotList {
            cluster_id: view.catalog.cluster_id.to_string(),
            asked_node: self.about.node.0,
            nodes,
        })
    }

    fn group_of(&self, view: &View, name: &str) -> Result<Option<GroupUid>, AdminError> {
        match name {
            "" => Ok(None),
            name => names::find(&view.catalog, name).map(Some),
        }
    }
}

/// The body of a file that is downloaded by HTTP.
pub(super) fn bytes(
    chunks: impl Stream<Item = Result<SnapshotChunk, AdminError>> + Send,
) -> impl Stream<Item = Result<Bytes, AdminError>> + Send {
    chunks.map_ok(|chunk| chunk.data.into())
}

/// What is in a snapshot that lies anywhere, or why that cannot be said; and whether it can.
pub fn inspect_file(path: &Path) -> (serde_json::Value, bool) {
    match snapshots::inspect(path) {
        Ok(content) => {
            let row = Row {
                group: content.header.group.clone(),
                cause: content.header.cause,
                state: State::Complete(content.made.clone()),
            };
            let file = file_of(content.header.created_ms, &row);
            (json!(content_of(file, content)), true)
        }
        Err(error) => {
            let code = match error {
                FormatError::Io(_) => Code::NotFound,
                _ => Code::Blocked,
            };
            let message = format!("{}: {error}", path.display());
            (json!(AdminError::new(code, message)), false)
        }
    }
}

/// Whether a snapshot that lies anywhere can be trusted.
pub fn verify_file(path: &Path) -> (serde_json::Value, bool) {
    let verified = snapshots::verify(path);
    (json!(verification_of(&verified)), verified.is_sound())
}

/// Only what was whole can be found damaged, and a disk that could not be read proves nothing.
fn note_damage(snapshots: &Snapshots, id: u64, row: &Row, fault: &FormatError) {
    if matches!(row.state, State::Complete(_)) && !matches!(fault, FormatError::Io(_)) {
        snapshots.note(id, State::Damaged(fault.to_string()));
    }
}

fn content_of(file: SnapshotFile, content: Content) -> SnapshotContent {
    let catalog = content.catalog.as_ref();
    let names = catalog.map(names::all).unwrap_or_default();
    let name = |group: GroupUid| {
        let own = content.header.group.as_ref();
        let own = own
            .filter(|(own, _)| *own == group)
            .map(|(_, name)| name.clone());
        let known = || names.get(&group).map(|wanted| wanted.name.clone());
        own.or_else(known).unwrap_or_else(|| group.to_string())
    };
    let group = |summary: &GroupSummary| SnapshotGroup {
        group_id: summary.group.0,
        name: name(summary.group),
        index: summary.index,
        term: summary.term,
        start_offset: summary.start_offset,
        end_offset: summary.end_offset,
        producers: summary.producers as u64,
        consumer_groups: summary.consumer_groups as u64,
        bytes: summary.bytes as u64,
    };
    let consumer_groups: usize = content
        .groups
        .iter()
        .map(|group| group.consumer_groups)
        .sum();
    SnapshotContent {
        cluster_id: content.header.cluster_id.clone(),
        node_id: content.header.node.0,
        incarnation: content.header.incarnation,
        version: content.header.version.clone(),
        catalog_version: catalog.map_or(0, |catalog| catalog.version),
        topics: catalog.map_or(0, |catalog| catalog.topics.len() as u64),
        partitions: catalog.map_or(0, |catalog| catalog.partition_count() as u64),
        consumer_groups: consumer_groups as u64,
        groups: content.groups.iter().map(group).collect(),
        file: Some(file),
    }
}

fn verification_of(verified: &Verified) -> SnapshotVerification {
    let check = |check: &snapshots::Check| SnapshotCheck {
        name: check.name.to_owned(),
        passed: check.passed,
        message: check.message.clone(),
    };
    let made = verified.content().map(|content| content.made.clone());
    let made = made.unwrap_or_default();
    SnapshotVerification {
        node_id: 0,
        snapshot_id: 0,
        sound: verified.is_sound(),
        checks: verified.checks.iter().map(check).collect(),
        bytes: made.bytes,
        sha256: made.sha256,
    }
}

fn file_of(id: u64, row: &Row) -> SnapshotFile {
    let mut file = SnapshotFile {
        snapshot_id: id,
        group: row.group.as_ref().map(|(_, name)| name.clone()),
        cause: row.cause.word().to_owned(),
        ..SnapshotFile::default()
    };
    match &row.state {
        State::Making { done, total } => {
            file.state = "making".to_owned();
            (file.groups, file.groups_total) = (*done as u64, *total as u64);
        }
        State::Complete(made) => {
            file.state = "complete".to_owned();
            file.bytes = made.bytes;
            file.sha256.clone_from(&made.sha256);
            (file.groups, file.groups_total) = (made.groups as u64, made.groups as u64);
            (file.index, file.term) = (made.index, made.term);
        }
        State::Damaged(why) => {
            file.state = "damaged".to_owned();
            file.error = Some(why.clone());
        }
        State::Failed(why) => {
            file.state = "failed".to_owned();
            file.error = Some(why.clone());
        }
    }
    file
}

fn name_of(view: &View, group: GroupUid) -> String {
    let known = names::all(&view.catalog).remove(&group);
    known.map_or_else(|| group.to_string(), |wanted| wanted.name)
}

fn silent(node: NodeId, why: String) -> SnapshotNode {
    SnapshotNode {
        node_id: node.0,
        reachable: false,
        error: Some(why),
        snapshots: Vec::new(),
    }
}

fn busy() -> AdminError {
    AdminError::new(
        Code::Overloaded,
        "the node has too many snapshots to make, or stops",
    )
    .hint("chronikctl snapshot list")
}

fn unknown_node(node: u64) -> AdminError {
    AdminError::new(Code::NotFound, format!("there is no node {node}")).hint("chronikctl node list")
}
