//! The log as its owner uses it: through the public interface, on real files.

mod basics;
mod damage;
mod kill;
mod model;
mod rewrite;
mod scale;
mod support;
