//! What is sent: sizes, keys and payloads, all from a seed and without a random number in the send loop.

mod key;
mod pool;
mod size;

pub(crate) use key::{KeySpec, Keys};
pub(crate) use pool::{PayloadPool, PoolOptions};
pub(crate) use size::SizeSpec;
