//! One file for each verb.

pub(crate) mod backlog;
pub(crate) mod baseline;
pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod find_max;
pub(crate) mod merge;
pub(crate) mod ratio;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod soak;
pub(crate) mod suite;
pub(crate) mod trend;
pub(crate) mod verify;
