//! Snapshots of a cluster that is made up: each node that answers keeps one of its whole state.

use chronik_admin::v1::{
    SnapshotCheck, SnapshotChunk, SnapshotContent, SnapshotCreateRequest, SnapshotDeleteRequest,
    SnapshotDeleted, SnapshotDownloadRequest, SnapshotFile, SnapshotGroup, SnapshotInspectRequest,
    SnapshotList, SnapshotListRequest, SnapshotNode, SnapshotVerification, SnapshotVerifyRequest,
};
use chronik_admin::{AdminError, Code};

use super::admin::{Outcome, Question, find, order, said, unknown};
use super::play::CLUSTER;
use super::world::{NODES, World};

/// When they were begun, which is so late that their age does not change while this is read.
const ID: u64 = 4_102_444_800_000;
/// What is in the file, and its checksum.
const BYTES: &[u8] = b"made up";
const SHA256: &str = "48168fa99cb7e014e77dbf4af79fc5b2a50caac8e820883ea7326f88bc713ac9";

pub(super) fn say(world: &World, name: &str, question: &Question) -> Outcome {
    match name {
        "Snapshots.List" => said(list(world, question.read())),
        "Snapshots.Inspect" => inspect(question.read()),
        "Snapshots.Verify" => verify(question.read()),
        "Snapshots.Download" => download(question.read()),
        "Snapshots.Create" => create(world, question.read()),
        "Snapshots.Delete" => delete(world, question.read()),
        other => Err(unknown(other)),
    }
}

fn file() -> SnapshotFile {
    SnapshotFile {
        snapshot_id: ID,
        state: "complete".to_owned(),
        cause: "time".to_owned(),
        bytes: BYTES.len() as u64,
        sha256: SHA256.to_owned(),
        groups: 5,
        groups_total: 5,
        index: 30,
        term: 5,
        ..SnapshotFile::default()
    }
}

fn node(world: &World, node_id: u64, snapshots: Vec<SnapshotFile>) -> SnapshotNode {
    match world.answers(node_id) {
        true => SnapshotNode {
            node_id,
            reachable: true,
            error: None,
            snapshots,
        },
        false => SnapshotNode {
            node_id,
            error: Some("it is not connected".to_owned()),
            ..SnapshotNode::default()
        },
    }
}

fn listed(nodes: Vec<SnapshotNode>) -> SnapshotList {
    SnapshotList {
        cluster_id: CLUSTER.to_owned(),
        asked_node: 1,
        nodes,
    }
}

fn list(world: &World, request: SnapshotListRequest) -> SnapshotList {
    let is_wanted = |node: &u64| request.node_id.is_none_or(|wanted| wanted == *node);
    let nodes = NODES.into_iter().filter(is_wanted);
    listed(nodes.map(|id| node(world, id, vec![file()])).collect())
}

/// There is only one on each node.
fn known(snapshot_id: u64) -> Result<SnapshotFile, AdminError> {
    let message = || format!("there is no snapshot {snapshot_id}");
    let found = (snapshot_id == ID).then(file);
    found.ok_or_else(|| AdminError::new(Code::NotFound, message()).hint("chronikctl snapshot list"))
}

fn inspect(request: SnapshotInspectRequest) -> Outcome {
    let file = known(request.snapshot_id)?;
    let group = SnapshotGroup {
        group_id: 1024,
        name: "orders/0".to_owned(),
        index: 100,
        term: 7,
        start_offset: 40,
        end_offset: 100,
        producers: 1,
        consumer_groups: 0,
        bytes: 120,
    };
    said(SnapshotContent {
        file: Some(file),
        cluster_id: CLUSTER.to_owned(),
        node_id: request.node_id,
        incarnation: 1,
        version: "0.1.0".to_owned(),
        catalog_version: 30,
        topics: 3,
        partitions: 4,
        consumer_groups: 1,
        groups: vec![group],
    })
}

fn verify(request: SnapshotVerifyRequest) -> Outcome {
    let file = known(request.snapshot_id)?;
    let check = |name: &str, message: &str| SnapshotCheck {
        name: name.to_owned(),
        passed: true,
        message: message.to_owned(),
    };
    said(SnapshotVerification {
        node_id: request.node_id,
        snapshot_id: request.snapshot_id,
        sound: true,
        checks: vec![
            check("FORMAT", "version 1"),
            check("CHECKSUMS", "every block has its own"),
            check("CONTENT", "5 groups"),
        ],
        bytes: file.bytes,
        sha256: file.sha256,
    })
}

fn download(request: SnapshotDownloadRequest) -> Outcome {
    known(request.snapshot_id)?;
    said(SnapshotChunk {
        offset: 0,
        data: BYTES.to_vec(),
    })
}

fn create(world: &World, request: SnapshotCreateRequest) -> Outcome {
    let group = match request.group.as_str() {
        "" => None,
        name => Some(find(world, name)?),
    };
    let makers = match (request.node_id, &group) {
        (Some(node), _) => vec![node],
        (None, Some(group)) => group.leader.into_iter().collect(),
        (None, None) => NODES.to_vec(),
    };
    if let Some(node) = makers.iter().find(|node| !NODES.contains(*node)) {
        let message = format!("there is no node {node}");
        return Err(AdminError::new(Code::NotFound, message).hint("chronikctl node list"));
    }
    let made = SnapshotFile {
        group: group.map(|group| group.name),
        cause: "operator".to_owned(),
        ..file()
    };
    let made = if request.dry_run { vec![] } else { vec![made] };
    let carried = (request.expect, request.dry_run);
    order(world, "Snapshots.Create", carried, || {
        let nodes = makers.iter();
        let nodes = nodes.map(|id| node(world, *id, made.clone()));
        said(listed(nodes.collect()))
    })
}

fn delete(world: &World, request: SnapshotDeleteRequest) -> Outcome {
    let file = known(request.snapshot_id)?;
    let carried = (request.expect, request.dry_run);
    order(world, "Snapshots.Delete", carried, || {
        said(SnapshotDeleted {
            node_id: request.node_id,
            snapshot_id: request.snapshot_id,
            freed_bytes: file.bytes,
            dry_run: request.dry_run,
        })
    })
}
