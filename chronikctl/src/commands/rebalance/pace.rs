//! How fast an operation goes: rate, time that is left, and whether it stands still. Nothing here looks at a clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chronik_admin::v1::Operation;

use crate::output::{bytes, duration_ms, plural};

/// What was copied when; times are counted from anywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// Partitions that were seen on their way.
    seen: BTreeMap<String, Copied>,
    marks: VecDeque<(Duration, u64)>,
    entries: u64,
    moved_on: Option<Duration>,
    done_partitions: u64,
}

/// How much of a partition is copied. Entries are counted, bytes are estimated by their share.
#[derive(Clone, Copy, Debug)]
struct Copied {
    entries: u64,
    entries_total: u64,
    bytes: u64,
    bytes_total: u64,
}

/// The rate is that of the last while.
const WINDOW: Duration = Duration::from_secs(10);
/// Without any progress for so long, an operation stands still.
const STALLED_AFTER: Duration = Duration::from_secs(10);

impl Pace {
    /// Takes in how far the operation is.
    pub(crate) fn note(&mut self, now: Duration, operation: &Operation) {
        // What is not on its way any more has arrived.
        for (name, copied) in &mut self.seen {
            if !operation.moves.iter().any(|one| one.group == *name) {
                copied.entries = copied.entries_total;
                copied.bytes = copied.bytes_total;
            }
        }
        for one in &operation.moves {
            let copied = Copied {
                entries: one.entries_done,
                entries_total: one.entries_total,
                bytes: one.bytes_done,
                bytes_total: one.bytes_total,
            };
            self.seen.insert(one.group.clone(), copied);
        }
        let entries = self.sum(|copied| copied.entries);
        let is_further = entries > self.entries || operation.done > self.done_partitions;
        // What somebody has paused does not stand still by itself.
        if is_further || operation.paused || self.moved_on.is_none() {
            self.moved_on = Some(now);
        }
        self.entries = entries;
        self.done_partitions = operation.done;
        self.marks.push_back((now, self.sum(|copied| copied.bytes)));
        while self.marks.len() > 2
            && self
                .marks
                .front()
                .is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW)
        {
            self.marks.pop_front();
        }
    }

    /// Bytes in a second.
    pub(crate) fn rate(&self) -> u64 {
        let (Some((begin, first)), Some((end, last))) = (self.marks.front(), self.marks.back())
        else {
            return 0;
        };
        let seconds = end.saturating_sub(*begin).as_secs_f64();
        match seconds > 0.0 {
            true => (last.saturating_sub(*first) as f64 / seconds) as u64,
            false => 0,
        }
    }

    /// How long it will take at this rate.
    pub(crate) fn left(&self) -> Option<Duration> {
        let total = self.sum(|copied| copied.bytes_total);
        let missing = total.saturating_sub(self.sum(|copied| copied.bytes));
        match (self.rate(), missing) {
            (_, 0) | (0, _) => None,
            (rate, missing) => Some(Duration::from_secs(missing.div_ceil(rate))),
        }
    }

    /// For how long nothing was done, if that is too long.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        let (now, _) = self.marks.back()?;
        let silence = now.saturating_sub(self.moved_on?);
        (silence >= STALLED_AFTER).then_some(silence)
    }

    /// One line: how far, how fast, how long, and what is in the way.
    pub(crate) fn line(&self, operation: &Operation) -> String {
        let (id, done, partitions) = (operation.operation_id, operation.done, operation.partitions);
        let mut line = format!("operation {id}: {done}/{}", plural(partitions, "partition"));
        if operation.moves.is_empty() {
            return line;
        }
        let copied = bytes(self.sum(|copied| copied.bytes));
        let total = bytes(self.sum(|copied| copied.bytes_total));
        line.push_str(&format!(", {copied} of {total}"));
        if operation.paused {
            line.push_str(", paused");
            return line;
        }
        if let Some(left) = self.left() {
            let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            let rate = bytes(self.rate());
            line.push_str(&format!(", {rate}/s, {} left", duration_ms(ms)));
        }
        if let Some(silence) = self.stalled() {
            let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
            let causes = operation
                .moves
                .iter()
                .filter(|one| !one.waits_for.is_empty());
            let cause = causes
                .map(|one| format!("{}: {}", one.group, one.waits_for))
                .next();
            let cause = cause.unwrap_or_else(|| "no cause is known".to_owned());
            line.push_str(&format!(", STALLED for {}: {cause}", duration_ms(ms)));
        }
        line
    }

    fn sum(&self, figure: impl Fn(&Copied) -> u64) -> u64 {
        self.seen.values().map(figure).sum()
    }
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::MoveState;

    use super::*;

    fn operation(done: u64, entries_done: u64, waits_for: &str) -> Operation {
        let one = MoveState {
            group: "orders/0".to_owned(),
            entries_total: 1000,
            entries_done,
            bytes_total: 10 << 20,
            bytes_done: (entries_done << 20) / 100,
            waits_for: waits_for.to_owned(),
            ..MoveState::default()
        };
        Operation {
            operation_id: 7,
            partitions: 2,
            done,
            moves: vec![one],
            ..Operation::default()
        }
    }

    #[test]
    fn rate_and_rest_come_from_the_last_while() {
        let at = Duration::from_secs;
        let mut pace = Pace::default();
        pace.note(at(0), &operation(0, 100, ""));
        assert_eq!((pace.rate(), pace.left()), (0, None));
        pace.note(at(4), &operation(0, 500, ""));
        assert_eq!(pace.rate(), 1 << 20);
        assert_eq!(
            pace.line(&operation(0, 500, "")),
            "operation 7: 0/2 partitions, 5.0 MiB of 10.0 MiB, 1.0 MiB/s, 5.0s left"
        );
    }

    #[test]
    fn what_stands_still_says_why() {
        let mut pace = Pace::default();
        let silent = operation(1, 500, "node 4 does not answer");
        for second in 0..=12 {
            pace.note(Duration::from_secs(second), &silent);
        }
        let line = pace.line(&silent);
        assert!(
            line.ends_with("STALLED for 12.0s: orders/0: node 4 does not answer"),
            "{line}"
        );
        pace.note(Duration::from_secs(13), &operation(1, 501, ""));
        assert_eq!(pace.stalled(), None);
        let over = Operation {
            done: 2,
            moves: Vec::new(),
            ..silent
        };
        pace.note(Duration::from_secs(14), &over);
        assert_eq!(pace.line(&over), "operation 7: 2/2 partitions");
    }
}
