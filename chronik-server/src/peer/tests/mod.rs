//! The transport against itself: frames, the small state machines, and real connections over the loopback.

mod frames;
mod lanes;
mod states;
