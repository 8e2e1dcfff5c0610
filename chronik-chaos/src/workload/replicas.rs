//! Reads every replica of every partition once more, from the node that holds it: all must hold the same bytes.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chronik_check::history::{Action, FinalRead, LogDigest};

use super::auditor::{FETCH_BOUND, FETCH_BYTES, FETCH_WAIT};
use super::{Clients, TOPIC, rest, spawn};
use crate::net::Network;
use crate::wire::{Connection, error_code, fetch, metadata};

/// A digest is told whenever so many offsets are passed.
const EVERY: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(200);

/// Writes down the digests of all replicas; returns those that did not have everything in time.
pub(crate) fn read_replicas(
    clients: &Clients,
    network: Option<&Network>,
    reads: &[FinalRead],
    bound: Duration,
) -> io::Result<Vec<String>> {
    let deadline = Instant::now() + bound;
    let mut readers = Vec::new();
    for (node, address) in (1..).zip(clients.bootstrap.iter().copied()) {
        let (clients, reads) = (clients.clone(), reads.to_vec());
        let read = move || read_node(&clients, node, address, &reads, deadline);
        readers.push(spawn("replica", network, read)?);
    }
    let mut behind = Vec::new();
    for reader in readers {
        let found = reader.join();
        behind.extend(found.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
    Ok(behind)
}

/// One node's replicas, one after another.
fn read_node(
    clients: &Clients,
    node: u32,
    address: SocketAddr,
    reads: &[FinalRead],
    deadline: Instant,
) -> Vec<String> {
    let mut behind = Vec::new();
    for (partition, read) in (0..).zip(reads) {
        let mut trail = Trail::new(read.start);
        while trail.next < read.end {
            let went_on = Connection::open(address, FETCH_BOUND)
                .ok()
                .and_then(|connection| trail.follow(connection, (node, partition), read));
            match went_on {
                Some(Held::Elsewhere) => break,
                _ if trail.next >= read.end => {}
                _ if Instant::now() >= deadline => {
                    let (name, next, end) = (&read.partition, trail.next, read.end);
                    behind.push(format!("n{node} holds {name} up to {next} of {end}"));
                    break;
                }
                _ => rest(PAUSE),
            }
        }
        if !trail.digests.is_empty() {
            let told = LogDigest {
                node,
                partition: read.partition.clone(),
                commit: read.end,
                digests: trail.digests,
            };
            clients.journal.record(0, Action::LogDigest(told));
        }
    }
    behind
}

/// Whether a node should have a replica at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Here,
    Elsewhere,
}

/// How far a replica was read, and the digest of all its batches up to there.
struct Trail {
    next: u64,
    digest: u64,
    digests: Vec<(u64, u64)>,
}

impl Trail {
    fn new(start: u64) -> Trail {
        Trail {
            next: start,
            digest: 0,
            digests: Vec::new(),
        }
    }

    /// Reads on over one connection, until the end or any trouble.
    fn follow(
        &mut self,
        mut connection: Connection,
        (node, partition): (u32, i32),
        read: &FinalRead,
    ) -> Option<Held> {
        let view = metadata(&mut connection, TOPIC, FETCH_BOUND).ok()?;
        let known = view
            .partitions
            .iter()
            .find(|known| known.index == partition)?;
        if !known.replicas.contains(&i32::try_from(node).ok()?) {
            return Some(Held::Elsewhere);
        }
        while self.next < read.end {
            let place = (TOPIC, partition);
            let fetched = fetch(
                &mut connection,
                place,
                self.next,
                FETCH_BYTES,
                FETCH_WAIT,
                FETCH_BOUND,
            );
            let fetched = fetched.ok()?;
            if fetched.error != error_code::NONE {
                return None;
            }
            let before = self.next;
            for (next_offset, bytes) in fetched.batches() {
                self.pass(next_offset, bytes, read.end);
            }
            if self.next == before {
                return None;
            }
        }
        Some(Held::Here)
    }

    fn pass(&mut self, next_offset: u64, bytes: &[u8], end: u64) {
        // A broker sends whole batches, from the one that holds the position.
        if next_offset <= self.next {
            return;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.digest);
        hasher.write(bytes);
        self.digest = hasher.finish();
        if next_offset / EVERY > self.next / EVERY || next_offset >= end {
            self.digests.push((next_offset - 1, self.digest));
        }
        self.next = next_offset;
    }
}
