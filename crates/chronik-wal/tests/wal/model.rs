//! Random histories against a model that fits on a screen: whatever the log's files go
//! through, it must say what the model says.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use chronik_wal::{From, Kind, Options, Record, Trim};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{Log, create, entry, tiny_options, trim, trim_of};

/// One step of a history; numbers are taken modulo what is possible.
#[derive(Debug, Clone)]
enum Step {
    Create,
    Append {
        group: usize,
        entries: usize,
        bytes: usize,
    },
    /// Entries again from an earlier index on, in a higher term.
    Supersede {
        group: usize,
        back: u64,
        entries: usize,
    },
    Trim {
        group: usize,
        share: u8,
    },
    Install {
        group: usize,
        ahead: u64,
    },
    Destroy {
        group: usize,
    },
    Vote {
        group: usize,
    },
    Checkpoint {
        with_states: bool,
    },
    WaitForSeals,
    Reopen,
    /// Goes on with a copy of the files, as a killed process leaves them.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = 0..8_usize;
    let step = prop_oneof![
        2 => Just(Step::Create),
        12 => (group.clone(), 1..6_usize, 0..9000_usize)
            .prop_map(|(group, entries, bytes)| Step::Append { group, entries, bytes }),
        3 => (group.clone(), 0..12_u64, 1..4_usize)
            .prop_map(|(group, back, entries)| Step::Supersede { group, back, entries }),
        4 => (group.clone(), any::<u8>()).prop_map(|(group, share)| Step::Trim { group, share }),
        1 => (group.clone(), 0..20_u64).prop_map(|(group, ahead)| Step::Install { group, ahead }),
        1 => group.clone().prop_map(|group| Step::Destroy { group }),
        2 => group.prop_map(|group| Step::Vote { group }),
        3 => any::<bool>().prop_map(|with_states| Step::Checkpoint { with_states }),
        2 => Just(Step::WaitForSeals),
        2 => Just(Step::Reopen),
        2 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..90)
}

#[derive(Debug, Clone, Default, PartialEq)]
struct ModelGroup {
    trim: Trim,
    /// Term and body of the entries after the trim point; each spans one offset.
    entries: Vec<(u64, Bytes)>,
    vote: Option<Bytes>,
    snapshot: Option<Bytes>,
    state: Option<Bytes>,
    term: u64,
}

impl ModelGroup {
    fn next_index(&self) -> u64 {
        self.trim.index + self.entries.len() as u64 + 1
    }

    /// In the model every entry spans one offset, so offsets follow indexes.
    fn offset_of(&self, index: u64) -> u64 {
        self.trim.offset + (index - self.trim.index - 1)
    }
}

struct World {
    dir: TempDir,
    options: Options,
    /// Gone only while it is opened again.
    log: Option<Log>,
    groups: BTreeMap<u64, ModelGroup>,
    next_uid: u64,
    written: u64,
}

impl World {
    fn new(dir: TempDir) -> Self {
        let options = tiny_options(dir.path());
        let log = Some(Log::open(&options).expect("an empty directory"));
        Self {
            dir,
            options,
            log,
            groups: BTreeMap::new(),
            next_uid: 1,
            written: 0,
        }
    }

    fn pick(&self, group: usize) -> Option<u64> {
        self.groups
            .keys()
            .nth(group % self.groups.len().max(1))
            .copied()
    }

    fn play(mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
        self.compare();
        self.reopen();
        self.close();
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it is open")
    }

    fn close(&mut self) {
        self.log.take().expect("it is open").close();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Create => {
                let uid = self.next_uid;
                self.next_uid += 1;
                self.groups.insert(uid, ModelGroup::default());
                self.log().append(vec![create(uid)]);
            }
            Step::Append {
                group,
                entries,
                bytes,
            } => {
                self.write_entries(group, 0, entries, bytes);
            }
            Step::Supersede {
                group,
                back,
                entries,
            } => self.write_entries(group, back, entries, 50),
            Step::Trim { group, share } => self.trim(group, share),
            Step::Install { group, ahead } => self.install(group, ahead),
            Step::Destroy { group } => {
                let Some(uid) = self.pick(group) else { return };
                self.groups.remove(&uid);
                self.log()
                    .append(vec![Record::new(Kind::GroupDestroy, uid, Bytes::new())]);
            }
            Step::Vote { group } => {
                let Some(uid) = self.pick(group) else { return };
                self.written += 1;
                let vote = Bytes::from(format!("vote {}", self.written));
                self.log()
                    .append(vec![Record::new(Kind::HardState, uid, vote.clone())]);
                self.groups.get_mut(&uid).expect("picked").vote = Some(vote);
            }
            Step::Checkpoint { with_states } => self.checkpoint(with_states),
            Step::WaitForSeals => self
                .log()
                .wait(|log| log.writer.stats().segments_unsealed <= 1),
            Step::Crash => self.crash(),
            Step::Reopen => {
                self.compare();
                self.reopen();
            }
        }
    }

    /// The helper may be busy with anything while the files are copied.
    fn crash(&mut self) {
        let copy = tempfile::tempdir().expect("a temporary directory");
        copy_files(&self.options.dir.join("wal"), &copy.path().join("wal"));
        self.close();
        self.options.dir = copy.path().to_owned();
        self.dir = copy;
        let log = Log::open(&self.options).expect("a crash damages nothing");
        self.log = Some(log);
        self.compare_recovered();
        self.compare();
    }

    /// The old log must be closed before its files are read again.
    fn reopen(&mut self) {
        let options = self.options.clone();
        self.close();
        self.log = Some(Log::open(&options).expect("nothing is damaged"));
        self.compare_recovered();
        self.compare();
    }

    fn write_entries(&mut self, group: usize, back: u64, entries: usize, bytes: usize) {
        let Some(uid) = self.pick(group) else { return };
        let model = self.groups.get_mut(&uid).expect("picked");
        let first = model
            .next_index()
            .saturating_sub(back)
            .max(model.trim.index + 1);
        model.term += u64::from(back > 0);
        model
            .entries
            .truncate(usize::try_from(first - model.trim.index - 1).expect("small"));
        let mut records = Vec::new();
        for index in first..first + entries as u64 {
            self.written += 1;
            let mut body = format!("{uid}/{index} in write {}", self.written).into_bytes();
            body.resize(body.len().max(bytes), b'.');
            let body = Bytes::from(body);
            records.push(entry(
                uid,
                index,
                model.term,
                model.offset_of(index),
                body.clone(),
            ));
            model.entries.push((model.term, body));
        }
        self.log().append(records);
    }

    fn trim(&mut self, group: usize, share: u8) {
        let Some(uid) = self.pick(group) else { return };
        let model = self.groups.get_mut(&uid).expect("picked");
        let gone = model.entries.len() * usize::from(share) / 255;
        if gone == 0 {
            return;
        }
        let index = model.trim.index + gone as u64;
        let point = Trim {
            index,
            term: model.entries[gone - 1].0,
            offset: model.offset_of(index) + 1,
        };
        model.entries.drain(..gone);
        model.trim = point;
        self.log().append(vec![trim(uid, point)]);
    }

    fn install(&mut self, group: usize, ahead: u64) {
        let Some(uid) = self.pick(group) else { return };
        self.written += 1;
        let body = Bytes::from(format!("snapshot {}", self.written));
        let model = self.groups.get_mut(&uid).expect("picked");
        let index = model.trim.index + ahead;
        let record = Record {
            index,
            term: model.term + 1,
            base_offset: model.offset_of(index + 1),
            ..Record::new(Kind::SnapshotInstall, uid, body.clone())
        };
        *model = ModelGroup {
            trim: trim_of(&record),
            snapshot: Some(body),
            vote: model.vote.take(),
            state: model.state.take(),
            term: model.term + 1,
            entries: Vec::new(),
        };
        self.log().append(vec![record]);
    }

    fn checkpoint(&mut self, with_states: bool) {
        let mut states = Vec::new();
        if with_states {
            for (uid, model) in &mut self.groups {
                self.written += 1;
                let state = Bytes::from(format!("state {}", self.written));
                model.state = Some(state.clone());
                model.snapshot = None;
                states.push((*uid, state));
            }
        }
        self.log().checkpoint(states);
    }

    fn compare(&self) {
        let log = self.log.as_ref().expect("it is open");
        assert_eq!(log.failed, None);
        for (uid, model) in &self.groups {
            let entries = log.read_all(*uid);
            assert_eq!(entries.len(), model.entries.len(), "entries of group {uid}");
            for ((nth, (term, body)), stored) in model.entries.iter().enumerate().zip(&entries) {
                let index = model.trim.index + 1 + nth as u64;
                let row = stored.row;
                assert_eq!(
                    (row.index, row.term, row.base_offset),
                    (index, *term, model.offset_of(index))
                );
                assert_eq!(stored.bytes, body);
            }
            if let Some(last) = entries.last() {
                let found = log.read(*uid, From::Offset(last.row.base_offset), 1);
                assert_eq!(found[0].row, last.row);
            }
            let extent = log.index.extent(*uid).expect("a known group");
            assert_eq!(
                (extent.first_index, extent.last_index),
                (model.trim.index + 1, model.next_index() - 1)
            );
            assert_eq!(
                (extent.first_offset, extent.next_offset),
                (model.trim.offset, model.offset_of(model.next_index()))
            );
        }
    }

    /// What recovery said about the groups; only right after an open.
    fn compare_recovered(&self) {
        let log = self.log.as_ref().expect("it is open");
        let uids: Vec<_> = log.groups.keys().collect();
        assert_eq!(uids, self.groups.keys().collect::<Vec<_>>());
        for (uid, model) in &self.groups {
            let group = &log.groups[uid];
            assert_eq!(
                (group.trim, group.last_index),
                (model.trim, model.next_index() - 1)
            );
            assert_eq!(
                (&group.hard_state, &group.state),
                (&model.vote, &model.state)
            );
            assert_eq!(group.snapshot, model.snapshot);
        }
    }
}

fn copy_files(source: &Path, target: &Path) {
    fs::create_dir_all(target).expect("the target can be made");
    let entries = fs::read_dir(source).expect("the source is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    // Index files before their segments: a sorted segment goes away in the other order, and
    // no moment of the source has one without its index file.
    paths.sort();
    for path in paths {
        let copy = target.join(path.file_name().expect("entries have names"));
        if path.is_dir() {
            copy_files(&path, &copy);
        } else if let Err(error) = fs::copy(&path, &copy) {
            // What goes away meanwhile was not needed any more.
            assert_eq!(error.kind(), ErrorKind::NotFound, "{}", path.display());
        }
    }
}

fn play(steps: &[Step]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    World::new(dir).play(steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_says_what_the_model_says(steps in steps()) {
        play(&steps);
    }
}
