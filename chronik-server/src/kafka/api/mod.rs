//! One file per API: decode what the codec left open, decide, ask the broker, answer.

pub(super) mod api_versions;
pub(super) mod fetch;
pub(super) mod produce;
mod redirect;
