//! A set of numbers as sorted half-open intervals: a run without holes costs 16 bytes, however long.

use std::ops::Range;

/// A set of `u64` that is small as long as its members come in runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntervalSet {
    /// Sorted, disjoint, never touching, never empty.
    intervals: Vec<Range<u64>>,
}

impl IntervalSet {
    /// Adds a range; an empty one changes nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // Nearly every insertion extends the last interval or starts one after it.
        match self.intervals.last_mut() {
            None => return self.intervals.push(range),
            Some(last) if range.start > last.end => return self.intervals.push(range),
            Some(last) if range.start >= last.start => {
                last.end = last.end.max(range.end);
                return;
            }
            Some(_) => {}
        }
        let from = self
            .intervals
            .partition_point(|have| have.end < range.start);
        let to = self
            .intervals
            .partition_point(|have| have.start <= range.end);
        if from == to {
            self.intervals.insert(from, range);
            return;
        }
        let start = range.start.min(self.intervals[from].start);
        let end = range.end.max(self.intervals[to - 1].end);
        self.intervals[from] = start..end;
        self.intervals.drain(from + 1..to);
    }

    pub fn contains(&self, member: u64) -> bool {
        self.interval_of(member).is_some()
    }

    /// Whether every number of the range is a member.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        range.is_empty()
            || self
                .interval_of(range.start)
                .is_some_and(|have| range.end <= have.end)
    }

    /// Whether any number of the range is a member.
    pub fn overlaps(&self, range: &Range<u64>) -> bool {
        let at = self
            .intervals
            .partition_point(|have| have.end <= range.start);
        !range.is_empty()
            && self
                .intervals
                .get(at)
                .is_some_and(|have| have.start < range.end)
    }

    /// The parts of the range that are members.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let at = self
            .intervals
            .partition_point(|have| have.end <= range.start);
        let touching = self.intervals[at..].iter();
        touching
            .map(move |have| have.start.max(range.start)..have.end.min(range.end))
            .take_while(|part| !part.is_empty())
    }

    /// The parts of the range that are not members.
    pub fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut from = range.start;
        for part in self.within(range.clone()) {
            if from < part.start {
                missing.push(from..part.start);
            }
            from = part.end;
        }
        if from < range.end {
            missing.push(from..range.end);
        }
        missing
    }

    /// Forgets every member below.
    pub fn remove_below(&mut self, bound: u64) {
        let gone = self.intervals.partition_point(|have| have.end <= bound);
        self.intervals.drain(..gone);
        if let Some(first) = self.intervals.first_mut() {
            first.start = first.start.max(bound);
        }
    }

    /// The interval that holds the member.
    pub fn interval_of(&self, member: u64) -> Option<Range<u64>> {
        let at = self.intervals.partition_point(|have| have.end <= member);
        self.intervals
            .get(at)
            .filter(|have| have.start <= member)
            .cloned()
    }

    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.intervals.iter().cloned()
    }

    pub fn first(&self) -> Option<Range<u64>> {
        self.intervals.first().cloned()
    }

    /// One past the largest member.
    pub fn end(&self) -> Option<u64> {
        self.intervals.last().map(|last| last.end)
    }

    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// How many intervals it takes, which is what the set costs.
    pub fn interval_count(&self) -> usize {
        self.intervals.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            inserts in proptest::collection::vec((0u64..80, 0u64..9), 0..40),
            query in (0u64..90, 0u64..30),
            bound in 0u64..90,
        ) {
            let mut set = IntervalSet::default();
            let mut plain = BTreeSet::new();
            for (start, len) in inserts {
                set.insert(start..start + len);
                plain.extend(start..start + len);
            }
            let query = query.0..query.0 + query.1;
            prop_assert_eq!(set.covers(&query), query.clone().all(|member| plain.contains(&member)));
            prop_assert_eq!(set.overlaps(&query), query.clone().any(|member| plain.contains(&member)));
            let within: Vec<u64> = set.within(query.clone()).flatten().collect();
            prop_assert_eq!(within, plain.range(query.clone()).copied().collect::<Vec<_>>());
            let missing: Vec<u64> = set.missing(query.clone()).into_iter().flatten().collect();
            prop_assert_eq!(missing, query.filter(|member| !plain.contains(member)).collect::<Vec<_>>());
            set.remove_below(bound);
            plain = plain.split_off(&bound);
            prop_assert_eq!(set.iter().flatten().collect::<Vec<_>>(), plain.into_iter().collect::<Vec<_>>());
            let intervals: Vec<_> = set.iter().collect();
            prop_assert!(intervals.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
