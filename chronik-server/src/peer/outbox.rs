//! What waits to be sent to one peer on one lane: bounded in bytes, filled without waiting, emptied by the stream of
//! the connection that is there at the time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use super::frame::{Frame, Hello};
use super::limits::{FRAME_BYTES, FRAME_MESSAGES};
use super::message::GroupMessage;
use crate::metrics::{Metrics, PeerNode};

/// The queue of a lane. Its lock is held for a few moves of pointers, never across anything that waits.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// What the queue holds, readable without its lock.
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// Messages on their way into a queue, with their encoded size.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<(GroupMessage, usize)>,
    pub(super) bytes: usize,
}

/// The stream of one connection. It ends when the next connection takes over.
pub(super) struct Outflow {
    outbox: Arc<Outbox>,
    connection: u64,
    hello: Option<Hello>,
    peer: PeerNode,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Signs of life, requests: they go before what waits.
    urgent: VecDeque<(Frame, usize)>,
    messages: VecDeque<(GroupMessage, usize)>,
    /// Which connection may empty the queue.
    connection: u64,
    waker: Option<Waker>,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            bytes: AtomicUsize::new(0),
            bytes_max,
        })
    }

    /// Whether so many bytes more may wait. A lane with little in it takes one message of any size, else a message
    /// larger than the bound could never go.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.bytes.load(Ordering::Relaxed);
        waiting < FRAME_BYTES || waiting + bytes <= self.bytes_max
    }

    /// Takes all messages of a batch and leaves it empty.
    pub(super) fn push(&self, batch: &mut Batch) {
        let mut queue = self.lock();
        queue.messages.extend(batch.messages.drain(..));
        self.bytes.fetch_add(batch.bytes, Ordering::Relaxed);
        batch.bytes = 0;
        wake(queue);
    }

    /// A frame that goes before all messages. Its sender asks first whether there is room.
    pub(super) fn push_urgent(&self, frame: Frame) {
        let bytes = frame.encoded_len();
        let mut queue = self.lock();
        queue.urgent.push_back((frame, bytes));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        wake(queue);
    }

    /// A new connection takes over; the stream of the last one ends.
    pub(super) fn connect(
        self: &Arc<Self>,
        hello: Hello,
        peer: PeerNode,
        metrics: &Arc<Metrics>,
    ) -> Outflow {
        let mut queue = self.lock();
        queue.connection += 1;
        let connection = queue.connection;
        wake(queue);
        Outflow {
            outbox: self.clone(),
            connection,
            hello: Some(hello),
            peer,
            metrics: metrics.clone(),
        }
    }

    /// The connection is gone: its stream ends, if it still lives.
    pub(super) fn disconnect(&self) {
        let mut queue = self.lock();
        queue.connection += 1;
        wake(queue);
    }

    /// Forgets what waits, and says how many messages that were.
    pub(super) fn clear(&self) -> usize {
        let mut queue = self.lock();
        queue.urgent.clear();
        let lost = std::mem::take(&mut queue.messages);
        self.bytes.store(0, Ordering::Relaxed);
        lost.len()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    pub(super) fn push(&mut self, message: GroupMessage, len: usize) {
        self.messages.push((message, len));
        self.bytes += len;
    }
}

impl Stream for Outflow {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Frame::Hello(hello)));
        }
        let mut queue = self.outbox.lock();
        if queue.connection != self.connection {
            return Poll::Ready(None);
        }
        if let Some((frame, bytes)) = queue.urgent.pop_front() {
            self.outbox.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Poll::Ready(Some(frame));
        }
        if queue.messages.is_empty() {
            queue.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let (messages, bytes) = next_frame(&mut queue.messages);
        self.outbox.bytes.fetch_sub(bytes, Ordering::Relaxed);
        drop(queue);
        let metrics = &self.metrics.peer;
        metrics.sent.at(self.peer).add(messages.len() as u64);
        metrics.sent_bytes.at(self.peer).add(bytes as u64);
        Poll::Ready(Some(Frame::Messages(messages)))
    }
}

/// Messages for one frame, in their order, and their size.
fn next_frame(waiting: &mut VecDeque<(GroupMessage, usize)>) -> (Vec<GroupMessage>, usize) {
    let (mut count, mut bytes) = (0, 0);
    for (_, len) in waiting.iter().take(FRAME_MESSAGES) {
        if count > 0 && bytes + len > FRAME_BYTES {
            break;
        }
        count += 1;
        bytes += len;
    }
    let messages = waiting.drain(..count).map(|(message, _)| message);
    (messages.collect(), bytes)
}

/// Wakes the stream once the lock is free.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}
