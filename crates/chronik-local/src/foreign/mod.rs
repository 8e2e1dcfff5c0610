//! Programs of other people that tests need: found, or installed into the build directory by a pinned version.

pub mod maven;
pub mod schemathesis;
mod tool;
pub mod venv;

pub use tool::{install_once, require, run};
