//! A segment file while it is in the log: its name, its identity, and who still reads it.

use std::path::PathBuf;

/// A segment file that rows may point into. Plans and the index hold it, and it is used
/// again only after the last of them let go.
#[derive(Debug)]
pub struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
}

impl Segment {
    /// The number that rows carry.
    pub fn number(&self) -> u64 {
        self.number
    }
}
