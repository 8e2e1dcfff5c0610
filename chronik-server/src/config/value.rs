//! The types a key may have, and how each is read from text and written back.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

/// What the values of a key look like, for people and for the file format.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in the documentation.
    pub name: &'static str,
    /// How it is called behind a flag.
    pub placeholder: &'static str,
    /// How its values are written in a file.
    pub literal: Literal,
}

/// How a value is written in a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// As it is: numbers and truth values.
    Bare,
    /// Between quotes.
    Quoted,
    /// A list of quoted values, separated by commas elsewhere.
    List,
}

/// Why a text is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text has another form.
    #[error("expected {expected}")]
    Form {
        /// What the text should have been, with an example.
        expected: &'static str,
    },
    /// A quantity without its unit.
    #[error("a unit is missing: write {example}")]
    UnitMissing {
        /// The same number with a likely unit.
        example: String,
    },
    /// A quantity with a unit nobody knows.
    #[error("unknown unit `{unit}`: use one of {known}")]
    UnitUnknown {
        /// The text behind the number.
        unit: String,
        /// Every unit of this quantity.
        known: &'static str,
    },
    /// The value has the right form but is too small or too large.
    #[error("must lie between {low} and {high}")]
    OutOfRange {
        /// Smallest value allowed.
        low: &'static str,
        /// Largest value allowed.
        high: &'static str,
    },
}

/// A type a key may have.
pub(super) trait Value: Sized {
    const KIND: Kind;

    fn parse(text: &str) -> Result<Self, ValueError>;

    /// Order, for types that have ranges.
    fn compare(&self, _other: &Self) -> Option<Ordering> {
        None
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A host and a port: a door to open or the name of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its `node.id`.
    pub id: u32,
    /// Where other nodes reach it.
    pub endpoint: Endpoint,
}

/// How log segments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoMode {
    /// Direct if the file system can do it, else buffered.
    Auto,
    /// Past the page cache, or not at all.
    Direct,
    /// Through the page cache.
    Buffered,
}

/// How snapshots are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotCompression {
    /// Fast, and small.
    Zstd,
    /// For tools that know nothing else.
    Gzip,
    /// Not at all.
    None,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// For machines.
    Json,
}

/// What is logged: a severity, or severities by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    text: String,
}

impl Size {
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).expect("sizes in the table fit the address space of 64 bits")
    }
}

impl Endpoint {
    /// A name or an address; IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 asks the system for a free one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it stands for every address of the machine, which nobody can connect to from elsewhere.
    pub fn is_wildcard(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    }

    /// Whether only processes of the same machine can connect to it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The same port on every address of the machine.
    pub(super) fn on_every_address(&self) -> Self {
        Self {
            host: "0.0.0.0".to_owned(),
            port: self.port,
        }
    }

    /// Whether both cannot be opened at the same time.
    pub(super) fn collides_with(&self, other: &Self) -> bool {
        let same_host = self.host_address() == other.host_address();
        let port_taken = self.port != 0 && self.port == other.port;
        port_taken && (same_host || self.is_wildcard() || other.is_wildcard())
    }

    fn host_address(&self) -> &str {
        match self.host.as_str() {
            "localhost" => "127.0.0.1",
            host => host,
        }
    }
}

impl LogFilter {
    /// A filter as operators write it.
    pub fn read(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The filter in the form the log library wants.
    pub fn targets(&self) -> Targets {
        self.text
            .parse()
            .expect("the text was parsed when the value was made")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.id, self.endpoint)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = SIZE_UNITS
            .iter()
            .rev()
            .find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes))
            .unwrap_or(&SIZE_UNITS[0]);
        write!(formatter, "{}{unit}", self.0 / bytes)
    }
}

impl Value for bool {
    const KIND: Kind = Kind {
        name: "true or false",
        placeholder: "BOOL",
        literal: Literal::Bare,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        text.parse().map_err(|_| ValueError::Form {
            expected: "true or false",
        })
    }
}

macro_rules! integer_value {
    ($($integer:ty),+) => {$(
        impl Value for $integer {
            const KIND: Kind = Kind { name: "integer", placeholder: "N", literal: Literal::Bare };

            fn parse(text: &str) -> Result<Self, ValueError> {
                text.parse().map_err(|_| ValueError::Form { expected: "a whole number, not negative, like 8" })
            }

            fn compare(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    )+};
}

integer_value!(u16, u32, u64);

impl Value for Duration {
    const KIND: Kind = Kind {
        name: "duration",
        placeholder: "DURATION",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let expected = "a duration like 500ms";
        quantity(text, DURATION_UNITS, "ms", "us, ms, s, m, h, d", expected).map(Self::from_micros)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Value for Size {
    const KIND: Kind = Kind {
        name: "size",
        placeholder: "SIZE",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let expected = "a size like 64MiB";
        quantity(text, SIZE_UNITS, "MiB", "B, KiB, MiB, GiB, TiB", expected).map(Self)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Value for String {
    const KIND: Kind = Kind {
        name: "text",
        placeholder: "TEXT",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let expected = "text of at most 255 visible characters without spaces";
        let fits = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
            .ok_or(ValueError::Form { expected })
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind {
        name: "path",
        placeholder: "PATH",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let fits = !text.is_empty() && !text.contains('\0');
        fits.then(|| text.into()).ok_or(ValueError::Form {
            expected: "a path like /var/lib/chronik",
        })
    }
}

impl Value for Endpoint {
    const KIND: Kind = Kind {
        name: "host:port",
        placeholder: "HOST:PORT",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let expected =
            "HOST:PORT, like 127.0.0.1:9092 or [::1]:9092; 0.0.0.0 stands for every address";
        let refusal = ValueError::Form { expected };
        let (host, port) = text.rsplit_once(':').ok_or(refusal.clone())?;
        let port = port.parse().map_err(|_| refusal.clone())?;
        let host = match host.strip_prefix('[') {
            Some(rest) => ipv6_host(rest),
            None => plain_host(host),
        };
        host.map(|host| Self { host, port }).ok_or(refusal)
    }
}

impl Value for Peer {
    const KIND: Kind = Kind {
        name: "id@host:port",
        placeholder: "ID@HOST:PORT",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let refusal = ValueError::Form {
            expected: "ID@HOST:PEERPORT, like 1@127.0.0.1:9192",
        };
        let (id, endpoint) = text.split_once('@').ok_or(refusal.clone())?;
        let id = id.parse().map_err(|_| refusal.clone())?;
        let endpoint = Endpoint::parse(endpoint).map_err(|_| refusal)?;
        Ok(Self { id, endpoint })
    }
}

impl Value for IoMode {
    const KIND: Kind = Kind {
        name: "auto, direct or buffered",
        placeholder: "MODE",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(Self::Auto),
            "direct" => Ok(Self::Direct),
            "buffered" => Ok(Self::Buffered),
            _ => Err(ValueError::Form {
                expected: Self::KIND.name,
            }),
        }
    }
}

impl Value for SnapshotCompression {
    const KIND: Kind = Kind {
        name: "zstd, gzip or none",
        placeholder: "CODEC",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "zstd" => Ok(Self::Zstd),
            "gzip" => Ok(Self::Gzip),
            "none" => Ok(Self::None),
            _ => Err(ValueError::Form {
                expected: Self::KIND.name,
            }),
        }
    }
}

impl Value for LogFormat {
    const KIND: Kind = Kind {
        name: "auto, human or json",
        placeholder: "FORMAT",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(ValueError::Form {
                expected: Self::KIND.name,
            }),
        }
    }
}

impl Value for LogFilter {
    const KIND: Kind = Kind {
        name: "log filter",
        placeholder: "FILTER",
        literal: Literal::Quoted,
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        let expected = "a severity (error, warn, info, debug, trace, off) or directives such as info,chronik_server=debug";
        let understood = text.split(',').all(is_log_directive) && text.parse::<Targets>().is_ok();
        let text = text.to_owned();
        understood
            .then_some(Self { text })
            .ok_or(ValueError::Form { expected })
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::parse(text).map(Some)
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Some(value), Some(other)) => value.compare(other),
            _ => None,
        }
    }
}

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = Kind {
        literal: Literal::List,
        ..T::KIND
    };

    fn parse(text: &str) -> Result<Self, ValueError> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(T::parse)
            .collect()
    }
}

/// Units in microseconds, smallest first.
const DURATION_UNITS: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];

/// Units in bytes, smallest first.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A whole number and a unit, in the smallest unit. Fractions are refused: the next smaller unit says it exactly.
fn quantity(
    text: &str,
    units: &[(&str, u64)],
    likely_unit: &str,
    known: &'static str,
    expected: &'static str,
) -> Result<u64, ValueError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| ValueError::Form { expected })?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        let example = format!("{number}{likely_unit}");
        return Err(ValueError::UnitMissing { example });
    }
    if !unit.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(ValueError::Form { expected });
    }
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| ValueError::UnitUnknown {
            unit: unit.to_owned(),
            known,
        })?;
    number
        .checked_mul(*factor)
        .ok_or(ValueError::Form { expected })
}

/// The inside of `[...]`.
fn ipv6_host(rest: &str) -> Option<String> {
    let host = rest.strip_suffix(']')?;
    let address: std::net::Ipv6Addr = host.parse().ok()?;
    Some(address.to_string())
}

/// A name or an IPv4 address.
fn plain_host(host: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let fits = !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed);
    fits.then(|| host.to_owned())
}

/// A bare word must be a severity, because the log library would take a misspelt one for a module's name.
fn is_log_directive(directive: &str) -> bool {
    let severity = match directive.trim().split_once('=') {
        Some((target, severity)) if !target.is_empty() => severity,
        Some(_) => return false,
        None => directive.trim(),
    };
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    known.contains(&severity.to_ascii_lowercase().as_str())
}
