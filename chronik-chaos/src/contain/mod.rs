//! Keeps a run inside of namespaces, and undoes what no namespace holds, however the run ends.

pub(crate) mod cgroup;
pub(crate) mod enter;
mod footprint;
pub(crate) mod undo;

pub(crate) use cgroup::{Controller, Group};
pub(crate) use footprint::Footprint;
pub(crate) use undo::{Promise, UndoLog};
