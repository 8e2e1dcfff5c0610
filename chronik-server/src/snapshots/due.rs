//! When a snapshot is due by itself.

use std::time::Duration;

use super::format::Cause;

/// How much may happen before the next snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) log_bytes: u64,
    pub(crate) log_entries: u64,
    pub(crate) interval: Duration,
}

/// What the groups that keep state wrote, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) log_bytes: u64,
    pub(crate) log_entries: u64,
    pub(crate) elapsed: Duration,
}

/// However much is written, a snapshot is not made before the last one is so old.
const PAUSE: Duration = Duration::from_secs(30);

impl Limits {
    /// Why a snapshot is due, if it is.
    pub(crate) fn reached(&self, since: Since) -> Option<Cause> {
        match since {
            Since { elapsed, .. } if elapsed >= self.interval => Some(Cause::Time),
            Since { elapsed, .. } if elapsed < PAUSE => None,
            Since { log_bytes, .. } if log_bytes >= self.log_bytes => Some(Cause::Size),
            Since { log_entries, .. } if log_entries >= self.log_entries => Some(Cause::Count),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_count_and_time_each_suffice_but_not_at_any_pace() {
        let limits = Limits {
            log_bytes: 1000,
            log_entries: 10,
            interval: Duration::from_secs(3600),
        };
        let since = |log_bytes, log_entries, seconds| {
            limits.reached(Since {
                log_bytes,
                log_entries,
                elapsed: Duration::from_secs(seconds),
            })
        };
        assert_eq!(since(999, 9, 3599), None);
        assert_eq!(since(1000, 0, 60), Some(Cause::Size));
        assert_eq!(since(0, 10, 60), Some(Cause::Count));
        assert_eq!(since(0, 0, 3600), Some(Cause::Time));
        assert_eq!(since(9999, 9999, 29), None);
    }
}
