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
    "corrupt-at-rest",
    "power-loss-all-20",
    "everything",
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
