//! The responses of one connection that are waiting for its socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::response::Response;

/// Chunks that one system call takes.
const SLICES_PER_WRITE: usize = 64;

/// Chunks in the order in which they leave.
#[derive(Debug)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    waiting_bytes: usize,
    progress_at: Instant,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Outbox {
            chunks: VecDeque::new(),
            waiting_bytes: 0,
            progress_at: Instant::now(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// When the peer last took something, or when there was last nothing to take.
    pub(super) fn progress_at(&self) -> Instant {
        self.progress_at
    }

    pub(super) fn push(&mut self, response: Response) {
        if self.chunks.is_empty() {
            self.progress_at = Instant::now();
        }
        self.waiting_bytes += response.len();
        self.chunks.extend(
            response
                .chunks
                .into_iter()
                .filter(|chunk| !chunk.is_empty()),
        );
    }

    /// Writes as much as the peer takes now. Nothing is lost when the future is dropped.
    pub(super) async fn write_some(
        &mut self,
        target: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
        }
        let count = self.chunks.len().min(SLICES_PER_WRITE);
        let written = target.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(written)
    }

    fn advance(&mut self, mut written: usize) {
        self.waiting_bytes -= written;
        self.progress_at = Instant::now();
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.len() > written {
                chunk.advance(written);
                return;
            }
            written -= chunk.len();
            self.chunks.pop_front();
        }
    }
}
