//! The broker's rooms: the clients' door, the domain, the shell around Raft, the
//! door to other nodes and the operators' door.
//!
//! The program is `main.rs`; this library exists so that fuzz targets and tests enter by the same doors.

pub mod admin;
mod birth;
pub mod broker;
pub mod chaos;
mod citizen;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod guard;
pub mod kafka;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod neighbours;
pub mod peer;
mod raft;
pub mod records;
pub mod server;
pub mod snapshots;
