//! What brokers and the generator cost while the load runs: `/proc` of local processes, metrics pages of others.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use chronik_local::{Sample, probe};
use serde::{Deserialize, Serialize};

use crate::load::Shared;
use crate::topic::BrokerAddress;

/// What this process is called.
pub(crate) const GENERATOR: &str = "generator";
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Names of a metrics page that are kept; a page may have thousands.
const KEPT_PREFIXES: [&str; 4] = [
    "process_",
    "chronik_io_",
    "chronik_wal_",
    "chronik_raft_shard",
];
const KEPT_MAX: usize = 200;
/// State of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// One look at one process, as a line of `hosts.ndjson`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct HostRow {
    /// Seconds since the start of the load.
    pub(crate) at_s: f64,
    /// `generator`, `broker N`, `pid:N` or the address of a metrics page.
    pub(crate) subject: String,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) disk_written_bytes: Option<f64>,
    pub(crate) open_files: Option<f64>,
    pub(crate) threads: Option<f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// Whom to look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subjects {
    /// Processes of this machine by their names in reports.
    brokers: BTreeMap<u32, String>,
    urls: Vec<String>,
}

impl Subjects {
    /// `auto` finds the local processes that listen where clients are told to connect.
    pub(crate) fn new(host_sample: &[String], urls: &[String], brokers: &[BrokerAddress]) -> Self {
        let mut found = BTreeMap::new();
        for text in host_sample {
            match text.strip_prefix("pid:").unwrap_or(text) {
                "auto" => found.extend(listeners(brokers)),
                number => found.extend(number.parse().ok().map(|pid| (pid, format!("pid:{pid}")))),
            }
        }
        Self {
            brokers: found,
            urls: urls.to_vec(),
        }
    }

    /// Whether a broker runs on this machine, and so shares it with the generator.
    pub(crate) fn are_local(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// Looks once a second until the load is finished.
    pub(crate) fn watch(&self, shared: &Shared, rows: &SyncSender<HostRow>) {
        let clock = shared.clock();
        let mut next = Instant::now();
        loop {
            let at_s = clock.now_ns() as f64 / 1e9;
            for row in self.look(at_s) {
                // Looking is a courtesy: a full channel costs a row, never the load.
                let _ = rows.try_send(row);
            }
            next += SAMPLE_EVERY;
            while Instant::now() < next {
                if shared.is_finished() {
                    return;
                }
                thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn look(&self, at_s: f64) -> Vec<HostRow> {
        let own = std::iter::once((std::process::id(), GENERATOR));
        let brokers = self.brokers.iter().map(|(pid, name)| (*pid, name.as_str()));
        let mut rows: Vec<HostRow> = own
            .chain(brokers)
            .filter_map(|(pid, name)| {
                let sample = Sample::of(pid).ok()?;
                Some(HostRow::of_sample(at_s, name.to_owned(), &sample))
            })
            .collect();
        rows.extend(
            self.urls
                .iter()
                .filter_map(|url| HostRow::of_page(at_s, url)),
        );
        rows
    }
}

impl HostRow {
    fn of_sample(at_s: f64, subject: String, sample: &Sample) -> Self {
        Self {
            at_s,
            subject,
            cpu_seconds: Some(sample.cpu_seconds),
            resident_bytes: Some(sample.resident_bytes as f64),
            disk_written_bytes: Some(sample.disk_written_bytes as f64),
            open_files: Some(sample.open_files as f64),
            threads: Some(sample.threads as f64),
            metrics: BTreeMap::new(),
        }
    }

    fn of_page(at_s: f64, url: &str) -> Option<Self> {
        let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
        let address: SocketAddr = host.to_socket_addrs().ok()?.next()?;
        let page = probe::http_ok(address, &format!("/{path}"))?;
        let metrics = parse_metrics(&page);
        let value = |name: &str| metrics.get(name).copied();
        Some(Self {
            at_s,
            subject: url.to_owned(),
            cpu_seconds: value("process_cpu_seconds_total"),
            resident_bytes: value("process_resident_memory_bytes"),
            disk_written_bytes: None,
            open_files: value("process_open_fds"),
            threads: value("process_threads"),
            metrics,
        })
    }
}

/// Samples of the text format: `name{labels} value`.
fn parse_metrics(page: &str) -> BTreeMap<String, f64> {
    page.lines()
        .filter(|line| KEPT_PREFIXES.iter().any(|prefix| line.starts_with(prefix)))
        .filter(|line| !line.contains("_bucket"))
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .take(KEPT_MAX)
        .collect()
}

/// Processes of this machine that listen where brokers do, if the addresses are its own.
fn listeners(brokers: &[BrokerAddress]) -> BTreeMap<u32, String> {
    let ports: BTreeMap<u16, i32> = brokers
        .iter()
        .filter(|broker| is_local(&broker.host, broker.port))
        .map(|broker| (broker.port, broker.id))
        .collect();
    if ports.is_empty() {
        return BTreeMap::new();
    }
    let sockets: BTreeMap<String, i32> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening_inodes(&table))
        .filter_map(|(port, inode)| Some((format!("socket:[{inode}]"), *ports.get(&port)?)))
        .collect();
    let processes = fs::read_dir("/proc").into_iter().flatten();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| Some((pid, format!("broker {}", broker_of(pid, &sockets)?))))
        .collect()
}

fn is_local(host: &str, port: u16) -> bool {
    let Ok(addresses) = (host, port).to_socket_addrs() else {
        return false;
    };
    // Only an address of this machine can be bound.
    addresses
        .into_iter()
        .any(|address| std::net::TcpListener::bind((address.ip(), 0)).is_ok())
}

/// Ports that somebody listens on, each with the inode of its socket.
fn listening_inodes(table: &str) -> Vec<(u16, String)> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            let (_, port) = local.rsplit_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            (*state == LISTENING).then(|| (port, (*inode).to_owned()))
        })
        .collect()
}

/// The broker whose listening socket this process holds.
fn broker_of(pid: u32, sockets: &BTreeMap<String, i32>) -> Option<i32> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .find_map(|target| sockets.get(target.to_str()?).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_by_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:2385 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        assert_eq!(listening_inodes(table), [(0x2384, "4711".to_owned())]);
        assert!(listening_inodes("garbage\nmore garbage").is_empty());
    }

    #[test]
    fn a_page_keeps_what_is_about_the_process() {
        let page = "# HELP process_cpu_seconds_total x\nprocess_cpu_seconds_total 12.5\nother 3\n\
                    chronik_io_timeouts_total{operation=\"disk\"} 0\nchronik_io_duration_seconds_bucket{le=\"1\"} 4\n";
        let metrics = parse_metrics(page);
        assert_eq!(metrics["process_cpu_seconds_total"], 12.5);
        assert_eq!(metrics.len(), 2);
    }

    #[test]
    fn the_own_process_can_be_sampled() {
        let rows = Subjects::default().look(0.0);
        assert_eq!(rows[0].subject, GENERATOR);
        assert!(rows[0].resident_bytes.unwrap() > 0.0);
    }
}
