//! The kinds of faults and what each can be told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::selector::{Cut, NodeSet, SelectorFault};
use crate::span::Span;

macro_rules! faults {
    ($($variant:ident $name:literal $says:literal),+ $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Fault {
            $($variant),+
        }

        impl Fault {
            pub(crate) const ALL: &'static [Fault] = &[$(Fault::$variant),+];

            /// The name in scenario files.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Fault::$variant => $name),+
                }
            }

            /// What it does, in half a line.
            pub(crate) fn says(self) -> &'static str {
                match self {
                    $(Fault::$variant => $says),+
                }
            }
        }
    };
}

faults! {
    Kill "kill" "SIGKILL, and a start when it heals",
    Stop "stop" "SIGTERM, and a start when it heals",
    Restart "restart" "SIGTERM and a start at once, node by node",
    Pause "pause" "SIGSTOP, SIGCONT when it heals",
    Partition "partition" "drops packets between hosts, by direction",
    Delay "delay" "delays packets, with jitter",
    Loss "loss" "loses packets by chance",
    Duplicate "duplicate" "delivers packets twice by chance",
    Reorder "reorder" "holds packets back by chance, so that later ones overtake",
    Bandwidth "bandwidth" "passes so many bytes a second",
    Storm "storm" "many connections to a node that come, say nothing and go with a reset",
    PowerLoss "power_loss" "what the drive had not confirmed is gone, then a start",
    DiskFull "disk_full" "no byte is free on the node's file system",
    SlowDisk "slow_disk" "so many writes a second",
    DeadDisk "dead_disk" "every write fails with an I/O error",
    CorruptAtRest "corrupt_at_rest" "stops, flips bits in a data file, starts",
    Cpu "cpu" "a part of one processor",
    Memory "memory" "a limit a little above what the node uses",
    Files "files" "no further file or connection can be opened",
    Drain "drain" "every replica moves away from a node, and back when it heals",
    Churn "churn" "topics come and go, many of them",
    Clock "clock" "the wall clock jumps, to and fro or once, or goes too fast",
}

/// What a fault can be told; each reads its own and has defaults for the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jitter: Option<Span>,
    /// Parts in a hundred of packets, or of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_second: Option<u64>,
    /// Writes to the disk a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operations_per_second: Option<u64>,
    /// By how much a clock is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset_ms: Option<i64>,
    /// A clock with it jumps to and fro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) period: Option<Span>,
    /// A clock with it goes too fast, by so many millionths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drift_ppm: Option<i64>,
    /// Connections of a storm, bits of a corruption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
}

impl Parameters {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Fault {
    /// Whether its target names cuts between hosts; all others name nodes.
    pub(crate) fn is_between_hosts(self) -> bool {
        use Fault::{Bandwidth, Delay, Duplicate, Loss, Partition, Reorder};
        matches!(
            self,
            Partition | Delay | Loss | Duplicate | Reorder | Bandwidth
        )
    }

    /// Whether it needs a file system of its own under each node, on two layers.
    pub(crate) fn needs_layers(self) -> bool {
        use Fault::{DeadDisk, DiskFull, PowerLoss, SlowDisk};
        matches!(self, PowerLoss | DiskFull | SlowDisk | DeadDisk)
    }

    pub(crate) fn check_target(self, target: &str) -> Result<(), SelectorFault> {
        if self.is_between_hosts() {
            target.parse::<Cut>().map(drop)
        } else {
            target.parse::<NodeSet>().map(drop)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
