//! Keeps a run inside of namespaces, and undoes what no namespace holds, however the run ends.

pub(crate) mod cgroup;
pub(crate) mod enter;
pub(crate) mod undo;

pub(crate) use cgroup::{Controller, Group};
pub(crate) use undo::UndoLog;
