//! A load whose arguments have been checked once: nothing below has to ask again.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::cli::{LoadArguments, Mode, Verify};
use crate::client::ClientSettings;
use crate::clock::wall_now;
use crate::error::BenchError;
use crate::pacer::{Arrival, Pacing, Profile};
use crate::workload::{KeySpec, SizeSpec};

const PRODUCERS_MAX: u32 = 256;
/// More cores than this leave one to spin on.
const SPIN_CORES_MIN: usize = 5;
const POOL_BYTES: usize = 64 << 20;
const WARMUP: Duration = Duration::from_secs(5);
/// What a killed tool may cost in the result; the rows of its seconds are never lost.
pub(crate) const CHECKPOINT: Duration = Duration::from_secs(60);

/// Everything a load needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) bootstrap: String,
    pub(crate) topics: Vec<String>,
    pub(crate) partitions: u32,
    pub(crate) replication_factor: Option<u32>,
    pub(crate) creates_topics: bool,
    pub(crate) mode: Mode,
    pub(crate) drive: Drive,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    pub(crate) groups: u32,
    pub(crate) consume_rate: Option<f64>,
    pub(crate) backlog_bytes: u64,
    pub(crate) size: SizeSpec,
    pub(crate) entropy: f64,
    pub(crate) pool_bytes: usize,
    pub(crate) key: KeySpec,
    pub(crate) client: ClientSettings,
    pub(crate) idempotent: bool,
    pub(crate) transaction_messages: Option<u64>,
    pub(crate) warmup: Warmup,
    pub(crate) duration: Duration,
    pub(crate) messages: Option<u64>,
    /// The window ends once the mean rate is known well enough.
    pub(crate) until_steady: bool,
    pub(crate) drain: Duration,
    pub(crate) verify: Verify,
    pub(crate) metrics_urls: Vec<String>,
    pub(crate) host_sample: Vec<String>,
    pub(crate) pacing: Pacing,
    pub(crate) seed: u64,
    /// Marks the records of this load among all others.
    pub(crate) run: u64,
    /// Tells the tool's runs apart when a load is continued.
    pub(crate) incarnation: u32,
    /// How often the result so far is written down.
    pub(crate) checkpoint: Duration,
}

/// What decides when the next message leaves.
#[derive(Clone, Debug)]
pub(crate) enum Drive {
    Closed {
        concurrency: u32,
    },
    Open {
        profile: Profile,
        arrival: Arrival,
        max_outstanding: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warmup {
    Fixed(Duration),
    /// Until the rate is steady.
    Auto,
}

impl Plan {
    pub(crate) fn of(arguments: &LoadArguments) -> Result<Self, BenchError> {
        if arguments.bootstrap_servers.is_empty() {
            return Err(usage(
                "--bootstrap-servers is missing: where are the brokers?",
            ));
        }
        let size = arguments.message_size.clone();
        let drive = drive(arguments, size.mean_bytes())?;
        let producers = producer_count(&arguments.producers, &drive)?;
        let properties = properties(arguments)?;
        let transaction_messages = arguments.transactional;
        if transaction_messages == Some(0) {
            return Err(usage("--transactional needs at least one message"));
        }
        let idempotent = arguments.idempotent || transaction_messages.is_some();
        if idempotent && !["all", "-1"].contains(&arguments.acks.as_str()) {
            return Err(usage("--idempotent needs --acks all"));
        }
        if arguments.verify == Verify::Full && size.min_bytes() < chronik_check::header::HEADER_LEN
        {
            return Err(usage("--verify full needs messages of at least 48 bytes"));
        }
        let groups = match (arguments.groups, arguments.mode) {
            (Some(groups), Mode::Fanout | Mode::Connect) => groups,
            (Some(_), _) => return Err(usage("--groups is for --mode fanout and connect")),
            (None, Mode::Fanout) => 3,
            (None, _) => 1,
        };
        if groups == 0
            || arguments.consumers == 0
            || arguments.topics == 0
            || arguments.partitions == 0
        {
            return Err(usage(
                "--groups, --consumers, --topics and --partitions start at 1",
            ));
        }
        if !(0.0..=1.0).contains(&arguments.entropy) {
            return Err(usage("--entropy lies between 0 and 1"));
        }
        let client = ClientSettings::new(arguments, &drive, producers, idempotent, properties);
        Ok(Self {
            bootstrap: arguments.bootstrap_servers.clone(),
            topics: topic_names(&arguments.topic, arguments.topics),
            partitions: arguments.partitions,
            replication_factor: arguments.replication_factor,
            creates_topics: !arguments.no_create,
            mode: arguments.mode,
            drive,
            producers,
            consumers: arguments.consumers,
            groups,
            consume_rate: arguments
                .consume_rate
                .map(|rate| rate.messages_per_second(size.mean_bytes())),
            backlog_bytes: arguments.backlog,
            size,
            entropy: arguments.entropy,
            pool_bytes: POOL_BYTES / producers as usize,
            key: arguments.key,
            client,
            idempotent,
            transaction_messages,
            warmup: warmup(arguments)?,
            duration: arguments.duration,
            messages: arguments.messages,
            until_steady: arguments.until_steady,
            drain: arguments.drain,
            verify: arguments.verify,
            metrics_urls: arguments.brokers_metrics.clone(),
            host_sample: arguments.host_sample.clone(),
            pacing: pacing(arguments.no_spin),
            seed: arguments.seed,
            run: run_id(),
            incarnation: 0,
            checkpoint: CHECKPOINT,
        })
    }

    pub(crate) fn has_producers(&self) -> bool {
        matches!(
            self.mode,
            Mode::Produce | Mode::E2e | Mode::Mixed | Mode::Fanout
        )
    }

    pub(crate) fn has_consumers(&self) -> bool {
        matches!(
            self.mode,
            Mode::Consume | Mode::E2e | Mode::Mixed | Mode::Fanout
        )
    }

    pub(crate) fn is_open_loop(&self) -> bool {
        matches!(self.drive, Drive::Open { .. })
    }
}

impl Drive {
    /// How many messages one of several senders may have outstanding.
    pub(crate) fn limit_of(&self, index: u32, senders: u32) -> u64 {
        let total = match self {
            Self::Closed { concurrency } => u64::from(*concurrency),
            Self::Open {
                max_outstanding, ..
            } => *max_outstanding,
        };
        let (index, senders) = (u64::from(index), u64::from(senders));
        total / senders + u64::from(index < total % senders)
    }
}

fn drive(arguments: &LoadArguments, mean_bytes: f64) -> Result<Drive, BenchError> {
    let profile = match (arguments.rate, &arguments.rate_profile) {
        (Some(rate), _) => Some(Profile::constant(rate.messages_per_second(mean_bytes))),
        (None, Some(text)) => Some(text.profile(mean_bytes)),
        (None, None) => None,
    };
    let Some(profile) = profile else {
        let concurrency = arguments.concurrency;
        return match concurrency {
            0 => Err(usage("--concurrency starts at 1")),
            _ => Ok(Drive::Closed { concurrency }),
        };
    };
    Ok(Drive::Open {
        profile,
        arrival: arguments.arrival,
        max_outstanding: arguments.max_outstanding.max(1),
    })
}

fn producer_count(text: &str, drive: &Drive) -> Result<u32, BenchError> {
    let producers = match text {
        "auto" => {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            u32::try_from(cores / 2).unwrap_or(4).clamp(1, 4)
        }
        text => text
            .parse()
            .ok()
            .filter(|count| (1..=PRODUCERS_MAX).contains(count))
            .ok_or_else(|| usage("--producers is auto or 1 to 256"))?,
    };
    match drive {
        Drive::Closed { concurrency } => Ok(producers.min(*concurrency)),
        Drive::Open { .. } => Ok(producers),
    }
}

fn properties(arguments: &LoadArguments) -> Result<Vec<(String, String)>, BenchError> {
    let mut properties = Vec::new();
    let mut add = |line: &str| match line.split_once('=') {
        Some((key, value)) => {
            properties.push((key.trim().to_owned(), value.trim().to_owned()));
            Ok(())
        }
        None => Err(usage(&format!("{line:?} is not KEY=VALUE"))),
    };
    if let Some(path) = &arguments.client_config {
        let text = fs::read_to_string(path).map_err(BenchError::file("read", path))?;
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            add(line)?;
        }
    }
    for line in &arguments.properties {
        add(line)?;
    }
    Ok(properties)
}

fn topic_names(topic: &str, count: u32) -> Vec<String> {
    match count {
        1 => vec![topic.to_owned()],
        count => (0..count)
            .map(|number| format!("{topic}-{number}"))
            .collect(),
    }
}

fn warmup(arguments: &LoadArguments) -> Result<Warmup, BenchError> {
    match (arguments.warmup.as_deref(), arguments.mode) {
        (Some("auto"), _) => Ok(Warmup::Auto),
        (Some(text), _) => Ok(Warmup::Fixed(crate::units::duration(text)?)),
        // A topic is read once: what a warm-up consumes is gone.
        (None, Mode::Consume) => Ok(Warmup::Fixed(Duration::ZERO)),
        (None, _) => Ok(Warmup::Fixed(WARMUP)),
    }
}

fn pacing(no_spin: bool) -> Pacing {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    match no_spin || cores < SPIN_CORES_MIN {
        true => Pacing::Sleep,
        false => Pacing::Spin,
    }
}

/// Unlikely to repeat, also between hosts that start at the same time.
fn run_id() -> u64 {
    let nanoseconds = wall_now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    nanoseconds ^ fastrand::u64(..) << 48
}

fn usage(text: &str) -> BenchError {
    BenchError::Usage(text.to_owned())
}
