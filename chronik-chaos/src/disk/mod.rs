//! A disk for each node: two ext4 file systems, one inside of the other, so that a power cut can be real.
//!
//! The node writes to the inner one. Its device is a file on the outer one, whose page cache plays the cache of a
//! drive: what the node's kernel has written but not flushed is there, and gone when the outer one is shut down.

mod layers;

pub(crate) use layers::Layers;
