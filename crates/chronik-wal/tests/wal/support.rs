//! An owner of a log that does what a shard does, and a directory that goes away.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use chronik_wal::{
    From, GroupUid, Index, IoMode, Kind, Notice, OpenError, Options, Reader, Record, Recovered,
    RecoveredGroup, Row, StoredEntry, Task, Trim, Visitor, Writer,
};

pub(crate) const NODE: [u8; 16] = *b"a node for tests";

/// Longer than anything here takes; only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn tiny_options(dir: &Path) -> Options {
    Options {
        segment_bytes: 64 << 10,
        frame_max: 16 << 10,
        pool_segments: 1,
        linger_max: Duration::ZERO,
        io: IoMode::Auto,
        ..Options::new(dir, NODE)
    }
}

pub(crate) fn create(group: GroupUid) -> Record {
    Record::new(
        Kind::GroupCreate,
        group,
        Bytes::from(format!("group {group}")),
    )
}

pub(crate) fn entry(
    group: GroupUid,
    index: u64,
    term: u64,
    base_offset: u64,
    body: impl Into<Bytes>,
) -> Record {
    Record {
        index,
        term,
        base_offset,
        record_count: 1,
        ..Record::new(Kind::Entry, group, body.into())
    }
}

pub(crate) fn trim(group: GroupUid, trim: Trim) -> Record {
    let Trim {
        index,
        term,
        offset,
    } = trim;
    Record {
        index,
        term,
        base_offset: offset,
        ..Record::new(Kind::TrimPrefix, group, Bytes::new())
    }
}

/// What recovery showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) entries: Vec<(GroupUid, Row, Vec<u8>)>,
    pub(crate) checkpointed: Vec<RecoveredGroup>,
}

impl Visitor for Seen {
    fn verify(&self, _: GroupUid, _: &Row, stored: &[u8]) -> bool {
        // A self-checked body ends with its own checksum.
        let Some((body, checksum)) = stored.split_last_chunk::<4>() else {
            return false;
        };
        crc32c::crc32c(body).to_le_bytes() == *checksum
    }

    fn checkpointed(&mut self, group: &RecoveredGroup) {
        self.checkpointed.push(group.clone());
    }

    fn entry(&mut self, group: GroupUid, row: &Row, stored: &[u8]) -> Result<(), String> {
        self.entries.push((group, *row, stored.to_vec()));
        Ok(())
    }
}

/// A running log and its owner's view of it.
pub(crate) struct Log {
    pub(crate) writer: Writer<u64>,
    pub(crate) reader: Reader,
    pub(crate) index: Index,
    pub(crate) groups: BTreeMap<GroupUid, RecoveredGroup>,
    pub(crate) seen: Seen,
    notices: Receiver<Notice<u64>>,
    done: HashSet<u64>,
    next_token: u64,
    pub(crate) checkpoints: u64,
    pub(crate) recycled: u64,
    pub(crate) moved: u64,
    /// How far each rewrite came, in their order.
    pub(crate) rewritten: Vec<Option<u64>>,
    pub(crate) failed: Option<String>,
}

pub(crate) fn recover(options: &Options) -> Result<(Recovered, Seen), OpenError> {
    let mut seen = Seen::default();
    let recovered = chronik_wal::open(options.clone(), &mut seen)?;
    Ok((recovered, seen))
}

impl Log {
    pub(crate) fn open(options: &Options) -> Result<Self, OpenError> {
        let (mut recovered, seen) = recover(options)?;
        let groups = std::mem::take(&mut recovered.groups)
            .into_iter()
            .map(|group| (group.uid, group))
            .collect();
        let (sink, notices) = sync_channel(4096);
        let (writer, reader, index) = recovered.start(move |notice| {
            // After the test nobody listens any more.
            let _ = sink.send(notice);
        })?;
        Ok(Self {
            writer,
            reader,
            index,
            groups,
            seen,
            notices,
            done: HashSet::new(),
            next_token: 0,
            checkpoints: 0,
            recycled: 0,
            moved: 0,
            rewritten: Vec::new(),
            failed: None,
        })
    }

    pub(crate) fn take(&mut self, notice: Notice<u64>) {
        match notice {
            Notice::Durable(tasks) => {
                for task in tasks {
                    for (group, row) in task.rows {
                        self.index.insert(group, row);
                    }
                    self.done.insert(task.token);
                }
            }
            Notice::Segment(change) => {
                match &change {
                    chronik_wal::SegmentChange::Recycled { .. } => self.recycled += 1,
                    chronik_wal::SegmentChange::Moved { .. } => self.moved += 1,
                    _ => {}
                }
                self.index.apply(change);
            }
            Notice::Checkpointed { .. } => self.checkpoints += 1,
            Notice::Rewritten { last_index, .. } => self.rewritten.push(last_index),
            Notice::Failed(error) => self.failed = Some(error.to_string()),
        }
    }

    /// Handles notices until `enough` says so.
    pub(crate) fn wait(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) && self.failed.is_none() {
            let notice = self
                .notices
                .recv_timeout(PATIENCE)
                .expect("the log should have said something");
            self.take(notice);
        }
    }

    /// The log must not have stopped; most tests have no reason to expect it.
    pub(crate) fn expect_alive(&self) {
        assert_eq!(self.failed, None);
    }

    pub(crate) fn is_done(&self, token: u64) -> bool {
        self.done.contains(&token)
    }

    pub(crate) fn submit(&mut self, records: Vec<Record>) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        self.writer
            .submit(vec![Task { records, token }])
            .expect("the queue has room");
        token
    }

    /// Makes records durable, and applies to the index what is not an entry.
    pub(crate) fn append(&mut self, records: Vec<Record>) {
        let others: Vec<_> = records
            .iter()
            .filter(|record| record.kind != Kind::Entry)
            .cloned()
            .collect();
        for record in &others {
            if record.kind == Kind::GroupCreate {
                self.index.reset(record.group, trim_of(record));
            }
        }
        let token = self.submit(records);
        self.wait(|log| log.done.contains(&token) || log.failed.is_some());
        for record in others {
            match record.kind {
                Kind::TrimPrefix => self.index.trim(record.group, trim_of(&record)),
                Kind::SnapshotInstall => self.index.reset(record.group, trim_of(&record)),
                Kind::GroupDestroy => self.index.remove(record.group),
                _ => {}
            }
        }
    }

    pub(crate) fn checkpoint(&mut self, states: Vec<(GroupUid, Bytes)>) {
        let before = self.checkpoints;
        self.writer.checkpoint(states).expect("the queue has room");
        self.wait(|log| log.checkpoints > before || log.failed.is_some());
    }

    pub(crate) fn read(&self, group: GroupUid, from: From, max_bytes: usize) -> Vec<StoredEntry> {
        self.reader
            .read(&self.index.plan(group, from, max_bytes))
            .expect("durable entries can be read")
    }

    /// All live entries of a group.
    pub(crate) fn read_all(&self, group: GroupUid) -> Vec<StoredEntry> {
        self.read(group, From::Index(0), usize::MAX)
    }

    pub(crate) fn close(self) {
        let Self {
            writer, notices, ..
        } = self;
        // Without a receiver the sink cannot block while the threads end.
        drop(notices);
        writer.close();
    }
}

pub(crate) fn trim_of(record: &Record) -> Trim {
    Trim {
        index: record.index,
        term: record.term,
        offset: record.base_offset,
    }
}
