//! Asks every node again and again who leads, and writes down each change of its view: two leaders of one epoch are
//! a broken promise, and the time to the next leader is a clock of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chronik_check::history::{Action, LeaderView, RaftStatus};

use super::router::ask_over;
use super::{Clients, rest};
use crate::wire::Connection;

const EVERY: Duration = Duration::from_millis(50);

/// The watch over one node.
#[derive(Debug)]
pub(super) struct Watcher {
    clients: Clients,
    proc: u32,
    node: u32,
    address: SocketAddr,
}

impl Watcher {
    pub(super) fn new(clients: Clients, node: u32, address: SocketAddr) -> Watcher {
        Watcher {
            proc: clients.journal.next_proc(),
            clients,
            node,
            address,
        }
    }

    pub(super) fn run(self) {
        let mut connection: Option<Connection> = None;
        let mut known: BTreeMap<i32, (i32, i32)> = BTreeMap::new();
        while !self.clients.progress.readers_stop() {
            rest(EVERY);
            let Some(view) = ask_over(&mut connection, self.address) else {
                continue;
            };
            let mut changed = Vec::new();
            for partition in view.partitions {
                let now = (partition.leader, partition.leader_epoch);
                if known.insert(partition.index, now) == Some(now) {
                    continue;
                }
                if let (Ok(leader), Ok(term)) = (u32::try_from(now.0), u64::try_from(now.1)) {
                    let view = LeaderView { term, leader };
                    changed.push((self.clients.name_of(partition.index), view));
                }
            }
            if !changed.is_empty() {
                let status = RaftStatus {
                    node: self.node,
                    groups: changed,
                };
                self.clients
                    .journal
                    .record(self.proc, Action::RaftStatus(status));
            }
        }
    }
}
