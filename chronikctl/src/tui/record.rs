//! What was seen, written down and shown again: one line of JSON for each piece of news. Nothing is read before its
//! time, so a recording may be longer than memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use chronik_admin::v1::RaftGroup;
use serde::{Deserialize, Serialize};

use super::data::{Data, News};
use crate::exit::Failure;

/// A piece of news with its time.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at_ms: u64,
    /// Groups that are missing are as they were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_difference: bool,
    news: News,
}

/// Writes news down.
pub(super) struct Recorder {
    file: BufWriter<File>,
    last: Option<Data>,
    whole_at_ms: u64,
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
        })
    }

    pub(super) fn write(&mut self, at_ms: u64, news: &News) -> io::Result<()> {
        let mut line = Line {
            at_ms,
            is_difference: false,
            news: news.clone(),
        };
        if let News::Polled(data) = &mut line.news {
            let whole = (**data).clone();
            match &self.last {
                Some(last) if at_ms < self.whole_at_ms + WHOLE_EVERY_MS => {
                    line.is_difference = true;
                    let groups = std::mem::take(&mut data.raft.groups).into_iter();
                    let groups = groups.filter(|group| is_new(last, group));
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

/// A group that grows older has not changed by that.
fn is_new(last: &Data, group: &RaftGroup) -> bool {
    let ageless = |group: &RaftGroup| {
        let mut group = group.clone();
        group.views.iter_mut().for_each(|view| view.since_ms = 0);
        group
    };
    let mut known = last.raft.groups.iter();
    let known = known.find(|known| known.group_id == group.group_id);
    known.is_none_or(|known| ageless(known) != ageless(group))
}

/// Reads news, one piece at a time.
pub(super) struct Player {
    lines: io::Lines<BufReader<File>>,
    last: Option<Data>,
}

impl Player {
    pub(super) fn open(path: &Path) -> Result<Player, Failure> {
        let file = File::open(path).map_err(|error| wrong(path, &error))?;
        Ok(Player {
            lines: BufReader::new(file).lines(),
            last: None,
        })
    }

    /// The next piece with its time; none at the end. The last line of a recording that was cut off is no news.
    pub(super) fn next(&mut self) -> Option<(u64, News)> {
        let line = self.lines.next()?.ok()?;
        let mut line: Line = serde_json::from_str(&line).ok()?;
        if let News::Polled(data) = &mut line.news {
            if let Some(last) = self.last.take().filter(|_| line.is_difference) {
                complete(data, last);
            }
            self.last = Some((**data).clone());
        }
        Some((line.at_ms, line.news))
    }
}

fn complete(data: &mut Data, last: Data) {
    let passed = data.at_ms.saturating_sub(last.at_ms);
    let is_known = |group: &RaftGroup| {
        let mut groups = data.raft.groups.iter();
        groups.any(|known| known.group_id == group.group_id)
    };
    let mut rest: Vec<RaftGroup> = last.raft.groups;
    rest.retain(|group| !is_known(group));
    for view in rest.iter_mut().flat_map(|group| &mut group.views) {
        view.since_ms += passed;
    }
    data.raft.groups.extend(rest);
    data.raft.groups.sort_by_key(|group| group.group_id);
    // Groups that are gone are told by their number.
    let total = usize::try_from(data.raft.total_groups).unwrap_or(usize::MAX);
    data.raft.groups.truncate(total);
}

fn wrong(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{RaftStatus, RaftView};

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
