//! The contract of the operators' door: messages, methods, errors, and the document that describes them for HTTP.
//!
//! The messages come from `proto/`; the same types are the bodies of the HTTP mirror and the `data` of `chronikctl`.

#[cfg(feature = "client")]
pub mod client;
mod error;
mod methods;
mod openapi;
#[cfg(test)]
mod tests;

pub use error::{AdminError, Code};
pub use methods::{Form, Impact, METHODS, Method, Role, Verb};
pub use openapi::document as openapi;

/// What `proto/chronik/admin/v1/admin.proto` says, as Rust.
#[allow(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "this code is generated"
)]
pub mod v1 {
    tonic::include_proto!("chronik.admin.v1");
}

/// The contract itself, for tools that read it at run time.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));
