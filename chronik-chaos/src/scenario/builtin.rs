//! The scenarios that come with the program.

/// A scenario file inside of the program.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! builtin {
    ($($name:literal),+ $(,)?) => {
        /// In the order in which a suite runs them.
        pub(crate) const BUILTIN: &[Builtin] = &[
            $(Builtin { name: $name, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),+
        ];
    };
}

builtin! {
    "healthy",
    "kill-random",
    "leader-chase",
    "rolling-restart",
    "isolate-leader",
    "one-way-cut",
    "majority-lost",
    "kill-all",
    "lost-answers",
    "power-loss-all",
    "pause-leader",
    "kill-coordinator",
    "reset-storm",
    "disk-full-leader",
    "lossy-network",
    "ring",
    "bridge",
    "flapping",
    "cascade",
    "slow-disk-leader",
    "dead-disk",
    "power-and-kill",
    "isolate-coordinator",
    "zombie-member",
    "left-behind",
    "lonely-follower",
    "lost-vote",
    "clock-jumps",
    "black-boxes",
    "swizzle",
    "last-replica",
    "kill-young",
    "kill-catching-up",
    "disks-full",
    "topic-churn",
    "few-files",
    "membership",
    "corrupt-at-rest",
    "power-loss-all-20",
    "power-loss-patient",
    "everything",
    "drill-disk-full",
    "drill-election-storm",
    "drill-lost-quorum",
    "drill-slow-disk",
    "drill-open-breaker",
    "drill-memory-pressure",
    "single-healthy",
    "single-kill",
    "single-stop",
    "single-pause",
    "single-power-loss",
    "single-disk-full",
    "single-storm",
    "single-clients-cut",
    "single-limits",
    "single-mutant-hunt",
}
