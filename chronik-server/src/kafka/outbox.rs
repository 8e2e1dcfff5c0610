//! The responses of one connection that are waiting for its socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::response::{Hold, Response};

/// Chunks that one system call takes.
const SLICES_PER_WRITE: usize = 64;

/// Chunks in the order in which they leave.
#[derive(Debug)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    /// What the answers keep until the chunk that ends them is written.
    holds: VecDeque<(u64, Hold)>,
    pushed_chunks: u64,
    written_chunks: u64,
    waiting_bytes: usize,
    progress_at: Instant,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Outbox {
            chunks: VecDeque::new(),
            holds: VecDeque::new(),
            pushed_chunks: 0,
            written_chunks: 0,
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
        let chunks = response.chunks.into_iter();
        for chunk in chunks.filter(|chunk| !chunk.is_empty()) {
            self.chunks.push_back(chunk);
            self.pushed_chunks += 1;
        }
        self.holds
            .extend(response.hold.map(|hold| (self.pushed_chunks, hold)));
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
                return self.let_go();
            }
            written -= chunk.len();
            self.chunks.pop_front();
            self.written_chunks += 1;
        }
        self.let_go();
    }

    fn let_go(&mut self) {
        let written_chunks = self.written_chunks;
        while self
            .holds
            .pop_front_if(|(last_chunk, _)| *last_chunk <= written_chunks)
            .is_some()
        {}
    }
}
