//! What the generator can do on this machine, as `calibrate` measured it; kept beside the results.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint;
use crate::model::Fingerprint;
use crate::store;
use crate::workload::SizeSpec;

const FILE: &str = "calibration.json";
/// Messages of a size further off than this are another ceiling.
const SIZE_FACTOR_MAX: f64 = 2.0;

/// The numbers of a machine; bounds from below, because the mock cluster shares the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Calibration {
    pub(crate) measured_utc: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) message_bytes: f64,
    /// Of one producer instance.
    pub(crate) ceiling_msgs_per_second: f64,
    /// Per core that generator and mock brokers kept busy.
    pub(crate) ceiling_msgs_per_second_per_core: f64,
    pub(crate) ceiling_cores_used: f64,
    pub(crate) cpu_s_per_million_msgs: f64,
    /// From the intended send at a low rate.
    pub(crate) floor_p50_us: f64,
    pub(crate) floor_p99_us: f64,
    pub(crate) lateness_p99_us: f64,
}

impl Calibration {
    /// The one that applies here: of this machine, and of messages about as large.
    pub(crate) fn find(out: &Path, size: &SizeSpec) -> Option<Self> {
        let found: Self = store::read_json(&path(out)).ok()?;
        let is_of_here = found.fingerprint.class == fingerprint::of_this_machine(false).class;
        let factor = found.message_bytes / size.mean_bytes();
        let is_of_size = factor < SIZE_FACTOR_MAX && factor > 1.0 / SIZE_FACTOR_MAX;
        (is_of_here && is_of_size).then_some(found)
    }
}

/// Where the calibration of a folder of results is.
pub(crate) fn path(out: &Path) -> PathBuf {
    out.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_machine_and_the_own_size_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut calibration = Calibration {
            measured_utc: "now".to_owned(),
            fingerprint: fingerprint::of_this_machine(true),
            message_bytes: 1_024.0,
            ceiling_msgs_per_second: 300e3,
            ceiling_msgs_per_second_per_core: 200e3,
            ceiling_cores_used: 1.5,
            cpu_s_per_million_msgs: 5.0,
            floor_p50_us: 200.0,
            floor_p99_us: 900.0,
            lateness_p99_us: 80.0,
        };
        let find = |size: usize| Calibration::find(dir.path(), &SizeSpec::Fixed(size));
        assert_eq!(find(1_024), None);
        store::write_json(&path(dir.path()), &calibration).unwrap();
        assert_eq!(find(1_000), Some(calibration.clone()));
        assert_eq!(find(100), None);
        calibration.fingerprint.class = "another".to_owned();
        store::write_json(&path(dir.path()), &calibration).unwrap();
        assert_eq!(find(1_024), None);
    }
}
