//! Asks one node for the ends of all partitions, whoever leads them: a leader that was away for a while and does not
//! know yet that others lead must not tell an old end.

use std::net::SocketAddr;
use std::time::Duration;

use chronik_check::history::{Action, ListOffsetsEnd};

use super::auditor::FETCH_BOUND;
use super::{Clients, TOPIC, rest};
use crate::wire::{Connection, LATEST, list_offsets};

const CONNECT_BOUND: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(10);

/// The questions to one node.
#[derive(Debug)]
pub(super) struct Asker {
    clients: Clients,
    proc: u32,
    address: SocketAddr,
}

impl Asker {
    pub(super) fn new(clients: Clients, address: SocketAddr) -> Asker {
        Asker {
            proc: clients.journal.next_proc(),
            clients,
            address,
        }
    }

    pub(super) fn run(self) {
        let mut kept: Option<Connection> = None;
        let partitions =
            i32::try_from(self.clients.partitions).expect("a topic has few partitions");
        for partition in (0..partitions).cycle() {
            if self.clients.progress.readers_stop() {
                return;
            }
            rest(EVERY);
            let connection = kept
                .take()
                .map_or_else(|| Connection::open(self.address, CONNECT_BOUND), Ok);
            kept = connection
                .ok()
                .and_then(|connection| self.ask(connection, partition));
        }
    }

    /// Gives the connection back if it can be used again.
    fn ask(&self, mut connection: Connection, partition: i32) -> Option<Connection> {
        let op = self.clients.journal.next_operation();
        let record = |action| self.clients.journal.record(self.proc, action);
        record(Action::ListOffsetsInvoke { op });
        let answer = list_offsets(&mut connection, (TOPIC, partition), LATEST, FETCH_BOUND);
        let latest = match &answer {
            Ok(Ok(end)) => vec![(self.clients.name_of(partition), *end)],
            _ => Vec::new(),
        };
        record(Action::ListOffsetsEnd(ListOffsetsEnd { op, latest }));
        answer.is_ok().then_some(connection)
    }
}
