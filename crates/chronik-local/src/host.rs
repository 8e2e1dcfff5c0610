//! Hosts of their own for nodes: network namespaces that somebody else made.

use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::chronik::Doors;
use crate::error::LocalError;
use crate::process::Launch;

/// The doors of a node that shares its host with no other.
const KAFKA_PORT: u16 = 9092;
const PEER_PORT: u16 = 9192;
const ADMIN_PORT: u16 = 9292;

/// An address, and the namespace in which it is one's own.
#[derive(Clone, Debug)]
pub struct Host {
    pub address: Ipv4Addr,
    pub namespace: PathBuf,
}

impl Host {
    /// Moves the calling thread into this host, for good; processes that it starts begin there.
    pub fn enter(&self) -> Result<(), LocalError> {
        let namespace =
            File::open(&self.namespace).map_err(LocalError::file("open", &self.namespace))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| LocalError::file("enter", &self.namespace)(error.into()))
    }

    pub(crate) fn doors(&self) -> Doors {
        let at = |port| SocketAddr::from((self.address, port));
        Doors {
            kafka: at(KAFKA_PORT),
            peer: at(PEER_PORT),
            admin: at(ADMIN_PORT),
        }
    }

    /// The same command line on this host; `nsenter` becomes the program, so the process stays the same.
    pub(crate) fn settle(&self, launch: &mut Launch) {
        let program = std::mem::replace(&mut launch.program, "nsenter".into());
        let mut before: Vec<OsString> = vec![
            format!("--net={}", self.namespace.display()).into(),
            "--".into(),
            program.into(),
        ];
        before.append(&mut launch.args);
        launch.args = before;
    }
}
