//! A network of hosts on this machine: a namespace each, and one switch between them that obeys the faults.

mod host;
mod link;
mod switch;

pub(crate) use host::{Host, address_of};
pub(crate) use link::{Counts, Link, Links};
pub(crate) use switch::Switch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// All hosts with the switch between them; dropping it ends the switch and with it every device.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) hosts: Vec<Host>,
    pub(crate) links: Arc<Links>,
    _switch: Switch,
}

impl Network {
    /// Host 0 for the clients, hosts 1 to `nodes` for the nodes.
    pub(crate) fn build(nodes: u32, seed: u64) -> io::Result<Network> {
        let hosts = (0..=nodes)
            .map(Host::build)
            .collect::<io::Result<Vec<Host>>>()?;
        let links = Arc::new(Links::new(hosts.len()));
        let switch = Switch::start(&hosts, Arc::clone(&links), seed)?;
        Ok(Network {
            hosts,
            links,
            _switch: switch,
        })
    }

    /// Whether one host reaches another now, by a connection to a port on which nobody needs to listen.
    pub(crate) fn reaches(&self, from: u32, to: u32, bound: Duration) -> bool {
        let target = (address_of(to), PROBE_PORT).into();
        self.hosts[from as usize].enter(|| {
            match std::net::TcpStream::connect_timeout(&target, bound) {
                Ok(_) => true,
                // A refusal has made the way there and back.
                Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            }
        })
    }

    /// How long one host takes to answer another.
    pub(crate) fn round_trip(&self, from: u32, to: u32, bound: Duration) -> Option<Duration> {
        let target = (address_of(to), PROBE_PORT).into();
        self.hosts[from as usize].enter(|| {
            let start = std::time::Instant::now();
            let refused = std::net::TcpStream::connect_timeout(&target, bound).err()?;
            (refused.kind() == io::ErrorKind::ConnectionRefused).then(|| start.elapsed())
        })
    }
}

/// The discard service, which no broker uses.
const PROBE_PORT: u16 = 9;
