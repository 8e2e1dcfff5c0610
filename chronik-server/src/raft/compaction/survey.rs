//! The thread that looks where the keys of a log are.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use chronik_core::compaction::{self, Full, Keys};
use chronik_core::ids::GroupUid;
use chronik_core::partition::{BatchHeader, Control};
use chronik_inbox::Sender;
use chronik_wal::{Plan, Reader, StoredEntry};
use tracing::warn;

use crate::raft::effects::CHANGES_MEMBERS;
use crate::raft::event::Event;
use crate::records::unfolded;

/// What a look at the new part of a log found.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(super) group: GroupUid,
    pub(super) keys: Keys,
    /// Everything up to here is among the keys; none if the log could not be read.
    pub(super) reached_index: Option<u64>,
}

/// A log whose new part is to be looked at.
pub(super) struct Job {
    pub(super) group: GroupUid,
    pub(super) plan: Plan,
    pub(super) last_index: u64,
    pub(super) keys: Keys,
}

/// Starts the thread; it takes one log at a time.
pub(super) fn start(reader: Reader, inbox: Sender<Event>) -> std::io::Result<SyncSender<Job>> {
    let (jobs, work) = sync_channel(1);
    std::thread::Builder::new()
        .name("compaction".to_owned())
        .spawn(move || survey_all(&reader, &inbox, &work))?;
    Ok(jobs)
}

fn survey_all(reader: &Reader, inbox: &Sender<Event>, work: &Receiver<Job>) {
    while let Ok(job) = work.recv() {
        // The shard has ended: nobody needs it any more.
        if inbox.send(Event::Surveyed(survey(reader, job))).is_err() {
            return;
        }
    }
}

fn survey(reader: &Reader, job: Job) -> Surveyed {
    let Job {
        group,
        plan,
        last_index,
        mut keys,
    } = job;
    let mut reached_index = 0;
    let read = reader.each(&plan, &mut |entry| {
        if entry.row.index > last_index || look_at(&entry, &mut keys).is_err() {
            return ControlFlow::Break(());
        }
        reached_index = entry.row.index;
        ControlFlow::Continue(())
    });
    if let Err(error) = &read {
        warn!(%group, %error, "a log could not be read for compaction");
    }
    Surveyed {
        group,
        keys,
        reached_index: read.ok().map(|()| reached_index),
    }
}

fn look_at(entry: &StoredEntry, keys: &mut Keys) -> Result<(), Full> {
    let has_records = entry.row.flags & CHANGES_MEMBERS == 0 && !Control::is(&entry.bytes);
    let header = BatchHeader::read(&entry.bytes).ok().filter(|_| has_records);
    match (header, unfolded(&entry.bytes)) {
        (Some(header), Ok(records)) => compaction::survey(&header, &records, keys),
        _ => Ok(()),
    }
}
