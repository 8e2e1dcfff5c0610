//! The one integration binary: real processes, unmodified foreign clients, and the rules of this repository.

mod support;

mod clients;
mod hostile;
mod many_topics;
mod produce_fetch;
mod restart;
