//! A bounded queue from many threads to one. Whoever wakes the taker has let go of the queue before, so that the taker
//! never wakes up only to wait for the one who woke it; and the taker empties the queue in one step.
//!
//! Errors and names are those of `std::sync::mpsc`, whose bounded channel this replaces where every wake-up counts.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::Thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Makes a queue for `capacity` items that wait. What the taker has taken out at once, at most as many, is not counted.
pub fn inbox<T>(capacity: usize) -> (Sender<T>, Inbox<T>) {
    assert!(capacity > 0, "a queue without room takes nothing");
    let queue = Queue {
        waiting: VecDeque::new(),
        sleeper: None,
        senders: 1,
        is_closed: false,
    };
    let shared = Arc::new(Shared {
        queue: Mutex::new(queue),
        capacity,
        room: Condvar::new(),
    });
    let inbox = Inbox {
        shared: Arc::clone(&shared),
        taken: VecDeque::new(),
    };
    (Sender { shared }, inbox)
}

/// Puts items in; clone it freely.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Takes items out, in the order in which they were put in.
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
    taken: VecDeque<T>,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    capacity: usize,
    /// Senders that wait for room.
    room: Condvar,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    /// The taker, if it found nothing and went to sleep.
    sleeper: Option<Thread>,
    senders: usize,
    is_closed: bool,
}

impl<T> Sender<T> {
    /// Puts an item in if there is room; never waits.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let queue = self.shared.lock();
        if queue.is_closed {
            return Err(TrySendError::Disconnected(item));
        }
        if queue.waiting.len() >= self.shared.capacity {
            return Err(TrySendError::Full(item));
        }
        push(queue, item);
        Ok(())
    }

    /// Puts an item in, and waits for room if there is none.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut queue = self.shared.lock();
        while !queue.is_closed && queue.waiting.len() >= self.shared.capacity {
            queue = self.shared.room.wait(queue).expect(NOT_POISONED);
        }
        if queue.is_closed {
            return Err(SendError(item));
        }
        push(queue, item);
        Ok(())
    }
}

/// Lets go of the queue before it wakes the taker.
fn push<T>(mut queue: MutexGuard<'_, Queue<T>>, item: T) {
    queue.waiting.push_back(item);
    let sleeper = queue.sleeper.take();
    drop(queue);
    if let Some(sleeper) = sleeper {
        sleeper.unpark();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.senders -= 1;
        if queue.senders > 0 {
            return;
        }
        let sleeper = queue.sleeper.take();
        drop(queue);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }
}

impl<T> Inbox<T> {
    /// The next item, if there is one now.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if let Some(item) = self.taken.pop_front() {
            return Ok(item);
        }
        let queue = self.shared.lock();
        if queue.waiting.is_empty() {
            return Err(match queue.senders {
                0 => TryRecvError::Disconnected,
                _ => TryRecvError::Empty,
            });
        }
        take_all(&self.shared, queue, &mut self.taken);
        Ok(self.taken.pop_front().expect("something was waiting"))
    }

    /// The next item; sleeps until there is one, or until nobody is left who could send one.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            match self.look()? {
                Some(item) => return Ok(item),
                None => std::thread::park(),
            }
        }
    }

    /// The next item; sleeps no longer than `patience` for it.
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<T, RecvTimeoutError> {
        let begun = Instant::now();
        loop {
            let looked = self.look();
            if let Some(item) = looked.map_err(|RecvError| RecvTimeoutError::Disconnected)? {
                return Ok(item);
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            std::thread::park_timeout(left);
        }
    }

    /// The next item, or nothing: then this thread may sleep, and the next item wakes it.
    fn look(&mut self) -> Result<Option<T>, RecvError> {
        if let Some(item) = self.taken.pop_front() {
            return Ok(Some(item));
        }
        let mut queue = self.shared.lock();
        if !queue.waiting.is_empty() {
            take_all(&self.shared, queue, &mut self.taken);
            return Ok(self.taken.pop_front());
        }
        if queue.senders == 0 {
            return Err(RecvError);
        }
        queue.sleeper = Some(std::thread::current());
        Ok(None)
    }
}

/// Takes everything that waits; the memory of both queues is used again.
fn take_all<T>(shared: &Shared<T>, mut queue: MutexGuard<'_, Queue<T>>, taken: &mut VecDeque<T>) {
    let was_full = queue.waiting.len() >= shared.capacity;
    std::mem::swap(&mut queue.waiting, taken);
    drop(queue);
    if was_full {
        shared.room.notify_all();
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        // What nobody will take may hold senders of its own: it is dropped without the lock.
        let abandoned = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.shared.room.notify_all();
        drop(abandoned);
    }
}

const NOT_POISONED: &str = "nothing panics while it holds the lock";

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().expect(NOT_POISONED)
    }
}
