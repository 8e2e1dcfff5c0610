//! The shell around `chronik_core::group`: one thread owns all groups, obeys their orders and answers who waits.
//!
//! The way of an append: [`handle`] puts it into the shard's bounded inbox; [`shard`] gives it an offset and proposes
//! it with everything else of the cycle; [`effects`] hands entries to the log's writer; after the sync the log reports
//! back, the group commits, and [`replica`] answers. Nobody outside can name the channel.

pub(crate) mod event;

mod effects;
mod handle;
mod meta;
mod reads;
mod recovery;
mod replica;
mod shard;
#[cfg(test)]
mod tests;
mod upkeep;

use chronik_core::group::Trim;
use chronik_core::ids::GroupUid;

pub(crate) use handle::ShardHandle;
pub(crate) use recovery::{Start, Started, start};

/// What a task in the log was for, told back when it is durable.
#[derive(Debug)]
pub(crate) enum Token {
    /// A group's ready of this number.
    Ready { group: GroupUid, number: u64 },
    /// The start of a log moved.
    Trimmed {
        group: GroupUid,
        trim: Trim,
        offset: i64,
    },
    /// Nothing waits for it.
    Noted,
}
