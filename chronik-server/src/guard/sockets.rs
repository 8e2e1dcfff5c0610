//! The clients' sockets of another process, found where the kernel lists them.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fd::RawFd;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::Ward;

/// What the kernel calls the states of connections.
const ESTABLISHED: u8 = 0x01;
const LISTENING: u8 = 0x0A;

/// The door of a node that does not open it itself.
pub(super) struct Door {
    process: OwnedFd,
    sockets: Vec<Socket>,
}

/// A socket of the door, and its number in the other process.
struct Socket {
    number: RawFd,
    listens: bool,
}

/// A row of the kernel's table of TCP sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) port: u16,
    pub(super) state: u8,
    pub(super) inode: u64,
}

impl Door {
    /// Looks for the sockets of a process whose own port is that of the door.
    pub(super) fn of(ward: Ward) -> io::Result<Door> {
        let pid = Pid::from_raw(ward.process).ok_or(io::ErrorKind::InvalidInput)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let rows: Vec<Row> = ["tcp", "tcp6"]
            .iter()
            .filter_map(|table| fs::read_to_string(format!("/proc/self/net/{table}")).ok())
            .flat_map(|text| text.lines().filter_map(row).collect::<Vec<_>>())
            .filter(|row| row.port == ward.port)
            .collect();
        let mut sockets = Vec::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", ward.process))? {
            let entry = entry?;
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            // It may be closed by now.
            let target = fs::read_link(entry.path()).ok();
            let inode = target.as_ref().and_then(|target| inode(target.to_str()?));
            let row = inode.and_then(|inode| rows.iter().find(|row| row.inode == inode));
            if let (Some(number), Some(row)) = (number, row) {
                let listens = match row.state {
                    LISTENING => true,
                    ESTABLISHED => false,
                    _ => continue,
                };
                sockets.push(Socket { number, listens });
            }
        }
        Ok(Door { process, sockets })
    }

    /// Hangs up on everybody who is in, and on everybody who waits to be let in.
    pub(super) fn shut(&self) -> io::Result<()> {
        for socket in &self.sockets {
            let number = socket.number;
            let held = match pidfd_getfd(&self.process, number, PidfdGetfdFlags::empty()) {
                Ok(held) => held,
                // The process runs again, or ended.
                Err(Errno::BADF | Errno::SRCH) => continue,
                Err(error) => return Err(error.into()),
            };
            match socket.listens {
                true => turn_away(TcpListener::from(held)),
                // Who hung up first has nothing left to be told.
                false => _ = shutdown(held.as_fd(), Shutdown::Both),
            }
        }
        Ok(())
    }
}

/// The listener does not block: it is the node's own.
fn turn_away(door: TcpListener) {
    while let Ok((client, _)) = door.accept() {
        drop(client);
    }
}

/// A line of the table: number, own address and port in hexadecimal, the other's, state, and the inode as the tenth.
pub(super) fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace();
    let (_, port) = words.nth(1)?.rsplit_once(':')?;
    let state = words.nth(1)?;
    Some(Row {
        port: u16::from_str_radix(port, 16).ok()?,
        state: u8::from_str_radix(state, 16).ok()?,
        inode: words.nth(5)?.parse().ok()?,
    })
}

fn inode(target: &str) -> Option<u64> {
    let number = target.strip_prefix("socket:[")?;
    number.strip_suffix(']')?.parse().ok()
}
