//! Requirements, most of them ratios to Apache Kafka in the same run, and whether they are met.

use serde::Serialize;

use super::cell::Cell;
use super::rounds::Entry;
use crate::error::XtaskError;
use crate::{Outcome, output};

/// Chronik's processor time per gigabyte over Kafka's, in every cell.
const CPU_MAX: f64 = 0.5;

/// The cell whose throughput counts.
pub(crate) const THROUGHPUT_CELL: Cell = Cell {
    record_bytes: 1024,
    partitions: 16,
};

/// One checked requirement.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) requirement: String,
    pub(crate) is_met: bool,
    pub(crate) detail: String,
}

impl Check {
    /// The value may be the bound itself.
    pub(crate) fn at_least(what: impl Into<String>, bound: f64, value: f64, unit: &str) -> Self {
        Self {
            requirement: format!("{} >= {bound}{unit}", what.into()),
            is_met: value >= bound,
            detail: format!("{value:.2}{unit}"),
        }
    }

    /// The value may be the bound itself.
    pub(crate) fn at_most(what: impl Into<String>, bound: f64, value: f64, unit: &str) -> Self {
        Self {
            requirement: format!("{} <= {bound}{unit}", what.into()),
            is_met: value <= bound,
            detail: format!("{value:.2}{unit}"),
        }
    }

    /// Says more about how the value came to be.
    pub(crate) fn with(mut self, detail: &str) -> Self {
        self.detail = format!("{} ({detail})", self.detail);
        self
    }
}

pub(crate) fn cpu(cell: Cell, direction: &str, ratio: f64) -> Check {
    let what = format!("{direction} CPU per GB at {}", cell.name());
    Check::at_most(what, CPU_MAX, ratio, " x")
}

pub(crate) fn read_back(entry: &Entry) -> Check {
    let found = &entry.found;
    Check {
        requirement: format!(
            "{} reads back everything at {}",
            entry.contender.name(),
            entry.cell.name()
        ),
        is_met: found.produced_records == found.read_back_records,
        detail: format!("{} of {}", found.read_back_records, found.produced_records),
    }
}

/// Prints every requirement, and fails when one is missed.
pub(crate) fn conclude(checks: &[Check]) -> Outcome {
    output::heading("requirements (of medians over rounds)");
    for check in checks {
        let word = if check.is_met { "met   " } else { "MISSED" };
        output::line(&format!("{word} {}: {}", check.requirement, check.detail));
    }
    let missed = checks.iter().filter(|check| !check.is_met).count();
    if missed == 0 {
        return Ok(());
    }
    Err(XtaskError::Refused(format!(
        "{missed} of {} requirements are missed",
        checks.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        assert!(Check::at_least("throughput", 1.5, 1.5, " x").is_met);
        assert!(!Check::at_least("throughput", 1.5, 1.4, " x").is_met);
        assert!(cpu(THROUGHPUT_CELL, "produce", 0.5).is_met);
        assert!(!Check::at_most("start", 300.0, 301.0, " ms").is_met);
    }

    #[test]
    fn nothing_measured_meets_nothing() {
        assert!(!Check::at_least("throughput", 1.5, f64::NAN, " x").is_met);
        assert!(!cpu(THROUGHPUT_CELL, "produce", f64::NAN).is_met);
    }
}
