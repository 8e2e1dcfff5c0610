//! What a history is made of: events, their canonical JSON lines, a bounded reader and a writer.

mod event;
mod fast;
mod line;
mod reader;
mod writer;

pub use event::{
    Action, Attempt, AttemptResult, Commit, CommitEnd, Content, Event, FetchCommittedEnd,
    FinalRead, Invariant, Isolation, KafkaError, LeaderView, ListOffsetsEnd, LogDigest, Name,
    Outcome, Poll, PollMode, Positions, RaftStatus, Record, RunInfo, SendEnd, SendInvoke,
    Transaction, Value, Wire,
};
pub use line::LineFault;
pub use reader::{ReadError, Reader};
pub use writer::write_line;

/// Records that one send or one run of a poll may describe; a larger number is a damaged line, not a batch.
pub const MAX_RUN_RECORDS: u32 = 1 << 20;

/// Bytes of one history line; a poll of a few thousand uncompressed runs fits.
pub const MAX_LINE_BYTES: usize = 8 << 20;

/// The version of the line format that this crate writes and reads.
pub const FORMAT: u32 = 1;
