//! Bounds of the transport, with the proofs that they fit together.

use std::time::Duration;

/// What the transport may use and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that wait for one peer on one lane; beyond that messages are refused.
    pub lane_bytes: usize,
    /// The largest frame that is read: the largest batch that clients may send, and what is around it.
    pub frame_bytes: usize,
    /// How long connecting and saying hello may take.
    pub connect_timeout: Duration,
    /// The longest pause between two attempts to connect.
    pub backoff_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lane_bytes: 64 << 20,
            frame_bytes: 128 << 20,
            connect_timeout: Duration::from_secs(1),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// Messages that wait are cut into frames of about this size.
pub(super) const FRAME_BYTES: usize = 256 << 10;
/// A sender hands over what it collected once it is this much, without waiting for the end of its turn.
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// Messages in one frame.
pub(super) const FRAME_MESSAGES: usize = 64 << 10;

/// What may be under way in one stream before the receiver has taken it.
pub(super) const STREAM_WINDOW_BYTES: u32 = 16 << 20;
/// The same for a connection, which carries one stream.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// The largest HTTP/2 frame: fewer headers and fewer turns of the loop than with the default of 16 KiB.
pub(super) const HTTP2_FRAME_BYTES: u32 = 1 << 20;

/// Connections from other nodes at the same time: two for each, and as many again while they reconnect.
pub(super) const CONNECTIONS: usize = 256;
/// What accepting waits after an error.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a refusal may take to reach the one who is refused.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);
/// Silence of a stream from another node after which it is closed here; its owner has given it up long before.
pub(super) const STREAM_IDLE: Duration = Duration::from_secs(30);

/// Requests to one peer that wait for their answer.
pub(super) const CALLS: usize = 1024;
/// Requests of one peer that are worked on.
pub(super) const CALLS_SERVED: usize = 1024;
/// The largest request or answer.
pub(super) const CALL_BYTES: usize = 32 << 20;
/// Answers that wait to be sent.
pub(super) const ANSWERS: usize = 2048;
/// Signs of life that wait to be looked at.
pub(super) const SIGNS: usize = 256;

/// Time between two signs of life on the bulk lane, where they only find out whether anybody reads it.
pub(super) const BULK_PING: Duration = Duration::from_secs(1);
/// Silence on the bulk lane after which it is built again.
pub(super) const BULK_SILENCE: Duration = Duration::from_secs(20);
/// Silence on the control lane after which both are built again, in units of `suspect_after`. A connection that
/// outlived a cut of the network waits for ever longer times before it tries again; a new one does not.
pub(super) const CONTROL_SILENCE_SUSPICIONS: u32 = 2;
/// The first pause between two attempts to connect.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Failed attempts in a row after which a node whose connection broke is suspected, and its breaker opens.
pub(super) const FAILED_DIALS: u32 = 2;

// A frame's messages and its head fit into what is read.
const _: () = assert!(FRAME_BYTES * 2 < CALL_BYTES);
// A whole frame may be under way while the next one is made.
const _: () = assert!(STREAM_WINDOW_BYTES as usize >= 2 * FRAME_BYTES);
const _: () = assert!(CONNECTION_WINDOW_BYTES >= STREAM_WINDOW_BYTES);
// The owner of a stream notices first, so that it does not send into nothing.
const _: () = assert!(BULK_SILENCE.as_secs() < STREAM_IDLE.as_secs());
const _: () = assert!(BULK_PING.as_secs() * 4 < BULK_SILENCE.as_secs());
