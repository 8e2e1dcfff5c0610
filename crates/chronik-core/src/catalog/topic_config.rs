//! The topic configs that may be set, by Kafka's names: one row per key, and the typed values that the log obeys.
//!
//! A key is either obeyed, or accepted because the log has nothing to do for it (the row says why). Everything else
//! is refused: a setting that is accepted and ignored in silence would be a lie.

use super::Topic;
use crate::compaction::Cleaning;

/// How a key's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Int,
    Long,
    Text,
    List,
    /// A fraction between 0 and 1.
    Double,
}

/// One key that a topic may carry.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub allowed: Allowed,
    /// What it does here; for accepted keys, why it needs nothing.
    pub sentence: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    Range {
        least: i64,
        most: i64,
    },
    /// Only these words.
    Words(&'static [&'static str]),
    Any,
}

/// What the log of a partition obeys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    /// Old records go; without it, `retention_ms` and `retention_bytes` do nothing.
    pub deletes: bool,
    /// The newest record of each key stays.
    pub compaction: Option<Cleaning>,
    pub retention_ms: Option<u64>,
    pub retention_bytes: Option<u64>,
    pub max_message_bytes: u32,
    pub min_insync_replicas: u32,
    pub log_append_time: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefused {
    #[error("topics have no config {0:?} here")]
    Unknown(String),
    #[error("{key}={value:?} is not {expected}")]
    Malformed {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("{key}={value} is outside {least}..={most}")]
    OutOfRange {
        key: &'static str,
        value: i64,
        least: i64,
        most: i64,
    },
    #[error("{key}={value:?} is not supported; supported: {}", words.join(", "))]
    Unsupported {
        key: &'static str,
        value: String,
        words: &'static [&'static str],
    },
}

pub const ROWS: &[Row] = &[
    Row {
        name: "cleanup.policy",
        kind: Kind::List,
        default: "delete",
        allowed: Allowed::Words(&["delete", "compact"]),
        sentence: "Old records are deleted, or the newest record of each key is kept, or both.",
    },
    Row {
        name: "compression.type",
        kind: Kind::Text,
        default: "producer",
        allowed: Allowed::Words(&["producer"]),
        sentence: "Batches are stored as the producer compressed them.",
    },
    Row {
        name: "delete.retention.ms",
        kind: Kind::Long,
        default: "86400000",
        allowed: Allowed::Range {
            least: 0,
            most: i64::MAX,
        },
        sentence: "How long a compacted topic keeps a tombstone after compaction first went over it.",
    },
    Row {
        name: "file.delete.delay.ms",
        kind: Kind::Long,
        default: "60000",
        allowed: Allowed::Range {
            least: 0,
            most: i64::MAX,
        },
        sentence: "Accepted: segments are recycled, not deleted.",
    },
    Row {
        name: "flush.messages",
        kind: Kind::Long,
        default: "1",
        allowed: Allowed::Range {
            least: 1,
            most: i64::MAX,
        },
        sentence: "Accepted: every acknowledged record is already on disk.",
    },
    Row {
        name: "flush.ms",
        kind: Kind::Long,
        default: "0",
        allowed: Allowed::Range {
            least: 0,
            most: i64::MAX,
        },
        sentence: "Accepted: every acknowledged record is already on disk.",
    },
    Row {
        name: "index.interval.bytes",
        kind: Kind::Int,
        default: "4096",
        allowed: Allowed::Range {
            least: 0,
            most: i32::MAX as i64,
        },
        sentence: "Accepted: every batch is indexed.",
    },
    Row {
        name: "max.compaction.lag.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        allowed: Allowed::Range {
            least: 1,
            most: i64::MAX,
        },
        sentence: "A compacted topic is compacted when its oldest new record is this old, however little is new. It needs a full segment: see wal.segment_size.",
    },
    Row {
        name: "max.message.bytes",
        kind: Kind::Int,
        default: "1048588",
        allowed: Allowed::Range {
            least: 0,
            most: 64 * 1024 * 1024,
        },
        sentence: "The largest record batch that is accepted, after compression.",
    },
    Row {
        name: "message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        allowed: Allowed::Words(&["9223372036854775807"]),
        sentence: "Timestamps in the future are not refused.",
    },
    Row {
        name: "message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        allowed: Allowed::Words(&["9223372036854775807"]),
        sentence: "Timestamps in the past are not refused.",
    },
    Row {
        name: "message.timestamp.type",
        kind: Kind::Text,
        default: "CreateTime",
        allowed: Allowed::Words(&["CreateTime", "LogAppendTime"]),
        sentence: "Whose time a record carries: the producer's, or the leader's when it appends.",
    },
    Row {
        name: "min.cleanable.dirty.ratio",
        kind: Kind::Double,
        default: "0.5",
        allowed: Allowed::Any,
        sentence: "A partition is compacted once this share of its bytes is new since the last time.",
    },
    Row {
        name: "min.compaction.lag.ms",
        kind: Kind::Long,
        default: "0",
        allowed: Allowed::Range {
            least: 0,
            most: i64::MAX,
        },
        sentence: "Records of a compacted topic stay at least so long.",
    },
    Row {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        allowed: Allowed::Range {
            least: 1,
            most: i32::MAX as i64,
        },
        sentence: "How many replicas must hold a record before acks=all is answered.",
    },
    Row {
        name: "preallocate",
        kind: Kind::Boolean,
        default: "true",
        allowed: Allowed::Any,
        sentence: "Accepted: segments are always written before they are used.",
    },
    Row {
        name: "retention.bytes",
        kind: Kind::Long,
        default: "-1",
        allowed: Allowed::Range {
            least: -1,
            most: i64::MAX,
        },
        sentence: "How many bytes of a partition are kept; -1 keeps all.",
    },
    Row {
        name: "retention.ms",
        kind: Kind::Long,
        default: "604800000",
        allowed: Allowed::Range {
            least: -1,
            most: i64::MAX,
        },
        sentence: "How long records are kept; -1 keeps them for ever.",
    },
    Row {
        name: "segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        allowed: Allowed::Range {
            least: 14,
            most: i32::MAX as i64,
        },
        sentence: "Accepted: all partitions of a node share its segments (wal.segment_size), and retention cuts between batches.",
    },
    Row {
        name: "segment.index.bytes",
        kind: Kind::Int,
        default: "10485760",
        allowed: Allowed::Range {
            least: 4,
            most: i32::MAX as i64,
        },
        sentence: "Accepted: index files are as large as they need to be.",
    },
    Row {
        name: "segment.jitter.ms",
        kind: Kind::Long,
        default: "0",
        allowed: Allowed::Range {
            least: 0,
            most: i64::MAX,
        },
        sentence: "Accepted: partitions do not roll segments.",
    },
    Row {
        name: "segment.ms",
        kind: Kind::Long,
        default: "604800000",
        allowed: Allowed::Range {
            least: 1,
            most: i64::MAX,
        },
        sentence: "Accepted: retention cuts between batches and needs no roll.",
    },
    Row {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: "false",
        allowed: Allowed::Words(&["false"]),
        sentence: "A leader always holds every acknowledged record.",
    },
];

/// The row of a key, or why it may not be set.
pub fn row(name: &str) -> Result<&'static Row, ConfigRefused> {
    ROWS.iter()
        .find(|row| row.name == name)
        .ok_or_else(|| ConfigRefused::Unknown(name.to_owned()))
}

/// Checks one assignment.
pub fn check(name: &str, value: &str) -> Result<(), ConfigRefused> {
    let row = row(name)?;
    check_kind(row, value)?;
    match row.allowed {
        Allowed::Any => Ok(()),
        Allowed::Words(words) => check_words(row, value, words),
        Allowed::Range { least, most } => {
            let number = value
                .trim()
                .parse()
                .map_err(|_| malformed(row, value, "a whole number"))?;
            if (least..=most).contains(&number) {
                Ok(())
            } else {
                Err(ConfigRefused::OutOfRange {
                    key: row.name,
                    value: number,
                    least,
                    most,
                })
            }
        }
    }
}

impl LogConfig {
    /// The typed values of a topic; `min_insync_replicas` is the cluster's default.
    pub fn of(topic: &Topic, min_insync_replicas: u32) -> LogConfig {
        let value = |key: &str| {
            let set = topic.configs.get(key).map(|value| value.trim());
            set.unwrap_or_else(|| row(key).expect("a key of this table").default)
        };
        const CHECKED: &str = "values are checked before they enter the catalog";
        let long = |key: &str| -> i64 { value(key).parse().expect(CHECKED) };
        let has_policy = |wanted: &str| {
            let policies = value("cleanup.policy").split(',');
            policies.map(str::trim).any(|policy| policy == wanted)
        };
        let compaction = has_policy("compact").then(|| Cleaning {
            dirty_ratio: value("min.cleanable.dirty.ratio").parse().expect(CHECKED),
            least_lag_ms: long("min.compaction.lag.ms").unsigned_abs(),
            most_lag_ms: long("max.compaction.lag.ms").unsigned_abs(),
            delete_retention_ms: long("delete.retention.ms"),
        });
        LogConfig {
            deletes: has_policy("delete"),
            compaction,
            retention_ms: u64::try_from(long("retention.ms")).ok(),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            max_message_bytes: long("max.message.bytes") as u32,
            min_insync_replicas: match topic.configs.contains_key("min.insync.replicas") {
                true => long("min.insync.replicas") as u32,
                false => min_insync_replicas,
            },
            log_append_time: topic
                .configs
                .get("message.timestamp.type")
                .is_some_and(|v| &**v == "LogAppendTime"),
        }
    }
}

fn check_kind(row: &'static Row, value: &str) -> Result<(), ConfigRefused> {
    let value = value.trim();
    let (fits, expected) = match row.kind {
        Kind::Boolean => (matches!(value, "true" | "false"), "true or false"),
        Kind::Int => (value.parse::<i32>().is_ok(), "a 32-bit number"),
        Kind::Long => (value.parse::<i64>().is_ok(), "a 64-bit number"),
        Kind::Double => (
            value.parse::<f64>().is_ok_and(|v| (0.0..=1.0).contains(&v)),
            "a number from 0 to 1",
        ),
        Kind::Text | Kind::List => (true, "text"),
    };
    if fits {
        Ok(())
    } else {
        Err(malformed(row, value, expected))
    }
}

fn check_words(
    row: &'static Row,
    value: &str,
    words: &'static [&'static str],
) -> Result<(), ConfigRefused> {
    let unsupported = || ConfigRefused::Unsupported {
        key: row.name,
        value: value.to_owned(),
        words,
    };
    let known = |word: &str| words.contains(&word.trim());
    let fits = match row.kind {
        Kind::List => !value.trim().is_empty() && value.split(',').all(known),
        _ => known(value),
    };
    if fits { Ok(()) } else { Err(unsupported()) }
}

fn malformed(row: &'static Row, value: &str, expected: &'static str) -> ConfigRefused {
    ConfigRefused::Malformed {
        key: row.name,
        value: value.to_owned(),
        expected,
    }
}
