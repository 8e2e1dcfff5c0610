//! All living groups and the order in which they need attention.

use std::collections::{BTreeMap, BTreeSet};

use super::coordinator::{Action, Turn};
use super::error::GroupError;
use super::group::Group;
use super::image::Image;
use super::message::Reply;

#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<String, Group>,
    /// Each group's next deadline, soonest first.
    due: BTreeSet<(u64, String)>,
    /// The sum of what all members weigh.
    members_bytes: usize,
}

impl Groups {
    pub(super) fn load(image: &Image, now_ms: u64) -> Groups {
        let mut groups = Groups::default();
        for (id, logged) in image.groups() {
            groups.by_id.insert(
                id.to_owned(),
                Group::from_log(id.to_owned(), logged, now_ms),
            );
            groups.weigh(id);
            groups.schedule(id);
        }
        groups
    }

    pub(super) fn get(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.by_id.get_mut(id)
    }

    pub(super) fn get_or_new(&mut self, id: &str, now_ms: u64) -> &mut Group {
        self.by_id
            .entry(id.to_owned())
            .or_insert_with(|| Group::new(id.to_owned(), now_ms))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.by_id.values_mut()
    }

    pub(super) fn members_bytes(&self) -> usize {
        self.members_bytes
    }

    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    pub(super) fn due(&self, now_ms: u64) -> Vec<String> {
        self.due
            .iter()
            .take_while(|(due_ms, _)| *due_ms <= now_ms)
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// The tail of every event that touched a group: time takes its due, finished rounds end, and a group of which
    /// nothing is left is forgotten.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>, id: &str) {
        let Some(group) = self.by_id.get_mut(id) else {
            return;
        };
        group.settle(turn);
        self.weigh(id);
        let Some(group) = self.by_id.get(id) else {
            return;
        };
        if group.is_blank() && turn.image.group(id).is_none() {
            if let Some(due_ms) = group.due_ms {
                self.due.remove(&(due_ms, id.to_owned()));
            }
            self.by_id.remove(id);
            return;
        }
        self.schedule(id);
    }

    pub(super) fn refuse_all(&mut self, error: GroupError, out: &mut Vec<Action>) {
        for member in self
            .by_id
            .values_mut()
            .flat_map(|group| group.members.values_mut())
        {
            let join = member
                .parked_join
                .take()
                .map(|ticket| (ticket, Reply::Join(Err(error.into()))));
            let sync = member
                .parked_sync
                .take()
                .map(|ticket| (ticket, Reply::Sync(Err(error))));
            out.extend(
                join.into_iter()
                    .chain(sync)
                    .map(|(ticket, reply)| Action::Reply { ticket, reply }),
            );
        }
    }

    fn weigh(&mut self, id: &str) {
        if let Some(group) = self.by_id.get_mut(id) {
            let bytes = group.weight_bytes();
            self.members_bytes = self.members_bytes - group.counted_bytes + bytes;
            group.counted_bytes = bytes;
        }
    }

    fn schedule(&mut self, id: &str) {
        let Some(group) = self.by_id.get_mut(id) else {
            return;
        };
        let due_ms = group.next_deadline_ms();
        if due_ms == group.due_ms {
            return;
        }
        if let Some(before_ms) = std::mem::replace(&mut group.due_ms, due_ms) {
            self.due.remove(&(before_ms, id.to_owned()));
        }
        if let Some(due_ms) = due_ms {
            self.due.insert((due_ms, id.to_owned()));
        }
    }
}
