//! The log as its owner uses it: through the public interface, on real files.

mod basics;
mod damage;
mod kill;
mod model;
mod scale;
mod support;
