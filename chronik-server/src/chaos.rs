//! A mistake that a test chose and a clock that it moves. Only a build with the feature `chaos` has any of it.

/// What a test wants broken.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// `CHRONIK_CHAOS_MUTANT`: a mistake to make, by its name.
    #[cfg(feature = "chaos")]
    pub mutant: Option<String>,
    /// `CHRONIK_CLOCK_OFFSET_FILE`: holds milliseconds by which the clock is wrong, and may change at any time.
    #[cfg(feature = "chaos")]
    pub clock_offset_file: Option<std::path::PathBuf>,
}

pub(crate) use door::clock_offset_ms;
pub use door::obey;

#[cfg(feature = "chaos")]
mod door {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use chronik_fault::{Fault, Planted, UnknownFault};
    use tracing::warn;

    use super::Orders;

    static CLOCK_OFFSET_FILE: OnceLock<PathBuf> = OnceLock::new();

    /// Says what kind of a program this is, and plants what was asked for.
    pub fn obey(orders: &Orders) -> Result<Planted, UnknownFault> {
        let fault: Option<Fault> = orders.mutant.as_deref().map(str::parse).transpose()?;
        if let Some(file) = &orders.clock_offset_file {
            CLOCK_OFFSET_FILE.get_or_init(|| file.clone());
        }
        warn!(
            planted = fault.map_or("nothing", Fault::name),
            "this build can be broken on purpose: it is not meant for clients"
        );
        Ok(fault.map_or(Planted::NOTHING, Planted::new))
    }

    /// By how much the clock is wrong now.
    pub(crate) fn clock_offset_ms() -> i64 {
        let text = CLOCK_OFFSET_FILE.get().map(std::fs::read_to_string);
        let text = text.and_then(Result::ok).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }
}

#[cfg(not(feature = "chaos"))]
mod door {
    use chronik_fault::{Planted, UnknownFault};

    use super::Orders;

    /// Nothing can be planted into this build.
    pub fn obey(_: &Orders) -> Result<Planted, UnknownFault> {
        Ok(Planted::NOTHING)
    }

    /// Nobody moves this build's clock.
    pub(crate) fn clock_offset_ms() -> i64 {
        0
    }
}
