//! The handle of the WAL thread, which owns every append.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TrySendError;
use std::thread::JoinHandle;

use bytes::Bytes;
use chronik_inbox::Sender;

use crate::appender::Command;
use crate::error::{Refused, RefusedReason};
use crate::frame::{FRAME_HEADER_BYTES, record_bytes};
use crate::io::blocks_up;
use crate::limits::BLOCK_BYTES;
use crate::record::{GroupUid, Task};
use crate::rewrite::RewriteOrder;
use crate::stats::{Counters, Stats};

/// Hands work to the WAL thread and never waits for it.
#[derive(Debug)]
pub struct Writer<T> {
    pub(crate) commands: Sender<Command<T>>,
    pub(crate) counters: Arc<Counters>,
    /// Gone once the log is closed.
    pub(crate) thread: Option<JoinHandle<()>>,
    pub(crate) direct_io: bool,
    pub(crate) segment_bytes: u64,
}

impl<T: Send + std::fmt::Debug + 'static> Writer<T> {
    /// Hands over one cycle's tasks; a full queue returns them.
    pub fn submit(&self, tasks: Vec<Task<T>>) -> Result<(), Refused<Vec<Task<T>>>> {
        let room =
            usize::try_from(self.segment_bytes).expect("a segment is below 2 GiB") - BLOCK_BYTES;
        let fits = |len: usize| blocks_up(FRAME_HEADER_BYTES + record_bytes(len)) <= room;
        if !tasks
            .iter()
            .flat_map(|task| &task.records)
            .all(|record| fits(record.stored_len()))
        {
            return Err(Refused {
                reason: RefusedReason::TooLarge,
                returned: tasks,
            });
        }
        self.send(Command::Submit(tasks))
            .map_err(|(reason, command)| match command {
                Command::Submit(returned) => Refused { reason, returned },
                _ => unreachable!("a refused command is the one that was sent"),
            })
    }

    /// Asks for a checkpoint of everything submitted before. `states` are the callers'
    /// blobs, as of this call, of the groups that changed since the last one.
    pub fn checkpoint(
        &self,
        states: Vec<(GroupUid, Bytes)>,
    ) -> Result<(), Refused<Vec<(GroupUid, Bytes)>>> {
        self.send(Command::Checkpoint(states))
            .map_err(|(reason, command)| match command {
                Command::Checkpoint(returned) => Refused { reason, returned },
                _ => unreachable!("a refused command is the one that was sent"),
            })
    }

    /// Has entries rewritten, with the next checkpoint; [`crate::Notice::Rewritten`] tells how far it came.
    pub fn rewrite(&self, order: RewriteOrder) -> Result<(), RefusedReason> {
        self.send(Command::Rewrite(order))
            .map_err(|(reason, _)| reason)
    }

    fn send(&self, command: Command<T>) -> Result<(), (RefusedReason, Command<T>)> {
        // Counted before, so that the WAL thread never counts down first.
        self.counters.queue.fetch_add(1, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.counters.queue.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(command) => (RefusedReason::Full, command),
                TrySendError::Disconnected(command) => (RefusedReason::Stopped, command),
            }
        })
    }

    /// Whether no further segment can be had: [`Stats::disk_full`], cheap enough to ask before every write.
    pub fn is_disk_full(&self) -> bool {
        self.counters.is_disk_full()
    }

    /// The counters now.
    pub fn stats(&self) -> Stats {
        self.counters.view(self.direct_io)
    }

    /// Writes what was submitted, and ends the threads. A checkpoint that was asked for
    /// before is on disk afterwards.
    pub fn close(mut self) {
        self.ask_to_close();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<T> Writer<T> {
    fn ask_to_close(&self) {
        self.counters.close();
        // If the queue is full the thread is awake and looks at the counters when it is not.
        let _ = self.commands.try_send(Command::Close);
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        // Without a close nobody waits for the end, but it comes.
        self.ask_to_close();
    }
}
