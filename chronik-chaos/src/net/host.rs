//! One host: a network namespace with one device to the switch, entered by threads.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::sys;

const DEVICE: &str = "chaos0";
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// The address of a host inside of a run; no packet with it leaves the namespaces.
pub(crate) fn address_of(host: u32) -> Ipv4Addr {
    let last = u8::try_from(host).expect("a run has few hosts");
    Ipv4Addr::new(10, 77, 0, if host == 0 { 200 } else { last })
}

/// A namespace of its own; it exists as long as this handle or a process in it.
#[derive(Debug)]
pub(crate) struct Host {
    namespace: File,
    pub(crate) device: File,
}

impl Host {
    pub(crate) fn build(number: u32) -> io::Result<Host> {
        // A namespace belongs to threads, so a thread of its own makes it and ends.
        let made = thread::spawn(move || -> io::Result<Host> {
            unshare_network()?;
            sys::configure_interface("lo", None)?;
            let device = sys::open_tun(DEVICE)?;
            sys::configure_interface(DEVICE, Some((address_of(number), MASK)))?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            Ok(Host { namespace, device })
        });
        made.join().expect("building a host does not panic")
    }

    /// Where other programs find the namespace, as long as this one runs.
    pub(crate) fn path(&self) -> PathBuf {
        let number = self.namespace.as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{number}", std::process::id()))
    }

    /// Runs something on a thread inside of this host; processes that it starts stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join()
                    .expect("a thread may enter a namespace that this program made");
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into this host, for good.
    pub(crate) fn join(&self) -> io::Result<()> {
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }
}

fn unshare_network() -> io::Result<()> {
    crate::sys::unshare(UnshareFlags::NEWNET)
}
