//! Snapshots of what a node keeps in memory: the catalog, where each log begins and ends, who wrote to it, and the
//! offsets of consumer groups. The records themselves are not in them; they come from other nodes.
//!
//! A [`Maker`] alone writes and removes files, one after the other. It asks the shard for a few groups at a time and
//! hands what it got to a thread that may block, so that neither the shard nor memory feels how much there is.
//! [`Snapshots`] is how others ask for one and see what there is; [`restore`] makes a data directory of files.

mod due;
mod folder;
pub mod format;
mod make;
mod part;
mod read;
pub mod restore;
mod shelf;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use chronik_core::ids::{GroupUid, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::broker::Broker;
use crate::clock;
use crate::config::{Config, SnapshotCompression};
use crate::metrics::Metrics;
use crate::raft::{ShardHandle, StateLog};
use folder::Folder;
use format::Cause;

pub(crate) use make::Maker;
pub use part::Part;
pub use read::is_sound;
pub(crate) use read::{Check, Content, GroupSummary, Verified, inspect, verify};
pub(crate) use restore::{Restored, RestoredError};
pub(crate) use shelf::{Row, Shelf, State};

/// What the snapshots of a node are made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) node: NodeId,
    limits: due::Limits,
    keep: usize,
    codec: SnapshotCompression,
}

/// What a maker needs of the node.
pub(crate) struct Sources {
    pub(crate) broker: Broker,
    pub(crate) shard: ShardHandle,
    pub(crate) state_log: Arc<StateLog>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The snapshots of this node, for whoever asks.
#[derive(Clone)]
pub(crate) struct Snapshots {
    folder: Folder,
    shelf: watch::Sender<Shelf>,
    orders: mpsc::Sender<Order>,
}

/// What the maker is told.
enum Order {
    Make {
        id: u64,
    },
    Remove {
        id: u64,
        reply: oneshot::Sender<std::io::Result<u64>>,
    },
}

/// The maker has as much to do as it may.
#[derive(Debug)]
pub(crate) struct Busy;

/// Orders that wait for the maker.
const ORDERS: usize = 8;

/// The asking and the making half. Nothing is made before [`Maker::run`] runs.
pub(crate) fn new(config: &Config, sources: Sources) -> (Snapshots, Maker) {
    let settings = Settings {
        node: NodeId(config.node.id.into()),
        limits: due::Limits {
            log_bytes: config.raft.snapshot_log_size.bytes(),
            log_entries: config.raft.snapshot_log_entries,
            interval: config.raft.snapshot_interval,
        },
        keep: config.raft.snapshot_keep as usize,
        codec: config.raft.snapshot_compression,
    };
    let (orders, inbox) = mpsc::channel(ORDERS);
    let snapshots = Snapshots {
        folder: Folder::of(&config.node.data_dir),
        shelf: watch::Sender::new(Shelf::default()),
        orders,
    };
    let maker = Maker::new(settings, sources, snapshots.clone(), inbox);
    (snapshots, maker)
}

impl Snapshots {
    /// What there is, and what is on its way.
    pub(crate) fn shelf(&self) -> Shelf {
        self.shelf.borrow().clone()
    }

    /// Begins a snapshot of the node, or of one of its groups; returns its number.
    pub(crate) fn create(
        &self,
        group: Option<(GroupUid, String)>,
        cause: Cause,
    ) -> Result<u64, Busy> {
        let permit = self.orders.try_reserve().map_err(|_| Busy)?;
        let id = self.reserve(group, cause);
        permit.send(Order::Make { id });
        Ok(id)
    }

    /// Removes one, for good; says how many bytes that frees. None if the node stops or has too much to do.
    pub(crate) async fn remove(&self, id: u64) -> Option<std::io::Result<u64>> {
        let (reply, removed) = oneshot::channel();
        self.orders.try_send(Order::Remove { id, reply }).ok()?;
        removed.await.ok()
    }

    /// What is in one, and whether it is sound.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        id: u64,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> T {
        let file = self.folder.file(id);
        blocking(move || read(&file)).await
    }

    /// So many bytes of one, from an offset on; fewer at its end.
    pub(crate) async fn chunk(
        &self,
        id: u64,
        offset: u64,
        most: usize,
    ) -> std::io::Result<Vec<u8>> {
        let folder = self.folder.clone();
        blocking(move || folder.chunk(id, offset, most)).await
    }

    /// What somebody found out about one.
    pub(crate) fn note(&self, id: u64, state: State) {
        self.shelf.send_modify(|shelf| shelf.note(id, state));
    }

    fn reserve(&self, group: Option<(GroupUid, String)>, cause: Cause) -> u64 {
        let now_ms = clock::wall_ms().unsigned_abs();
        let row = Row {
            group,
            cause,
            state: State::Making { done: 0, total: 0 },
        };
        let mut id = 0;
        self.shelf
            .send_modify(|shelf| id = shelf.reserve(now_ms, row));
        id
    }
}

/// Files are read and written where waiting harms nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("reading and writing files does not panic")
}

/// Bytes as `sha256sum` shows them.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}
