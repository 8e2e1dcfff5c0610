//! Measurements next to a peer on the same disk.

mod cell;
mod clients;
mod cluster;
mod ctl;
mod failover;
mod loader;
mod peer;
mod rounds;
mod single;
mod soak;
mod starts;
mod store;
mod table;
mod tools;
mod topics;
mod verdict;
mod verdicts;
mod wal;

use clap::{Args, Subcommand};

use crate::Outcome;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The write-ahead log next to a plain buffered append
    Wal(wal::Options),
    /// Three nodes next to three nodes of Apache Kafka, driven by Kafka's own tools and by chronik-bench
    Cluster(cluster::Options),
    /// What the operators' tool costs: answers about many groups, its start, and its size
    Ctl(ctl::Options),
    /// What a message costs the generator, chronik-bench next to Kafka's producer-performance
    Clients(clients::Options),
    /// How long writes stop when a leader is lost, next to Apache Kafka
    Failover(failover::Options),
    /// The lanes between nodes, with requests beside bulk
    Peer(peer::Options),
    /// One node next to one node of Apache Kafka, driven by Kafka's own tools
    Single(single::Options),
    /// Half an hour of chronik-bench's soak with a kill, a resume and a planted leak
    Soak(soak::Options),
    /// Three nodes that start at once, in every order, without data and with it
    Starts(starts::Options),
    /// How long topics take to be created, and what many idle groups cost
    Topics(topics::Options),
    /// Whether chronik-bench tells identical builds from a planted slowdown
    Verdicts(verdicts::Options),
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.bench {
        Bench::Wal(options) => wal::run(options),
        Bench::Cluster(options) => cluster::run(options),
        Bench::Ctl(options) => ctl::run(options),
        Bench::Clients(options) => clients::run(options),
        Bench::Failover(options) => failover::run(options),
        Bench::Peer(options) => peer::run(options),
        Bench::Single(options) => single::run(options),
        Bench::Soak(options) => soak::run(options),
        Bench::Starts(options) => starts::run(options),
        Bench::Topics(options) => topics::run(options),
        Bench::Verdicts(options) => verdicts::run(options),
    }
}
