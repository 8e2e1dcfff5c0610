//! What the WAL thread does besides frames: rolls, orders for the helper and its reports.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;

use super::{Active, Appender, Work};
use crate::checkpoint::Checkpoint;
use crate::defrag::DefragOrder;
use crate::error::WalError;
use crate::helper::{Job, Report, SealOrder, failed, remove_if_there};
use crate::io::{
    AlignedBuffer, create_reserved, is_disk_full, open_write, random_salt, sync_directory,
};
use crate::ledger::Span;
use crate::limits::{BLOCK_BYTES, DEFRAG_SOURCES, SORTED_BIT};
use crate::notice::{Notice, SegmentChange};
use crate::options::Options;
use crate::record::GroupUid;
use crate::rewrite::Rewrite;
use crate::sealed::Place;
use crate::segment::{Layout, Segment, SegmentHeader};
use crate::stats::Counters;

impl<T, S: FnMut(Notice<T>)> Appender<T, S> {
    /// Makes a spare segment the active one; `false` if none can be had.
    pub(super) fn roll(&mut self) -> Result<bool, WalError> {
        let number = self.active.segment.short_number() + 1;
        let Some((salt, file)) = self.take_segment(number)? else {
            return Ok(false);
        };
        let segment = Arc::new(Segment::new(
            number,
            salt,
            self.layout.segment(number),
            self.jobs.clone(),
        ));
        let next = Active {
            segment: Arc::clone(&segment),
            file,
            position: BLOCK_BYTES as u64,
            first_lsn: self.next_lsn,
            events: Vec::new(),
        };
        let full = std::mem::replace(&mut self.active, next);
        self.seal(full);
        self.ledger
            .add_segment(Arc::clone(&segment), u64::MAX, false, 0);
        self.counters.rolled();
        self.count_segments();
        (self.sink)(Notice::Segment(SegmentChange::Opened(segment)));
        Ok(true)
    }

    /// A spare segment, or a new one. The last spare is a reserve: what it holds after the
    /// disk is full is for trimming, so it is taken only then.
    fn take_segment(&mut self, number: u32) -> Result<Option<(u32, File)>, WalError> {
        let entered = if self.spares.len() > 1 {
            self.enter_spare(number)
        } else {
            let fresh = self.enter(number, None);
            match fresh {
                Err(error) if is_disk_full(&error) => {
                    self.counters.set_disk_full(true);
                    self.enter_spare(number)
                }
                fresh => fresh,
            }
        };
        match entered {
            Ok(entered) => Ok(Some(entered)),
            Err(error) if is_disk_full(&error) => Ok(None),
            Err(source) => Err(failed("create", &self.layout.segment(number), source)),
        }
    }

    fn enter_spare(&mut self, number: u32) -> io::Result<(u32, File)> {
        let spare = self.spares.front().ok_or(io::ErrorKind::StorageFull)?;
        let entered = self.enter(number, Some(spare))?;
        self.spares.pop_front();
        self.state.backlog.push_back(Job::SpareTaken);
        Ok(entered)
    }

    fn enter(&self, number: u32, spare: Option<&Path>) -> io::Result<(u32, File)> {
        enter_log(
            &self.layout,
            &self.options,
            self.direct,
            number,
            self.next_lsn,
            spare,
        )
    }

    fn seal(&mut self, full: Active) {
        let last_lsn = self.next_lsn - 1;
        full.segment.grew_to(u64::MAX);
        if let Some(used) = self.ledger.segment_mut(full.segment.short_number()) {
            used.last_lsn = last_lsn;
            used.written_bytes = full.position;
        }
        let order = SealOrder {
            segment: full.segment,
            first_lsn: full.first_lsn,
            last_lsn,
            events: full.events,
        };
        self.state.backlog.push_back(Job::Seal(order));
        self.hand_out_jobs();
    }

    /// Everything before it in the queue is durable now, and nothing after it was touched.
    pub(super) fn checkpoint(&mut self) {
        let Some(Work::Checkpoint(states)) = self.state.work.pop_front() else {
            return;
        };
        for (uid, state) in states {
            self.ledger.set_state(uid, state);
        }
        let lsn = self.next_lsn - 1;
        let groups = self
            .ledger
            .states()
            .map(|(uid, state)| (uid, state.clone()))
            .collect();
        let dead = self.ledger.dead_segments(lsn);
        self.state.backlog.push_back(Job::Checkpoint {
            checkpoint: Checkpoint { lsn, groups },
            dead,
        });
        self.rewrite(lsn);
        self.defragment();
        self.hand_out_jobs();
    }

    /// Rewrites what the owner ordered, of what this checkpoint covers. Whatever a copy was made of is not scanned again
    /// after a restart: both stay apart.
    fn rewrite(&mut self, lsn: u64) {
        while !self.state.defrag_runs
            && let Some(order) = self.state.rewrites.pop_front()
        {
            let range = (order.first_index, order.last_index);
            let capacity = self.options.segment_bytes;
            let spans = self.ledger.settled_spans(order.group, range, lsn, capacity);
            if spans.is_empty() {
                self.rewritten(order.group, None);
                continue;
            }
            let segments: Vec<u32> = spans.iter().map(|span| span.segment).collect();
            let live = spans.into_iter().map(|span| (order.group, span)).collect();
            self.state.rewriting = Some(order.group);
            self.copy(&segments, live, Some(order.rewrite));
        }
    }

    fn rewritten(&mut self, group: GroupUid, last_index: Option<u64>) {
        (self.sink)(Notice::Rewritten { group, last_index });
    }

    fn defragment(&mut self) {
        if self.state.defrag_runs {
            return;
        }
        let sparse = self
            .ledger
            .sparse_segments(self.options.segment_bytes, DEFRAG_SOURCES);
        if sparse.is_empty() {
            return;
        }
        let live = self.ledger.live_spans(&sparse);
        self.copy(&sparse, live, None);
    }

    /// Has the helper copy what is alive in these segments.
    fn copy(
        &mut self,
        segments: &[u32],
        live: Vec<(GroupUid, Span)>,
        rewrite: Option<Arc<dyn Rewrite>>,
    ) {
        let sources: Vec<_> = self
            .ledger
            .segments()
            .filter(|used| segments.contains(&used.segment.short_number()))
            .collect();
        let order = DefragOrder {
            layout: self.layout.clone(),
            node_uuid: self.options.node_uuid,
            target: self.next_sorted | SORTED_BIT,
            capacity: live.iter().map(|(_, span)| span.bytes).sum::<u64>() + 2 * BLOCK_BYTES as u64,
            last_lsn: sources.iter().map(|used| used.last_lsn).max().unwrap_or(0),
            sources: sources
                .iter()
                .map(|used| Arc::clone(&used.segment))
                .collect(),
            live,
            helper: self.jobs.clone(),
            rewrite,
        };
        self.next_sorted += 1;
        self.state.defrag_runs = true;
        self.state.backlog.push_back(Job::Defrag(order));
    }

    pub(super) fn hand_out_jobs(&mut self) {
        while let Some(job) = self.state.backlog.pop_front() {
            // The helper reports what it does, and that wakes this thread to try again.
            match self.jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => return self.state.backlog.push_front(job),
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    pub(super) fn take_reports(&mut self) -> Result<(), WalError> {
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(report)?;
        }
        Ok(())
    }

    pub(super) fn take_report(&mut self, report: Report) -> Result<(), WalError> {
        match report {
            Report::Sealed { segment, places } => {
                if let Some(used) = self.ledger.segment_mut(segment) {
                    used.sealed = true;
                }
                self.count_segments();
                let change = SegmentChange::Sealed {
                    segment: u64::from(segment),
                    places,
                };
                (self.sink)(Notice::Segment(change));
            }
            Report::Checkpointed { lsn, dead } => {
                self.counters.checkpointed(lsn);
                (self.sink)(Notice::Checkpointed { lsn });
                dead.into_iter().for_each(|number| self.retire(number));
                self.count_segments();
            }
            Report::SpareReady { path } => {
                self.spares.push_back(path);
                self.count_segments();
            }
            Report::Recycled => Counters::add(&self.counters.recycled, 1),
            Report::Moved {
                target,
                sources,
                last_lsn,
                bytes,
                is_rewrite,
                places,
            } => {
                self.state.defrag_runs = false;
                Counters::add(&self.counters.defragmented_bytes, bytes);
                self.ledger
                    .add_segment(Arc::clone(&target), last_lsn, true, bytes);
                self.ledger
                    .move_places(target.short_number(), &sources, &places);
                self.count_segments();
                let sources = sources.into_iter().map(u64::from).collect();
                let last_index = places.last().map(Place::last_index);
                (self.sink)(Notice::Segment(SegmentChange::Moved {
                    target,
                    sources,
                    places,
                }));
                if is_rewrite && let Some(group) = self.state.rewriting.take() {
                    self.rewritten(group, last_index);
                }
            }
            Report::DefragAbandoned => {
                self.state.defrag_runs = false;
                if let Some(group) = self.state.rewriting.take() {
                    self.rewritten(group, None);
                }
            }
            Report::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn retire(&mut self, number: u32) {
        if let Some(segment) = self.ledger.remove_segment(number) {
            segment.retire();
            (self.sink)(Notice::Segment(SegmentChange::Recycled {
                segment: u64::from(number),
            }));
        }
    }

    pub(crate) fn count_segments(&self) {
        let (mut unsealed, mut sealed, mut sorted) = (0, 0, 0);
        for used in self.ledger.segments() {
            match (used.segment.short_number() & SORTED_BIT != 0, used.sealed) {
                (true, _) => sorted += 1,
                (false, true) => sealed += 1,
                (false, false) => unsealed += 1,
            }
        }
        Counters::set(&self.counters.segments_unsealed, unsealed);
        Counters::set(&self.counters.segments_sealed, sealed);
        Counters::set(&self.counters.segments_sorted, sorted);
        Counters::set(&self.counters.pool, self.spares.len() as u64);
    }
}

/// Makes a spare file, or a new one, the segment `number`: header, sync, then the name, so
/// that every file in the log's directory has a valid header.
pub(crate) fn enter_log(
    layout: &Layout,
    options: &Options,
    direct: bool,
    number: u32,
    first_lsn: u64,
    spare: Option<&Path>,
) -> io::Result<(u32, File)> {
    let path = match spare {
        Some(spare) => spare.to_owned(),
        None => {
            let path = layout.pool.join("next.part");
            if let Err(error) = create_reserved(&path, options.segment_bytes) {
                remove_if_there(&path)?;
                return Err(error);
            }
            path
        }
    };
    let file = open_write(&path, direct)?;
    let salt = random_salt()?;
    let mut page = AlignedBuffer::new(BLOCK_BYTES);
    let header = SegmentHeader {
        node_uuid: options.node_uuid,
        number,
        salt,
        first_lsn,
        segment_bytes: options.segment_bytes,
    };
    header.write(page.bytes_mut());
    file.write_all_at(page.bytes(), 0)?;
    file.sync_all()?;
    std::fs::rename(&path, layout.segment(number))?;
    sync_directory(&layout.log)?;
    sync_directory(&layout.pool)?;
    Ok((salt, file))
}
