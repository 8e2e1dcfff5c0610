//! Ageing: offsets that nobody needs any more end, and groups of which nothing is left with them.

use super::append::Purpose;
use super::coordinator::Turn;
use super::group::{Group, Phase};
use super::groups::Groups;
use super::records::{OffsetValue, Record};

pub(super) fn expire(groups: &mut Groups, turn: &mut Turn<'_>) {
    for group in groups.iter_mut() {
        let records = group.expired(turn);
        if !records.is_empty() {
            let purpose = Purpose::Tombstones {
                group: group.id.clone(),
            };
            group.store(turn, records, purpose);
        }
    }
}

impl Group {
    fn expired(&self, turn: &Turn<'_>) -> Vec<Record> {
        let Some(image) = turn.image.group(&self.id) else {
            return Vec::new();
        };
        if self.stores_in_flight > 0 || !self.named.is_empty() {
            // It is in use: the next check will do.
            return Vec::new();
        }
        let is_unread = self.unread_topics();
        let mut records = Vec::new();
        let mut is_left = false;
        for (topic, partition, value) in image.offsets() {
            if is_unread(topic) && self.is_over(turn, value) {
                records.push(self.offset_tombstone(topic, partition));
            } else {
                is_left = true;
            }
        }
        if matches!(self.phase, Phase::Empty) && !is_left && image.metadata.is_some() {
            records.push(Record::Group {
                group: self.id.clone(),
                value: None,
            });
        }
        records
    }

    /// Topics whose offsets may age: all of an empty group, else those no member reads.
    fn unread_topics(&self) -> impl Fn(&str) -> bool + use<> {
        let is_empty = matches!(self.phase, Phase::Empty);
        let read = if matches!(self.phase, Phase::Stable) {
            self.subscribed_topics()
        } else {
            None
        };
        move |topic: &str| is_empty || read.as_ref().is_some_and(|read| !read.contains(topic))
    }

    /// An offset ages from the last commit, or from when the group lost its last member if that was later.
    fn is_over(&self, turn: &Turn<'_>, value: &OffsetValue) -> bool {
        if let Some(expires_at_ms) = value
            .expires_at_ms
            .and_then(|at_ms| u64::try_from(at_ms).ok())
        {
            return turn.now_ms >= expires_at_ms;
        }
        let committed_at_ms = u64::try_from(value.committed_at_ms).unwrap_or(0);
        let was_in_use = self.protocol_type.is_some() && matches!(self.phase, Phase::Empty);
        let since_ms = if was_in_use {
            committed_at_ms.max(self.phase_since_ms)
        } else {
            committed_at_ms
        };
        turn.now_ms >= since_ms.saturating_add(turn.config.offsets_retention_ms)
    }
}
