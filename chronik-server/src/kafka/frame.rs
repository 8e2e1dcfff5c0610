//! Reads length-prefixed frames without trusting the length.
//!
//! The length is checked before anything is reserved, a frame's buffer grows as bytes really arrive, and every
//! kilobyte of it is taken from a budget that all connections of the node share.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::AcquireError;
use tokio::time::Instant;

use super::budget::{Budget, Share};
use super::dispatch;

/// What the length prefix counts at least: API key, version and correlation id.
const SMALLEST_FRAME_BYTES: usize = 8;
/// Small requests are collected here; several arrive in one read.
const INTAKE_BYTES: usize = 4 << 10;
/// What a frame's buffer starts with on a connection that has not yet sent a larger one.
const FIRST_GROWTH_BYTES: usize = 64 << 10;
/// How much larger each further growth is.
const GROWTH_FACTOR: usize = 4;
const PRODUCE_KEY: i16 = 0;

/// The bounds of one connection's frames.
#[derive(Clone, Debug)]
pub struct FrameLimits {
    /// The largest produce request.
    pub produce_bytes: usize,
    /// The largest request of any other kind.
    pub other_bytes: usize,
    /// How long a frame may take besides its length at `slowest_bytes_per_s`.
    pub arrival_timeout: Duration,
    /// The slowest sender that is still served.
    pub slowest_bytes_per_s: u64,
}

/// One request as it arrived, without its length prefix, and its share of the budget.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: BytesMut,
    pub(super) share: Share,
}

/// Why a connection's bytes cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {announced} bytes was announced, {allowed} are allowed")]
    TooLarge { announced: i64, allowed: usize },
    #[error(
        "a frame of {announced} bytes was announced, a request takes at least {SMALLEST_FRAME_BYTES}"
    )]
    TooSmall { announced: i64 },
    #[error("the connection ended inside a frame")]
    Truncated,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the node is shutting down")]
    Closed(#[from] AcquireError),
}

/// Cuts one connection's bytes into frames.
pub(super) struct FrameReader<R> {
    source: R,
    intake: BytesMut,
    partial: Option<Partial>,
    largest_frame_bytes: usize,
    limits: FrameLimits,
    budget: Budget,
}

/// A frame whose length is known and whose bytes are still arriving.
struct Partial {
    len: usize,
    bytes: BytesMut,
    granted_bytes: usize,
    share: Option<Share>,
    deadline: Instant,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(source: R, limits: FrameLimits, budget: Budget) -> Self {
        FrameReader {
            source,
            intake: BytesMut::with_capacity(INTAKE_BYTES),
            partial: None,
            largest_frame_bytes: FIRST_GROWTH_BYTES,
            limits,
            budget,
        }
    }

    /// When the frame that is arriving must be complete; `None` between frames.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.partial.as_ref().map(|partial| partial.deadline)
    }

    /// The next frame, or `None` when the peer has closed between frames. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if self.partial.is_none() {
                self.partial = self.announced()?;
            }
            let received = match &mut self.partial {
                None => {
                    self.intake.reserve(INTAKE_BYTES - self.intake.len());
                    self.source.read_buf(&mut self.intake).await?
                }
                Some(partial) => {
                    partial.grow(&self.budget, self.largest_frame_bytes).await?;
                    partial.fill_from(&mut self.intake);
                    if partial.is_complete() {
                        return Ok(self.partial.take().map(|partial| self.finish(partial)));
                    }
                    if partial.bytes.len() == partial.granted_bytes {
                        continue;
                    }
                    let room = partial.granted_bytes - partial.bytes.len();
                    self.source
                        .read_buf(&mut (&mut partial.bytes).limit(room))
                        .await?
                }
            };
            if received == 0 {
                let between_frames = self.partial.is_none() && self.intake.is_empty();
                return if between_frames {
                    Ok(None)
                } else {
                    Err(FrameError::Truncated)
                };
            }
        }
    }

    /// Reads length and API key once both are there, because the key decides how long a frame may be.
    fn announced(&mut self) -> Result<Option<Partial>, FrameError> {
        let Some((prefix, _)) = self.intake.split_first_chunk::<6>() else {
            return Ok(None);
        };
        let [a, b, c, d, key @ ..] = *prefix;
        let announced = i64::from(i32::from_be_bytes([a, b, c, d]));
        let is_produce = i16::from_be_bytes(key) == PRODUCE_KEY;
        let allowed = if is_produce {
            self.limits.produce_bytes
        } else {
            self.limits.other_bytes
        };
        if announced < SMALLEST_FRAME_BYTES as i64 {
            return Err(FrameError::TooSmall { announced });
        }
        if announced > allowed as i64 {
            return Err(FrameError::TooLarge { announced, allowed });
        }
        self.intake.advance(4);
        let len = announced as usize;
        let arrival = Duration::from_secs(len as u64 / self.limits.slowest_bytes_per_s.max(1));
        let deadline = Instant::now() + self.limits.arrival_timeout + arrival;
        Ok(Some(Partial {
            len,
            bytes: BytesMut::new(),
            granted_bytes: 0,
            share: None,
            deadline,
        }))
    }

    fn finish(&mut self, partial: Partial) -> Frame {
        self.largest_frame_bytes = self.largest_frame_bytes.max(partial.len);
        let share = partial
            .share
            .expect("a complete frame was granted its bytes");
        Frame {
            bytes: partial.bytes,
            share,
        }
    }
}

/// Cuts arbitrary bytes into requests and decodes them, as a fuzz target; says how many there were.
#[doc(hidden)]
pub fn fuzz_stream(bytes: &[u8]) -> usize {
    let limits = FrameLimits {
        produce_bytes: 100 << 20,
        other_bytes: 16 << 20,
        arrival_timeout: Duration::from_secs(30),
        slowest_bytes_per_s: 64 << 10,
    };
    let mut reader = FrameReader::new(bytes, limits, Budget::new(256 << 20));
    let mut requests = 0;
    while let Some(Ok(Some(frame))) = reader.next().now_or_never() {
        requests += usize::from(dispatch::decode(frame.bytes).is_ok());
    }
    requests
}

impl Partial {
    fn is_complete(&self) -> bool {
        self.bytes.len() == self.len
    }

    /// Makes room for more bytes: at once as much as this connection has proven to send, then step by step.
    async fn grow(&mut self, budget: &Budget, proven_bytes: usize) -> Result<(), FrameError> {
        if self.bytes.len() < self.granted_bytes {
            return Ok(());
        }
        let target = self
            .len
            .min((self.granted_bytes * GROWTH_FACTOR).max(proven_bytes));
        let share = budget.take(target - self.granted_bytes).await?;
        match &mut self.share {
            Some(held) => held.join(share),
            none => *none = Some(share),
        }
        self.bytes.reserve_exact_for(target);
        self.granted_bytes = target;
        Ok(())
    }

    fn fill_from(&mut self, intake: &mut BytesMut) {
        let count = intake.len().min(self.granted_bytes - self.bytes.len());
        self.bytes.put_slice(&intake[..count]);
        intake.advance(count);
    }
}

trait ReserveExact {
    fn reserve_exact_for(&mut self, capacity: usize);
}

impl ReserveExact for BytesMut {
    /// `BytesMut::reserve` may double the capacity of a vector; a frame's final size is known.
    fn reserve_exact_for(&mut self, capacity: usize) {
        if self.is_empty() {
            *self = BytesMut::with_capacity(capacity);
        } else {
            self.reserve(capacity - self.len());
        }
    }
}

#[cfg(test)]
mod tests {
    //! Frames are cut right whatever the chunks, and a liar's length costs nothing.

    use super::*;

    fn limits() -> FrameLimits {
        FrameLimits {
            produce_bytes: 1 << 20,
            other_bytes: 1 << 10,
            arrival_timeout: Duration::from_secs(30),
            slowest_bytes_per_s: 1 << 16,
        }
    }

    fn framed(key: i16, len: usize) -> Vec<u8> {
        let mut bytes = (len as i32).to_be_bytes().to_vec();
        bytes.extend(key.to_be_bytes());
        bytes.extend((2..len).map(|position| position as u8));
        bytes
    }

    async fn read_all(bytes: &[u8]) -> Result<Vec<usize>, FrameError> {
        let mut reader = FrameReader::new(bytes, limits(), Budget::new(4 << 20));
        let mut lengths = Vec::new();
        while let Some(frame) = reader.next().await? {
            assert!(
                frame.bytes[2..]
                    .iter()
                    .enumerate()
                    .all(|(position, byte)| *byte == (position + 2) as u8)
            );
            lengths.push(frame.bytes.len());
        }
        Ok(lengths)
    }

    #[tokio::test]
    async fn frames_of_all_sizes_are_cut_in_order() {
        let sizes = [8, 9, 100, 4090, 4096, 5000, 70_000, 1 << 20, 8, 300_000, 12];
        let bytes: Vec<u8> = sizes.iter().flat_map(|len| framed(0, *len)).collect();
        assert_eq!(read_all(&bytes).await.unwrap(), sizes);
    }

    #[tokio::test]
    async fn lengths_are_checked_before_bytes_are_awaited() {
        for (len, key) in [
            (-1, 0),
            (7, 0),
            (i32::MIN, 3),
            ((1 << 20) + 1, 0),
            ((1 << 10) + 1, 3),
            (i32::MAX, 1),
        ] {
            let mut bytes = i32::to_be_bytes(len).to_vec();
            bytes.extend(i16::to_be_bytes(key));
            let refused = read_all(&bytes).await.unwrap_err();
            assert!(
                matches!(
                    refused,
                    FrameError::TooLarge { .. } | FrameError::TooSmall { .. }
                ),
                "{refused}"
            );
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_inside_a_frame_is_told_apart() {
        let whole = framed(0, 100);
        for cut in 1..whole.len() {
            assert!(matches!(
                read_all(&whole[..cut]).await,
                Err(FrameError::Truncated)
            ));
        }
    }

    #[tokio::test]
    async fn the_budget_is_taken_as_bytes_arrive_and_given_back() {
        let budget = Budget::new(4 << 20);
        let whole = framed(0, 1 << 20);
        let mut reader = FrameReader::new(&whole[..], limits(), budget.clone());
        let frame = reader.next().await.unwrap().unwrap();
        assert_eq!(budget.available_bytes(), 3 << 20);
        drop(frame);
        assert_eq!(budget.available_bytes(), 4 << 20);
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let mut reader = FrameReader::new(near, limits(), budget.clone());
        tokio::io::AsyncWriteExt::write_all(&mut far, &whole[..10])
            .await
            .unwrap();
        {
            let next = std::pin::pin!(reader.next());
            assert!(next.now_or_never().is_none());
        }
        assert_eq!(
            budget.available_bytes(),
            (4 << 20) - FIRST_GROWTH_BYTES as u64
        );
        assert!(reader.deadline().is_some());
    }
}
