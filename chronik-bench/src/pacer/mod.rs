//! When each message is meant to leave: an absolute schedule that no slow answer can shift.

mod profile;
mod schedule;
mod wait;

pub(crate) use profile::{Profile, ProfileText};
pub(crate) use schedule::{Arrival, Schedule};
pub(crate) use wait::Pacing;
