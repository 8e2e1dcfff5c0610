//! Many connections that come, say nothing and go with a reset.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::workload::{rest, spawn};

const CONNECTIONS: u32 = 200;
const CONNECT_BOUND: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// The threads that make a storm.
#[derive(Debug)]
pub(super) struct Storm {
    ends: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn begin(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut storm = Storm {
        ends: Arc::default(),
        made: Arc::default(),
        threads: Vec::new(),
    };
    let count = active.with.count.unwrap_or(CONNECTIONS) as usize;
    for number in &active.victims.nodes {
        let address = world.target.node(*number).kafka;
        let (ends, made) = (Arc::clone(&storm.ends), Arc::clone(&storm.made));
        let work = move || blow(address, count, &ends, &made);
        let thread = spawn("storm", world.network.as_ref(), work);
        storm
            .threads
            .push(thread.map_err(Active::node_fault("the storm", *number))?);
    }
    active.hold = Hold::Storm(storm);
    Ok(())
}

pub(super) fn end(active: Active) -> Result<Option<Proof>, NemesisFault> {
    let Hold::Storm(storm) = active.hold else {
        return Ok(None);
    };
    storm.ends.store(true, Ordering::Relaxed);
    for thread in storm.threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    let made = storm.made.load(Ordering::Relaxed);
    Ok(Some(match made {
        0 => Err("no connection was made".into()),
        made => Ok(format!("{made} connections made and reset")),
    }))
}

fn blow(address: SocketAddr, count: usize, ends: &AtomicBool, made: &AtomicU64) {
    while !ends.load(Ordering::Relaxed) {
        let mut gust = Vec::with_capacity(count);
        while gust.len() < count && !ends.load(Ordering::Relaxed) {
            let Ok(stream) = TcpStream::connect_timeout(&address, CONNECT_BOUND) else {
                break;
            };
            made.fetch_add(1, Ordering::Relaxed);
            gust.push(stream);
        }
        for stream in &gust {
            // Without lingering the kernel answers the close with a reset.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
        drop(gust);
        rest(PAUSE);
    }
}
