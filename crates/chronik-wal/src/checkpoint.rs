//! The checkpoint file: every group exactly as of one log sequence number.
//!
//! Magic, version (u32), checksum of what follows (u32), lsn, groups (u64), then the groups
//! with length-prefixed blobs. It is replaced as a whole.

use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::error::OpenError;
use crate::frame::{u32_at, u64_at};
use crate::io::replace_file;
use crate::ledger::GroupState;
use crate::record::{GroupUid, Trim};
use crate::segment::{FORMAT_VERSION, LSN_MAX};

const MAGIC: [u8; 8] = *b"CHRONCKP";
const CHECKED_FROM: usize = 16;
const GROUPS_FROM: usize = 32;
/// Length prefix of a blob that is not there.
const ABSENT: u32 = u32::MAX;

/// Every group as of `lsn`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) lsn: u64,
    pub(crate) groups: Vec<(GroupUid, GroupState)>,
}

impl Checkpoint {
    /// Writes the file and makes it the log's checkpoint.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        replace_file(path, &self.encode())
    }

    /// Reads the file; a log without one starts from nothing.
    pub(crate) fn load(path: &Path) -> Result<Self, OpenError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::decode(&Bytes::from(bytes), path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(OpenError::Io {
                operation: "read",
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(GROUPS_FROM + self.groups.len() * 160);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.lsn.to_le_bytes());
        out.extend_from_slice(&(self.groups.len() as u64).to_le_bytes());
        for (uid, group) in &self.groups {
            encode_group(*uid, group, &mut out);
        }
        let checksum = crc32c::crc32c(&out[CHECKED_FROM..]);
        out[12..16].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(bytes: &Bytes, path: &Path) -> Result<Self, OpenError> {
        let corrupt = |position: usize, reason: &str| OpenError::Corrupt {
            path: path.to_owned(),
            position: position as u64,
            reason: reason.to_owned(),
        };
        if bytes.len() < GROUPS_FROM || bytes[0..8] != MAGIC {
            return Err(corrupt(0, "it is not a checkpoint"));
        }
        let found = u32_at(bytes, 8);
        if found > FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                path: path.to_owned(),
                found,
                known: FORMAT_VERSION,
            });
        }
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        if found != FORMAT_VERSION || u32_at(bytes, 12) != checksum || u64_at(bytes, 16) > LSN_MAX {
            return Err(corrupt(8, "the checkpoint does not match its checksum"));
        }
        let mut cursor = Cursor {
            bytes,
            position: GROUPS_FROM,
        };
        let mut groups = Vec::new();
        for _ in 0..u64_at(bytes, 24) {
            let group = decode_group(&mut cursor)
                .ok_or_else(|| corrupt(cursor.position, "a group is cut off"))?;
            groups.push(group);
        }
        Ok(Self {
            lsn: u64_at(bytes, 16),
            groups,
        })
    }
}

fn encode_group(uid: GroupUid, group: &GroupState, out: &mut Vec<u8>) {
    let applied = group.conf_state.as_ref().map_or(0, |(applied, _)| *applied);
    for number in [
        uid,
        group.install_lsn,
        group.trim.index,
        group.trim.term,
        group.trim.offset,
        group.last_index,
        group.last_term,
        group.next_offset,
        applied,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let conf_state = group.conf_state.as_ref().map(|(_, blob)| blob);
    for blob in [
        Some(&group.create),
        group.hard_state.as_ref(),
        conf_state,
        group.snapshot.as_ref(),
        group.state.as_ref(),
    ] {
        let len = blob.map_or(ABSENT, |blob| {
            u32::try_from(blob.len()).expect("a blob came from a record")
        });
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(blob.map_or(&[][..], |blob| blob));
    }
}

fn decode_group(cursor: &mut Cursor<'_>) -> Option<(GroupUid, GroupState)> {
    let uid = cursor.number()?;
    let install_lsn = cursor.number()?;
    let trim = Trim {
        index: cursor.number()?,
        term: cursor.number()?,
        offset: cursor.number()?,
    };
    let (last_index, last_term, next_offset) =
        (cursor.number()?, cursor.number()?, cursor.number()?);
    let applied = cursor.number()?;
    let create = cursor.blob()?.unwrap_or_default();
    let (hard_state, conf_state) = (cursor.blob()?, cursor.blob()?.map(|blob| (applied, blob)));
    let (snapshot, state) = (cursor.blob()?, cursor.blob()?);
    let group = GroupState {
        create,
        hard_state,
        conf_state,
        snapshot,
        install_lsn,
        trim,
        last_index,
        last_term,
        next_offset,
        state,
    };
    Some((uid, group))
}

struct Cursor<'a> {
    bytes: &'a Bytes,
    position: usize,
}

impl Cursor<'_> {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        let end = self
            .position
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len())?;
        let taken = self.bytes.slice(self.position..end);
        self.position = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8).map(|bytes| u64_at(&bytes, 0))
    }

    fn blob(&mut self) -> Option<Option<Bytes>> {
        let len = u32_at(&self.take(4)?, 0);
        if len == ABSENT {
            return Some(None);
        }
        // A copy, so that one group does not keep the whole file in memory.
        self.take(len as usize)
            .map(|blob| Some(Bytes::copy_from_slice(&blob)))
    }
}
