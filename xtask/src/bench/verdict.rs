//! The requirements on one node, as ratios to Apache Kafka in the same run.

use super::cell::Cell;

/// Chronik's throughput over Kafka's, at 1 KiB and 16 partitions.
const THROUGHPUT_MIN: f64 = 1.5;
/// Chronik's processor time per gigabyte over Kafka's, in every cell.
const CPU_MAX: f64 = 0.5;
/// Chronik's peak of resident memory over Kafka's.
const RESIDENT_MAX: f64 = 0.25;
/// From `exec` to the first served request.
const START_MS_MAX: f64 = 300.0;

/// The cell whose throughput counts.
pub(crate) const THROUGHPUT_CELL: Cell = Cell {
    record_bytes: 1024,
    partitions: 16,
};

/// One checked requirement.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) requirement: String,
    pub(crate) is_met: bool,
    pub(crate) detail: String,
}

pub(crate) fn throughput(ratio: f64) -> Check {
    Check {
        requirement: format!(
            "throughput at {} >= {THROUGHPUT_MIN} x",
            THROUGHPUT_CELL.name()
        ),
        is_met: ratio >= THROUGHPUT_MIN,
        detail: format!("{ratio:.2} x"),
    }
}

pub(crate) fn cpu(cell: Cell, direction: &str, ratio: f64) -> Check {
    Check {
        requirement: format!("{direction} CPU per GB at {} <= {CPU_MAX} x", cell.name()),
        is_met: ratio <= CPU_MAX,
        detail: format!("{ratio:.2} x"),
    }
}

pub(crate) fn resident(ratio: f64) -> Check {
    Check {
        requirement: format!("peak of resident memory <= {RESIDENT_MAX} x"),
        is_met: ratio <= RESIDENT_MAX,
        detail: format!("{ratio:.2} x"),
    }
}

pub(crate) fn start(start_ms: f64) -> Check {
    Check {
        requirement: format!("first served request < {START_MS_MAX} ms"),
        is_met: start_ms < START_MS_MAX,
        detail: format!("{start_ms:.0} ms"),
    }
}

pub(crate) fn read_back(cell: Cell, broker: &str, produced: u64, read_back: u64) -> Check {
    Check {
        requirement: format!("{broker} reads back everything at {}", cell.name()),
        is_met: produced == read_back,
        detail: format!("{read_back} of {produced}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_has_a_floor() {
        assert!(throughput(1.6).is_met);
        assert!(!throughput(1.4).is_met);
    }

    #[test]
    fn bounds_are_inclusive_where_they_say_at_most() {
        assert!(cpu(THROUGHPUT_CELL, "produce", 0.5).is_met);
        assert!(resident(0.25).is_met);
        assert!(!start(300.0).is_met);
    }
}
