//! The librdkafka configuration: every default that would silently change the experiment is set here.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::cli::LoadArguments;
use crate::plan::Drive;

/// Properties read back from librdkafka for the result, set by us or not.
const SHOWN_PRODUCER: [&str; 18] = [
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.level",
    "compression.type",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "request.timeout.ms",
    "retries",
    "security.protocol",
    "socket.nagle.disable",
    "sticky.partitioning.linger.ms",
];
const SHOWN_CONSUMER: [&str; 10] = [
    "check.crcs",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "isolation.level",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "security.protocol",
];
const QUEUE_MESSAGES_MIN: u64 = 100_000;
const QUEUE_MESSAGES_MAX: u64 = 10_000_000;
const STATISTICS_INTERVAL_MS: u128 = 5_000;
/// In milliseconds; with linger L librdkafka would take 2 L by itself, but it does not say so.
const STICKY_PER_LINGER: f64 = 2.0;

/// What producers, consumers and the admin client are made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientSettings {
    common: BTreeMap<String, String>,
    producer: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
    user: Vec<(String, String)>,
}

impl ClientSettings {
    pub(crate) fn new(
        arguments: &LoadArguments,
        drive: &Drive,
        producers: u32,
        idempotent: bool,
        user: Vec<(String, String)>,
    ) -> Self {
        let default_linger = match drive {
            // A full loop waits for nobody: lingering would only add to every latency.
            Drive::Closed { .. } => 0.0,
            Drive::Open { .. } => 5.0,
        };
        let linger_ms = arguments.linger_ms.unwrap_or(default_linger);
        let sticky_ms = (linger_ms * STICKY_PER_LINGER).round();
        let queue = drive
            .limit_of(0, producers)
            .saturating_add(1)
            .clamp(QUEUE_MESSAGES_MIN, QUEUE_MESSAGES_MAX);
        let statistics_ms = STATISTICS_INTERVAL_MS
            .min(arguments.duration.as_millis() / 4)
            .max(500);
        // librdkafka refuses messages that could outlive their transaction.
        let message_timeout = match arguments.transactional {
            Some(_) => "60000",
            None => "300000",
        };
        let mut settings = Self {
            user,
            ..Self::for_tools(&arguments.bootstrap_servers)
        };
        settings
            .common
            .insert("statistics.interval.ms".into(), statistics_ms.to_string());
        let producer = [
            ("acks", arguments.acks.clone()),
            ("batch.size", arguments.batch_size.to_string()),
            ("batch.num.messages", "100000".into()),
            ("compression.type", arguments.compression.clone()),
            ("enable.idempotence", idempotent.to_string()),
            ("linger.ms", linger_ms.to_string()),
            ("message.timeout.ms", message_timeout.to_owned()),
            // As Java clients do it.
            ("partitioner", "murmur2_random".into()),
            ("queue.buffering.max.messages", queue.to_string()),
            ("queue.buffering.max.kbytes", "1048576".into()),
            ("sticky.partitioning.linger.ms", sticky_ms.to_string()),
        ];
        settings.producer = owned(producer);
        settings
    }

    /// For admin work and reading back, without a load.
    pub(crate) fn for_tools(bootstrap: &str) -> Self {
        Self {
            common: owned([
                ("bootstrap.servers", bootstrap.to_owned()),
                ("client.id", "chronik-bench".into()),
                // As Java clients do it.
                ("socket.nagle.disable", "true".into()),
            ]),
            producer: BTreeMap::new(),
            consumer: owned([
                ("auto.offset.reset", "earliest".into()),
                ("enable.auto.commit", "false".into()),
                ("enable.partition.eof", "true".into()),
                // The default of a second makes consumers breathe in and out.
                ("fetch.queue.backoff.ms", "10".into()),
            ]),
            user: Vec::new(),
        }
    }

    pub(crate) fn with_user(mut self, user: Vec<(String, String)>) -> Self {
        self.user.extend(user);
        self
    }

    pub(crate) fn producer(&self, index: u32, transactional_id: Option<String>) -> ClientConfig {
        let mut config = self.config(&self.producer, "producer");
        config.set("client.id", format!("chronik-bench-producer-{index}"));
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        config
    }

    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.config(&self.consumer, "consumer");
        config.set("group.id", group);
        config
    }

    pub(crate) fn admin(&self) -> ClientConfig {
        let mut config = self.config(&BTreeMap::new(), "admin");
        config.remove("statistics.interval.ms");
        config
    }

    /// What librdkafka says it uses, for the result.
    pub(crate) fn effective(&self) -> BTreeMap<String, String> {
        let mut shown = read_back(&self.producer(0, None), &SHOWN_PRODUCER, "producer.");
        shown.extend(read_back(
            &self.consumer("shown"),
            &SHOWN_CONSUMER,
            "consumer.",
        ));
        let user = self.user.iter();
        shown.extend(user.map(|(key, value)| (format!("user.{key}"), masked(key, value))));
        shown
    }

    fn config(&self, own: &BTreeMap<String, String>, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in self.common.iter().chain(own) {
            config.set(key, value);
        }
        for (key, value) in &self.user {
            let is_for_all = !is_of_other_role(key, role);
            if is_for_all {
                config.set(key, value);
            }
        }
        config
    }
}

/// librdkafka warns when a consumer gets a producer's property; for these prefixes we know whose they are.
fn is_of_other_role(key: &str, role: &str) -> bool {
    const PRODUCER: [&str; 10] = [
        "acks",
        "batch.",
        "compression.",
        "enable.idempotence",
        "linger.ms",
        "message.timeout.ms",
        "partitioner",
        "queue.buffering.",
        "sticky.",
        "transaction",
    ];
    const CONSUMER: [&str; 6] = [
        "auto.offset.reset",
        "check.crcs",
        "fetch.",
        "group.",
        "isolation.level",
        "queued.",
    ];
    let starts = |names: &[&str]| names.iter().any(|name| key.starts_with(name));
    (role != "producer" && starts(&PRODUCER)) || (role != "consumer" && starts(&CONSUMER))
}

fn read_back(config: &ClientConfig, names: &[&str], prefix: &str) -> BTreeMap<String, String> {
    let native = config.create_native_config();
    let value = |name: &str| match &native {
        Ok(native) => native.get(name).ok(),
        Err(_) => config.get(name).map(str::to_owned),
    };
    names
        .iter()
        .filter_map(|name| Some((format!("{prefix}{name}"), value(name)?)))
        .collect()
}

fn masked(key: &str, value: &str) -> String {
    match key.contains("password") || key.contains("secret") {
        true => "***".to_owned(),
        false => value.to_owned(),
    }
}

fn owned<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
