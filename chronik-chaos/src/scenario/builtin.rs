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
    "single-healthy",
    "single-kill",
    "single-stop",
    "single-pause",
    "single-power-loss",
    "single-disk-full",
    "single-storm",
    "single-clients-cut",
    "single-limits",
}
