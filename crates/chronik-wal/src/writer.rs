//! The handle of the WAL thread, which owns every append.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::error::Refused;
use crate::record::{GroupUid, Task};
use crate::stats::Stats;

/// Hands work to the WAL thread and never waits for it.
#[derive(Debug)]
pub struct Writer<T> {
    _token: PhantomData<fn(T)>,
}

impl<T: Send + std::fmt::Debug + 'static> Writer<T> {
    /// Hands over one cycle's tasks; a full queue returns them.
    pub fn submit(&self, _tasks: Vec<Task<T>>) -> Result<(), Refused<Vec<Task<T>>>> {
        unimplemented!()
    }

    /// Asks for a checkpoint of everything submitted before. `states` are the callers'
    /// blobs, as of this call, of the groups that changed since the last one.
    pub fn checkpoint(
        &self,
        _states: Vec<(GroupUid, Bytes)>,
    ) -> Result<(), Refused<Vec<(GroupUid, Bytes)>>> {
        unimplemented!()
    }

    /// The counters now.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }

    /// Writes what was submitted, and ends the threads.
    pub fn close(self) {
        unimplemented!()
    }
}
