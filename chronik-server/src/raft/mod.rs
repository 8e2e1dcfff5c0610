//! The shell around `chronik_core::group`: one thread owns all groups, obeys their orders and answers who waits.
//!
//! The way of an append: [`handle`] puts it into the shard's bounded inbox; [`shard`] hands it to its partition, which
//! gives it an offset and proposes it with everything else of the cycle; [`effects`] hands messages to other nodes and
//! entries to the log's writer; after the sync the log reports back, a majority commits, and [`records`] answers.
//! Nobody outside can name the channel.

pub(crate) mod event;

mod capture;
mod catch_up;
mod compaction;
mod confirm;
mod effects;
mod elections;
mod gossip;
mod handle;
mod health;
pub(crate) mod history;
pub(crate) mod inspect;
mod membership;
mod meta;
mod peers;
mod reads;
mod records;
mod recovery;
mod replica;
mod seeds;
mod shard;
#[cfg(test)]
mod tests;
mod upkeep;

use std::time::Instant;

use chronik_core::group::Trim;
use chronik_core::ids::GroupUid;

pub(crate) use capture::StateLog;
pub(crate) use compaction::CleanLog;
pub(crate) use gossip::{Leads, News};
pub(crate) use handle::ShardHandle;
pub(crate) use health::{Health, SyncWatch};
pub(crate) use recovery::{Belong, MetaBirth, Start, Started, start};

/// What a task in the log was for, told back when it is durable.
#[derive(Debug)]
pub(crate) enum Token {
    /// A group's ready of this number, and what it installs if it begins anew.
    Ready {
        group: GroupUid,
        number: u64,
        installed: Option<Installed>,
    },
    /// The start of a log moved.
    Trimmed {
        group: GroupUid,
        trim: Trim,
        offset: i64,
    },
    /// Nothing waits for it.
    Noted,
}

/// A snapshot of another node on its way into the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Installed {
    /// Where the group's log begins anew.
    trim: chronik_wal::Trim,
    begun: Instant,
}
