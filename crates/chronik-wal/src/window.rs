//! Windows: stretches of segments in memory that is used again. Entries of several groups lie side by side and are
//! mostly read together, so what the neighbours of a piece need comes with it, from the disk in one read past the
//! page cache, and whoever reads gets a share of that memory instead of a copy.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::io::AlignedBuffer;
use crate::limits::{BLOCK_BYTES, READ_MAX_BYTES, WINDOW_BYTES};
use crate::segment::Segment;

#[cfg(test)]
mod tests;

const BLOCK: u64 = BLOCK_BYTES as u64;

const WINDOW: u64 = WINDOW_BYTES as u64;

/// A piece this long is read alone: most of what comes with it would be of its own group.
const LONG_PIECE_BYTES: u64 = WINDOW / 4;

/// A window pays if at least one in so many of its bytes was given out when it goes.
const PAYING_SHARE: usize = 4;

/// How many windows in a row must not have paid before pieces are read without, and how many that paid make up for it.
const MOST_CREDIT: u32 = 16;

/// While windows do not pay, one piece in so many tries again; a prime number does not fall into step with windows.
const PIECES_PER_PROBE: usize = 61;

/// The windows of one log. All their memory together is bounded, also what readers still hold.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    direct: bool,
    most_windows: usize,
    held: Mutex<Held>,
    pool: Arc<Pool>,
    credit: AtomicU32,
    refused: AtomicUsize,
}

/// What can be given out, and in which order it was last used.
#[derive(Debug, Default)]
struct Held {
    windows: Vec<Window>,
    clock: u64,
}

#[derive(Debug)]
struct Window {
    segment: u32,
    salt: u32,
    start: u64,
    memory: Arc<Lent>,
    given_bytes: usize,
    used_at: u64,
}

/// Memory that no window uses at present.
#[derive(Debug, Default)]
struct Pool {
    free: Mutex<Vec<AlignedBuffer>>,
    made: AtomicUsize,
}

/// Memory of a window, on its way back to the pool when the last reader lets go.
#[derive(Debug)]
struct Lent {
    buffer: Option<AlignedBuffer>,
    len: usize,
    pool: Arc<Pool>,
}

/// A reader's hold on a window.
struct Share(Arc<Lent>);

impl Windows {
    /// Windows of at most `budget_bytes` together, read past the page cache if `direct`.
    pub(crate) fn new(direct: bool, budget_bytes: usize) -> Self {
        Self {
            direct,
            most_windows: budget_bytes / WINDOW_BYTES,
            held: Mutex::default(),
            pool: Arc::default(),
            credit: AtomicU32::new(MOST_CREDIT),
            refused: AtomicUsize::new(0),
        }
    }

    /// Whether there may be more windows than there are.
    pub(crate) fn has_unmade(&self) -> bool {
        self.pool.made.load(Ordering::Relaxed) < self.most_windows
    }

    /// Makes memory for one more, so that no reader has to wait until the kernel has found and cleared it.
    pub(crate) fn make_one(&self) {
        if let Some(mut buffer) = self.pool.make(self.most_windows) {
            buffer.touch();
            lock(&self.pool.free).push(buffer);
        }
    }

    /// The bytes `start..end` of a segment, or nothing if they are better read alone.
    pub(crate) fn piece(
        &self,
        segment: &Segment,
        start: u64,
        end: u64,
    ) -> io::Result<Option<Bytes>> {
        if end > segment.written() || end - start > READ_MAX_BYTES {
            return Ok(None);
        }
        if end - start >= LONG_PIECE_BYTES {
            let (from, to) = (start - start % BLOCK, end.next_multiple_of(BLOCK));
            let memory = self.load(segment, from, to)?;
            return Ok(memory.and_then(|memory| memory.share(start - from, end - from)));
        }
        // A piece that ends in the next window is put together from both.
        let border = end - end % WINDOW;
        if start >= border {
            return self.within(segment, start, end);
        }
        let parts = (
            self.within(segment, start, border)?,
            self.within(segment, border, end)?,
        );
        Ok(match parts {
            (Some(left), Some(right)) => Some([left, right].concat().into()),
            _ => None,
        })
    }

    /// Bytes of one window, which is loaded if it is not there and worth it.
    fn within(&self, segment: &Segment, start: u64, end: u64) -> io::Result<Option<Bytes>> {
        if start == end {
            return Ok(Some(Bytes::new()));
        }
        let from = start - start % WINDOW;
        if let Some(memory) = self.find(segment, from, start, end) {
            return Ok(memory.share(start - from, end - from));
        }
        if !self.is_worth_it() {
            return Ok(None);
        }
        let to = (from + WINDOW).min(segment.written());
        let Some(memory) = self.load(segment, from, to)? else {
            return Ok(None);
        };
        self.keep(segment, from, Arc::clone(&memory), usize_of(end - start));
        Ok(memory.share(start - from, end - from))
    }

    fn find(&self, segment: &Segment, from: u64, start: u64, end: u64) -> Option<Arc<Lent>> {
        let mut held = lock(&self.held);
        held.clock += 1;
        let now = held.clock;
        let window = held
            .windows
            .iter_mut()
            .find(|window| window.is_of(segment, from))
            .filter(|window| end - from <= window.memory.len as u64)?;
        window.used_at = now;
        window.given_bytes += usize_of(end - start);
        Some(Arc::clone(&window.memory))
    }

    /// Reads blocks into memory of the pool, if there is some.
    fn load(&self, segment: &Segment, from: u64, to: u64) -> io::Result<Option<Arc<Lent>>> {
        let Some(mut lent) = self.lend() else {
            return Ok(None);
        };
        lent.fill(segment.window_file(self.direct)?, from, to)?;
        Ok(Some(Arc::new(lent)))
    }

    fn keep(&self, segment: &Segment, start: u64, memory: Arc<Lent>, given_bytes: usize) {
        let mut held = lock(&self.held);
        held.clock += 1;
        // A shorter one was loaded before the segment grew.
        held.windows.retain(|window| !window.is_of(segment, start));
        let window = Window {
            segment: segment.short_number(),
            salt: segment.salt(),
            start,
            memory,
            given_bytes,
            used_at: held.clock,
        };
        held.windows.push(window);
    }

    /// Memory for one more window: unused, new, or of the window that was left alone for longest.
    fn lend(&self) -> Option<Lent> {
        let buffer = self.pool.take(self.most_windows).or_else(|| {
            let evicted = self.evict()?;
            self.note(&evicted);
            drop(evicted);
            self.pool.take(self.most_windows)
        })?;
        Some(Lent {
            buffer: Some(buffer),
            len: 0,
            pool: Arc::clone(&self.pool),
        })
    }

    /// Windows that readers hold a share of would give no memory back.
    fn evict(&self) -> Option<Window> {
        let mut held = lock(&self.held);
        let windows = held.windows.iter().enumerate();
        let (oldest, _) = windows
            .filter(|(_, window)| Arc::strong_count(&window.memory) == 1)
            .min_by_key(|(_, window)| window.used_at)?;
        Some(held.windows.swap_remove(oldest))
    }

    fn note(&self, evicted: &Window) {
        let paid = evicted.given_bytes >= evicted.memory.len / PAYING_SHARE;
        let credit = self.credit.load(Ordering::Relaxed);
        let changed = if paid {
            (credit + 1).min(MOST_CREDIT)
        } else {
            credit.saturating_sub(1)
        };
        // Two readers at once may lose one of two notes: it is an estimate.
        self.credit.store(changed, Ordering::Relaxed);
    }

    fn is_worth_it(&self) -> bool {
        self.credit.load(Ordering::Relaxed) > 0
            || self
                .refused
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(PIECES_PER_PROBE)
    }
}

impl Window {
    fn is_of(&self, segment: &Segment, start: u64) -> bool {
        (self.segment, self.salt, self.start) == (segment.short_number(), segment.salt(), start)
    }
}

impl Pool {
    fn take(&self, most: usize) -> Option<AlignedBuffer> {
        let free = lock(&self.free).pop();
        free.or_else(|| self.make(most))
    }

    fn make(&self, most: usize) -> Option<AlignedBuffer> {
        let more = |made: usize| (made < most).then_some(made + 1);
        let made = self
            .made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        made.ok().map(|_| AlignedBuffer::new(WINDOW_BYTES))
    }
}

impl Lent {
    /// Nothing if the file ended before.
    fn share(self: Arc<Self>, from: u64, to: u64) -> Option<Bytes> {
        let (from, to) = (usize_of(from), usize_of(to));
        (to <= self.len).then(|| Bytes::from_owner(Share(self)).slice(from..to))
    }

    /// Fills the memory from the file, until `to` or the end of the file.
    fn fill(&mut self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let buffer = self.buffer.as_mut().expect("it is lent until the drop");
        let target = &mut buffer.bytes_mut()[..usize_of(to - from)];
        while self.len < target.len() {
            match file.read_at(&mut target[self.len..], from + self.len as u64) {
                Ok(0) => break,
                Ok(count) => self.len += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        let buffer = self.0.buffer.as_ref().expect("it is lent until the drop");
        &buffer.bytes()[..self.0.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.pool.free).extend(self.buffer.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("positions in memory have 64 bits")
}
