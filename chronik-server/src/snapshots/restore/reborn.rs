//! What a new cluster begins with, when all nodes of the old one are lost: its topics, their boundaries, and the
//! offsets of consumer groups, but no record.

use std::collections::BTreeMap;

use bytes::Bytes;
use chronik_core::catalog::Catalog;
use chronik_core::consumer_group::{Image, RestoreError};
use chronik_core::group::{Install, Members, Trim};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId};
use chronik_core::partition::Log;

use crate::snapshots::Part;

/// Who begins, and with whom.
#[derive(Clone, Debug)]
pub(super) struct Founding {
    pub(super) cluster_id: String,
    pub(super) first: NodeId,
    pub(super) nodes: Vec<NodeId>,
}

/// Why a new cluster cannot begin with these parts.
#[derive(Debug, thiserror::Error)]
pub(super) enum RebornError {
    #[error("the consumer groups of group {group} cannot be read")]
    ConsumerGroups {
        group: GroupUid,
        #[source]
        source: RestoreError,
    },
    #[error("{}", missing(.partitions, .nodes))]
    Missing {
        partitions: Vec<String>,
        /// Who held them.
        nodes: Vec<NodeId>,
    },
}

/// Elections that may have taken place after the parts were written down: clients that saw one of those leaders would
/// not believe one with a lower epoch.
const SKIPPED_TERMS: u64 = 1000;
const LARGEST_TERM: u64 = i32::MAX as u64 / 2;
/// Records that may have been written between two looks at one node, and more.
const CONSUMED_AHEAD: i64 = 1 << 32;
/// Partitions that a refusal names.
const NAMED: usize = 5;

/// The newest of several parts of each group: all of them are of one history.
pub(super) fn newest(parts: impl IntoIterator<Item = Part>) -> BTreeMap<GroupUid, Part> {
    let mut newest: BTreeMap<GroupUid, Part> = BTreeMap::new();
    for part in parts {
        let known = newest.get(&part.group);
        if known.is_none_or(|known| known.committed < part.committed) {
            newest.insert(part.group, part);
        }
    }
    newest
}

/// The same state as the beginning of another history.
pub(super) fn reborn(
    parts: &BTreeMap<GroupUid, Part>,
    catalog: &Catalog,
    founding: &Founding,
) -> Result<Vec<Part>, RebornError> {
    let meta = parts.get(&GroupUid::META);
    let meta = meta.expect("the catalog came from its part");
    let consumed = consumed(parts)?;
    let catalog_after = catalog.reborn(&founding.cluster_id, founding.first, &founding.nodes);
    let mut reborn = Vec::with_capacity(parts.len());
    let (mut absent, mut holders) = (Vec::new(), Vec::new());
    for topic in catalog.topics.values() {
        for (number, partition) in topic.partitions.iter().enumerate() {
            let Some(part) = parts.get(&partition.group) else {
                absent.push(format!("{}/{number}", topic.name));
                holders.extend(partition.holders());
                continue;
            };
            let place = (topic.name.to_string(), number as i32);
            let end_offset = end_offset(part, consumed.get(&place).copied());
            reborn.push(without_records(part, end_offset, founding));
        }
    }
    if !absent.is_empty() {
        holders.sort_unstable();
        holders.dedup();
        return Err(RebornError::Missing {
            partitions: absent,
            nodes: holders,
        });
    }
    let state = catalog_after.encode();
    reborn.push(begin(meta, state, founding));
    Ok(reborn)
}

/// Where a log goes on: behind every record that is known, and every one that somebody is known to have consumed. The
/// node may have known less of the partition than of its consumers; what they saw is not given to another record.
fn end_offset(part: &Part, consumed: Option<i64>) -> i64 {
    let known = part.high_watermark;
    match consumed {
        Some(consumed) if consumed <= known + CONSUMED_AHEAD => known.max(consumed),
        // A client may commit any number.
        _ => known,
    }
}

/// The largest offset that any consumer group committed, by topic and partition.
fn consumed(parts: &BTreeMap<GroupUid, Part>) -> Result<BTreeMap<(String, i32), i64>, RebornError> {
    let mut consumed = BTreeMap::new();
    for part in parts.values() {
        let Some(image) = &part.consumer_groups else {
            continue;
        };
        let group = part.group;
        let image = Image::restore(image);
        let image = image.map_err(|source| RebornError::ConsumerGroups { group, source })?;
        for (topic, partitions) in image.groups().flat_map(|(_, image)| &image.offsets) {
            for (partition, committed) in partitions {
                let known = consumed.entry((topic.clone(), *partition)).or_insert(0);
                *known = committed.offset.max(*known);
            }
        }
    }
    Ok(consumed)
}

fn without_records(part: &Part, end_offset: i64, founding: &Founding) -> Part {
    let last_epoch = part.epochs.last().map(|start| start.epoch);
    let log = Log::without_records(end_offset, last_epoch, part.consumer_groups.clone());
    let begun = begin(part, log.snapshot(part.committed), founding);
    Part {
        start_offset: end_offset,
        high_watermark: end_offset,
        ..begun
    }
}

/// A group of one voter that goes on behind the last entry that is known to be committed.
fn begin(part: &Part, state: Bytes, founding: &Founding) -> Part {
    let first = ReplicaId::new(founding.first, 1);
    Part {
        term: (part.term + SKIPPED_TERMS).min(LARGEST_TERM).max(part.term),
        install: Install {
            trim: Trim {
                index: part.committed,
                term: part.committed_term,
            },
            members: Members::of_voters(vec![first.0]),
            members_as_of: part.committed,
            state,
        },
        ..part.clone()
    }
}

fn missing(partitions: &[String], nodes: &[NodeId]) -> String {
    let named = &partitions[..partitions.len().min(NAMED)];
    let more = match partitions.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    format!(
        "{} partitions are in none of these snapshots ({}{more}): add one of a node that held them ({})",
        partitions.len(),
        named.join(", "),
        nodes.join(", ")
    )
}
