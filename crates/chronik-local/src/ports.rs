//! Free ports outside of the range that the kernel gives to outgoing connections.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::LocalError;

/// Linux hands out 32768.. to clients by default, so a port below it stays free while its node is down.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;
const RANGE_LEN: u32 = (LAST - FIRST) as u32 + 1;

static ISSUED: AtomicU32 = AtomicU32::new(0);

/// A loopback port that nobody listens on now and that this process has not handed out before.
pub fn free_port() -> Result<u16, LocalError> {
    // Processes that run side by side start at different places of the range.
    let start = process::id().wrapping_mul(61);
    for _ in 0..RANGE_LEN {
        let step = ISSUED.fetch_add(1, Ordering::Relaxed);
        let offset = start.wrapping_add(step) % RANGE_LEN;
        let port = FIRST + u16::try_from(offset).expect("the range fits a port number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(LocalError::NoFreePort {
        first: FIRST,
        last: LAST,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_can_be_bound() {
        let one = free_port().unwrap();
        let two = free_port().unwrap();
        assert_ne!(one, two);
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
    }

    #[test]
    fn a_taken_port_is_never_handed_out() {
        let taken: Vec<TcpListener> = (0..20)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).unwrap())
            .collect();
        let next = free_port().unwrap();
        let is_taken = |port| {
            taken
                .iter()
                .any(|listener| listener.local_addr().unwrap().port() == port)
        };
        assert!(!is_taken(next));
    }
}
