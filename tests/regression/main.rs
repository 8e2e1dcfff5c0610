//! The one integration binary: real processes, unmodified foreign clients, and the rules of this repository.

#![expect(
    clippy::print_stdout,
    reason = "a failing test shows what its driver printed, a passing one what it measured"
)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests outside of test functions are tests, too"
)]

mod support;
mod wire;

mod tidy;

mod bench;
mod chaos;
mod clients;
mod cluster;
mod compaction;
mod connect;
mod ctl;
mod docs_fresh;
mod followers;
mod groups;
mod hostile;
mod kills;
mod many_topics;
mod moves;
mod pipelining;
mod produce_fetch;
mod restart;
mod storage;
