//! From snapshots to a data directory that a node begins with. It is done while no node uses the directory, and it never
//! brings back an old identity: a restored node is let into its cluster as a new incarnation, or it begins a new cluster.

mod reborn;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronik_admin::v1::{Restoration, RestoredFile};
use chronik_admin::{AdminError, Code};
use chronik_core::catalog::Catalog;
use chronik_core::consumer_group::Image;
use chronik_core::ids::{GroupUid, NodeId};

use self::reborn::{Founding, RebornError};
use super::folder::Unfinished;
use super::format::{Cause, FormatError, Header};
use super::part::Part;
use super::{hex, read};
use crate::clock;
use crate::config::{Config, SnapshotCompression};
use crate::data_dir::{DataDir, DataDirError, Identity, RESTORED_FILE};

/// What an operator wants restored.
#[derive(Clone, Debug)]
pub struct Wish {
    pub files: Vec<PathBuf>,
    /// All nodes of the cluster are lost.
    pub new_cluster: bool,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefused {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("{} cannot be restored: {source}", path.display())]
    Unsound { path: PathBuf, source: FormatError },
    #[error("{} is of one group: a node is restored from a snapshot of a node", path.display())]
    OneGroup { path: PathBuf },
    #[error("the snapshots are of several clusters: {one} and {other}")]
    SeveralClusters { one: String, other: String },
    #[error("one snapshot is enough for a node that comes back: its cluster knows the rest")]
    TooMany,
    #[error("a single node is its whole cluster: nobody could let it in again")]
    Alone,
    #[error("`cluster.id` is {configured}, but the snapshot is of cluster {found}")]
    OtherCluster { configured: String, found: String },
    #[error("`cluster.id` is {0}, but a new cluster gets an id of its own")]
    FixedCluster(String),
    #[error(transparent)]
    Reborn(#[from] Box<dyn std::error::Error + Send + Sync>),
    #[error("the snapshot cannot be written to {}: {source}", path.display())]
    Write { path: PathBuf, source: FormatError },
}

/// A snapshot in the data directory of a node that was restored and never ran since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    path: PathBuf,
    sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoredError {
    #[error("{}: {source}", path.display())]
    Unsound { path: PathBuf, source: FormatError },
    #[error("{} is another file than the one that was restored", path.display())]
    Other { path: PathBuf },
}

/// What a directory is to hold.
struct Beginning {
    identity: Identity,
    header: Header,
    parts: Vec<Part>,
}

/// What a section of the file may hold.
const SECTION_BYTES: usize = 1 << 20;

impl Restored {
    pub(crate) fn of(data_dir: &Path, identity: &Identity) -> Option<Restored> {
        identity.restored.clone().map(|sha256| Restored {
            path: data_dir.join(RESTORED_FILE),
            sha256,
        })
    }

    pub(crate) fn read(&self) -> Result<Vec<Part>, RestoredError> {
        let path = || self.path.clone();
        let read = read::parts(&self.path);
        let (content, parts) = read.map_err(|source| RestoredError::Unsound {
            path: path(),
            source,
        })?;
        match content.made.sha256 == self.sha256 {
            true => Ok(parts),
            false => Err(RestoredError::Other { path: path() }),
        }
    }

    /// The log has all of it.
    pub(crate) fn remove(&self) {
        // It is gone already, or it stays and does no harm.
        _ = std::fs::remove_file(&self.path);
    }
}

/// Does what the operator wants, or only says what that is.
pub fn run(config: &Config, wish: &Wish) -> Result<Restoration, RestoreRefused> {
    let directory = &config.node.data_dir;
    DataDir::check_vacant(directory)?;
    if !wish.new_cluster {
        match (wish.files.len(), config.cluster.nodes()) {
            (1, 1) => return Err(RestoreRefused::Alone),
            (1, _) => {}
            _ => return Err(RestoreRefused::TooMany),
        }
    }
    let (files, parts) = read_all(&wish.files)?;
    let header = files[0].1.header.clone();
    let parts = reborn::newest(parts);
    let catalog = files
        .iter()
        .filter_map(|(_, content)| content.catalog.as_ref());
    let catalog = catalog.max_by_key(|catalog| catalog.version);
    let catalog = catalog
        .expect("a snapshot of a node has the catalog")
        .clone();
    let beginning = match wish.new_cluster {
        true => found(config, header, &parts, &catalog)?,
        false => come_back(config, header, parts.values().cloned().collect())?,
    };
    let told = tell(config, wish, &beginning, &catalog, files);
    if !wish.dry_run {
        write(directory, beginning)?;
    }
    Ok(told)
}

/// A node that its cluster will let in again.
fn come_back(
    config: &Config,
    header: Header,
    parts: Vec<Part>,
) -> Result<Beginning, RestoreRefused> {
    let found = header.cluster_id.clone();
    if let Some(configured) = config.cluster.id.clone().filter(|id| *id != found) {
        return Err(RestoreRefused::OtherCluster { configured, found });
    }
    Ok(Beginning {
        identity: Identity {
            cluster_id: found,
            ..Identity::nobody(config)
        },
        header: made_here(header, config),
        parts,
    })
}

/// The first node of a new cluster.
fn found(
    config: &Config,
    header: Header,
    parts: &BTreeMap<GroupUid, Part>,
    catalog: &Catalog,
) -> Result<Beginning, RestoreRefused> {
    if let Some(configured) = &config.cluster.id {
        return Err(RestoreRefused::FixedCluster(configured.clone()));
    }
    let first = NodeId(config.node.id.into());
    let peers = config
        .cluster
        .peers
        .iter()
        .map(|peer| NodeId(peer.id.into()));
    let mut nodes: Vec<NodeId> = peers.collect();
    if nodes.is_empty() {
        nodes.push(first);
    }
    nodes.sort_unstable();
    let founding = Founding {
        cluster_id: uuid::Uuid::new_v4().to_string(),
        first,
        nodes,
    };
    let reborn = reborn::reborn(parts, catalog, &founding);
    let parts = reborn.map_err(|error: RebornError| RestoreRefused::Reborn(Box::new(error)))?;
    Ok(Beginning {
        identity: Identity {
            cluster_id: founding.cluster_id.clone(),
            incarnation: 1,
            founders: vec![config.node.id],
            ..Identity::nobody(config)
        },
        header: Header {
            cluster_id: founding.cluster_id,
            incarnation: 1,
            ..made_here(header, config)
        },
        parts,
    })
}

fn made_here(header: Header, config: &Config) -> Header {
    Header {
        node: NodeId(config.node.id.into()),
        incarnation: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_ms: clock::wall_ms().unsigned_abs(),
        cause: Cause::Restore,
        ..header
    }
}

/// The identity comes last: without it nobody begins with the rest.
fn write(directory: &Path, beginning: Beginning) -> Result<(), RestoreRefused> {
    let Beginning {
        mut identity,
        header,
        parts,
    } = beginning;
    let data_dir = DataDir::take_vacant(directory)?;
    let path = directory.join(RESTORED_FILE);
    let sha256 = write_parts(&path, &header, &parts);
    let sha256 = sha256.map_err(|source| RestoreRefused::Write { path, source })?;
    identity.restored = Some(hex(&sha256));
    data_dir.belongs(&identity)?;
    Ok(())
}

fn write_parts(path: &Path, header: &Header, parts: &[Part]) -> Result<[u8; 32], FormatError> {
    let mut unfinished = Unfinished::begin(path, SnapshotCompression::Zstd, header)?;
    let mut from = 0;
    while from < parts.len() {
        let mut bytes = 0;
        let fits = |part: &&Part| {
            bytes += part.weight_bytes();
            bytes <= SECTION_BYTES
        };
        let count = parts[from..].iter().take_while(fits).count().max(1);
        unfinished.writer().section(&parts[from..from + count])?;
        from += count;
    }
    let (_, sha256) = unfinished.end()?;
    Ok(sha256)
}

type Files = Vec<(PathBuf, read::Content)>;

fn read_all(paths: &[PathBuf]) -> Result<(Files, Vec<Part>), RestoreRefused> {
    let mut files: Files = Vec::new();
    let mut parts = Vec::new();
    for path in paths {
        let read = read::parts(path).map_err(|source| RestoreRefused::Unsound {
            path: path.clone(),
            source,
        });
        let (content, more) = read?;
        if content.header.group.is_some() || content.catalog.is_none() {
            return Err(RestoreRefused::OneGroup { path: path.clone() });
        }
        let other = &content.header.cluster_id;
        if let Some((_, first)) = files.first()
            && first.header.cluster_id != *other
        {
            return Err(RestoreRefused::SeveralClusters {
                one: first.header.cluster_id.clone(),
                other: other.clone(),
            });
        }
        files.push((path.clone(), content));
        parts.extend(more);
    }
    Ok((files, parts))
}

/// What is done, in words and figures.
fn tell(
    config: &Config,
    wish: &Wish,
    beginning: &Beginning,
    catalog: &Catalog,
    files: Files,
) -> Restoration {
    let images = beginning.parts.iter().filter_map(|part| {
        let image = part.consumer_groups.as_deref()?;
        Image::restore(image).ok()
    });
    let consumer_groups: usize = images.map(|image| image.groups().count()).sum();
    let (topics, partitions) = (catalog.topics.len(), catalog.partition_count());
    let node = config.node.id;
    let from = files[0].1.header.cluster_id.clone();
    let mut changes = vec![format!(
        "{} gets the state of {topics} topics with {partitions} partitions and {consumer_groups} consumer groups; no records are in it",
        config.node.data_dir.display()
    )];
    match wish.new_cluster {
        true => changes.extend([
            format!("node {node} begins a NEW cluster with an id of its own; cluster {from} must not run any more"),
            "all records are lost: partitions are empty and go on at their old end offsets, so that committed offsets keep their meaning".to_owned(),
            "what was written after the snapshot was made is not in it: its offsets are given again".to_owned(),
            "start this node first; the other nodes join it once it runs, with empty data directories".to_owned(),
        ]),
        false => changes.extend([
            format!("node {node} comes back to cluster {from} as a new incarnation, once a majority of it lets it in"),
            "records, and what changed since the snapshot was made, come from the other nodes".to_owned(),
        ]),
    }
    let file = |(path, content): (PathBuf, read::Content)| RestoredFile {
        path: path.display().to_string(),
        bytes: content.made.bytes,
        sha256: content.made.sha256,
        node_id: content.header.node.0,
        created_ms: content.header.created_ms,
    };
    Restoration {
        dry_run: wish.dry_run,
        data_dir: config.node.data_dir.display().to_string(),
        node_id: node.into(),
        new_cluster: wish.new_cluster,
        from_cluster_id: from,
        cluster_id: match wish.dry_run && wish.new_cluster {
            // It is made when it is needed.
            true => String::new(),
            false => beginning.identity.cluster_id.clone(),
        },
        groups: beginning.parts.len() as u64,
        topics: topics as u64,
        partitions: partitions as u64,
        consumer_groups: consumer_groups as u64,
        files: files.into_iter().map(file).collect(),
        changes,
    }
}

impl RestoreRefused {
    /// The same for programs, with the next thing to try.
    pub fn to_admin(&self) -> AdminError {
        let (code, check, hint) = match self {
            RestoreRefused::DataDir(DataDirError::InUse { .. }) => (
                Code::Blocked,
                "IN_USE: ",
                "stop the node that uses the directory",
            ),
            RestoreRefused::DataDir(DataDirError::NotEmpty { .. }) => (
                Code::Blocked,
                "NOT_EMPTY: ",
                "move what is there to another place, or choose another directory",
            ),
            RestoreRefused::DataDir(_) | RestoreRefused::Write { .. } => (Code::Internal, "", ""),
            RestoreRefused::Unsound { source, .. } => match source {
                FormatError::Io(_) => (Code::NotFound, "", ""),
                FormatError::Newer { .. } => (
                    Code::Blocked,
                    "NEWER_FORMAT: ",
                    "use the version that wrote it, or a later one",
                ),
                _ => (
                    Code::Blocked,
                    "DAMAGED: ",
                    "take another copy, or another snapshot",
                ),
            },
            RestoreRefused::OneGroup { .. } => {
                (Code::Blocked, "ONE_GROUP: ", "chronikctl snapshot list")
            }
            RestoreRefused::SeveralClusters { .. } => (Code::Blocked, "SEVERAL_CLUSTERS: ", ""),
            RestoreRefused::TooMany => (
                Code::InvalidArgument,
                "",
                "name one file, or add --new-cluster if all nodes are lost",
            ),
            RestoreRefused::Alone => (
                Code::Blocked,
                "ALONE: ",
                "name the other nodes with `cluster.peers`, or add --new-cluster if all nodes are lost",
            ),
            RestoreRefused::OtherCluster { .. } => (Code::WrongCluster, "", ""),
            RestoreRefused::FixedCluster(_) => {
                (Code::Blocked, "FIXED_CLUSTER: ", "remove `cluster.id`")
            }
            RestoreRefused::Reborn(_) => {
                (Code::Blocked, "INCOMPLETE: ", "add the files it asks for")
            }
        };
        AdminError::new(code, format!("{check}{self}")).hint(hint)
    }
}

#[cfg(test)]
mod tests;
