//! The one integration binary: real processes, unmodified foreign clients, and the rules of this repository.

mod support;
mod wire;

mod clients;
mod groups;
mod hostile;
mod many_topics;
mod pipelining;
mod produce_fetch;
mod restart;
