//! What was seen, written down: one line of JSON for each piece of news, with everything in it once a minute and only
//! what changed in between. `replay` shows it again.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use chronik_admin::v1::RaftGroup;
use serde::{Deserialize, Serialize};

use super::data::{Data, News};
use crate::exit::Failure;

/// A piece of news with its time. The order of the fields is part of the format: `replay` knows lines by their
/// beginnings.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) at_ms: u64,
    /// Groups that are missing are as they were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_difference: bool,
    pub(super) news: News,
}

/// Writes news down.
pub(super) struct Recorder {
    file: BufWriter<File>,
    last: Option<Data>,
    whole_at_ms: u64,
    at_ms: u64,
}

/// Everything is written once in so long, differences in between.
const WHOLE_EVERY_MS: u64 = 60_000;

impl Recorder {
    pub(super) fn create(path: &Path) -> Result<Recorder, Failure> {
        let file = File::create(path).map_err(|error| wrong(path, &error))?;
        Ok(Recorder {
            file: BufWriter::new(file),
            last: None,
            whole_at_ms: 0,
            at_ms: 0,
        })
    }

    pub(super) fn write(&mut self, at_ms: u64, news: &News) -> io::Result<()> {
        // A clock that was set back does not turn the recording around.
        let at_ms = at_ms.max(self.at_ms);
        self.at_ms = at_ms;
        let mut line = Line {
            at_ms,
            is_difference: false,
            news: news.clone(),
        };
        if let News::Polled(data) = &mut line.news {
            let whole = (**data).clone();
            match &self.last {
                Some(last)
                    if at_ms < self.whole_at_ms + WHOLE_EVERY_MS && keeps_all(last, data) =>
                {
                    line.is_difference = true;
                    let known = by_id(last);
                    let groups = std::mem::take(&mut data.raft.groups).into_iter();
                    let groups = groups.filter(|group| is_new(&known, group));
                    data.raft.groups = groups.collect();
                }
                _ => self.whole_at_ms = at_ms,
            }
            self.last = Some(whole);
        }
        serde_json::to_writer(&mut self.file, &line)?;
        self.file.write_all(b"\n")?;
        self.file.flush()
    }
}

fn by_id(data: &Data) -> HashMap<u64, &RaftGroup> {
    let groups = data.raft.groups.iter();
    groups.map(|group| (group.group_id, group)).collect()
}

/// Whether every group is still there: a difference cannot say which ones are gone.
fn keeps_all(last: &Data, data: &Data) -> bool {
    let present = by_id(data);
    let mut before = last.raft.groups.iter();
    before.all(|group| present.contains_key(&group.group_id))
}

/// A group that grows older has not changed by that.
fn is_new(known: &HashMap<u64, &RaftGroup>, group: &RaftGroup) -> bool {
    let ageless = |group: &RaftGroup| {
        let mut group = group.clone();
        group.views.iter_mut().for_each(|view| view.since_ms = 0);
        group
    };
    let known = known.get(&group.group_id);
    known.is_none_or(|known| ageless(known) != ageless(group))
}

/// Fills in what a difference left out.
pub(super) fn complete(data: &mut Data, last: Data) {
    let passed = data.at_ms.saturating_sub(last.at_ms);
    let changed = data.raft.groups.iter().map(|group| group.group_id);
    let changed: HashSet<u64> = changed.collect();
    let is_known = |group: &RaftGroup| changed.contains(&group.group_id);
    let mut rest: Vec<RaftGroup> = last.raft.groups;
    rest.retain(|group| !is_known(group));
    for view in rest.iter_mut().flat_map(|group| &mut group.views) {
        view.since_ms += passed;
    }
    data.raft.groups.extend(rest);
    data.raft.groups.sort_by_key(|group| group.group_id);
}

pub(super) fn wrong(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{RaftStatus, RaftView};

    use super::super::replay::Player;
    use super::*;

    fn data(at_ms: u64, terms: &[u64]) -> Data {
        let group = |(id, term): (u64, &u64)| RaftGroup {
            group_id: id,
            name: format!("orders/{id}"),
            term: *term,
            views: vec![RaftView {
                since_ms: at_ms,
                ..RaftView::default()
            }],
            ..RaftGroup::default()
        };
        let groups: Vec<RaftGroup> = (0..).zip(terms).map(group).collect();
        Data {
            at_ms,
            raft: RaftStatus {
                total_groups: groups.len() as u64,
                groups,
                ..RaftStatus::default()
            },
            ..Data::default()
        }
    }

    #[test]
    fn what_was_written_is_read_again_although_only_differences_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("record.jsonl");
        let polls = [data(1000, &[1; 50]), data(2000, &[1; 50]), {
            let mut terms = [1; 50];
            terms[7] = 2;
            data(3000, &terms)
        }];
        let mut recorder = Recorder::create(&file).unwrap();
        for poll in &polls {
            let news = News::Polled(Box::new(poll.clone()));
            recorder.write(poll.at_ms, &news).unwrap();
        }
        recorder
            .write(3500, &News::Failed("gone".to_owned()))
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert!(lengths[1] * 10 < lengths[0], "{lengths:?}");
        let mut player = Player::open(&file).unwrap();
        for poll in polls {
            let (at_ms, news) = player.next().unwrap();
            assert_eq!(at_ms, poll.at_ms);
            assert_eq!(news, News::Polled(Box::new(poll)));
        }
        assert_eq!(player.next(), Some((3500, News::Failed("gone".to_owned()))));
        assert_eq!(player.next(), None);
    }
}
