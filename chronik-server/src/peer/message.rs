//! A group's message as bytes: only what it says, and payloads by reference until they are copied into the frame.

use bytes::{BufMut, Bytes};
use chronik_core::group::eraftpb::{
    ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};

use super::wire::{Reader, WireError};

/// A message between two replicas of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMessage {
    /// The uid of the group.
    pub group: u64,
    pub message: Message,
}

impl GroupMessage {
    /// How many bytes [`GroupMessage::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        let message = &self.message;
        let numbers = numbers(message).into_iter().filter(|number| *number != 0);
        let mut len = HEAD_BYTES + 8 * numbers.count();
        if !message.context.is_empty() {
            len += 4 + message.context.len();
        }
        if !message.entries.is_empty() {
            len += 4 + message.entries.iter().map(entry_len).sum::<usize>();
        }
        if message.has_snapshot() {
            len += snapshot_len(message.get_snapshot());
        }
        len
    }

    /// Appends the message; the only copy of its payloads on their way to the socket.
    pub fn encode(&self, out: &mut impl BufMut) {
        let message = &self.message;
        out.put_u64_le(self.group);
        out.put_u8(message.msg_type as u8);
        out.put_u16_le(present(message));
        for number in numbers(message) {
            if number != 0 {
                out.put_u64_le(number);
            }
        }
        if !message.context.is_empty() {
            put_bytes(out, &message.context);
        }
        if !message.entries.is_empty() {
            put_len(out, message.entries.len());
            for entry in &message.entries {
                put_entry(out, entry);
            }
        }
        if message.has_snapshot() {
            put_snapshot(out, message.get_snapshot());
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let group = reader.u64()?;
        let mut message = Message::default();
        let kind = reader.u8()?;
        message.msg_type = *MESSAGE_TYPES
            .get(usize::from(kind))
            .ok_or_else(|| reader.refuse("the type of a message", u64::from(kind)))?;
        let present = reader.u16()?;
        if present & !(CONTENT | ((1 << NUMBERS) - 1)) != 0 {
            return Err(reader.refuse("the content of a message", u64::from(present)));
        }
        let mut numbers = [0; NUMBERS];
        for (position, number) in numbers.iter_mut().enumerate() {
            if present & (1 << position) != 0 {
                *number = reader.u64()?;
            }
        }
        set_numbers(&mut message, numbers);
        message.reject = present & REJECT != 0;
        if present & CONTEXT != 0 {
            message.context = reader.bytes()?;
        }
        if present & ENTRIES != 0 {
            message.entries = entries(reader)?.into();
        }
        if present & SNAPSHOT != 0 {
            message.set_snapshot(snapshot(reader)?);
        }
        Ok(Self { group, message })
    }
}

/// Group, type and what is present.
pub(super) const HEAD_BYTES: usize = 8 + 1 + 2;

/// Raft sends at most a megabyte at once, and an entry takes more than a byte of it.
const ENTRIES_MAX: usize = 1 << 20;
/// Replicas of a group; there are fifteen at most, twice that in a change.
const MEMBERS_MAX: usize = 256;
const ENTRY_HEAD_BYTES: usize = 1 + 8 + 8 + 4 + 4;

/// Numbers of a message that are often zero and then cost one bit.
const NUMBERS: usize = 11;
const REJECT: u16 = 1 << 11;
const CONTEXT: u16 = 1 << 12;
const ENTRIES: u16 = 1 << 13;
const SNAPSHOT: u16 = 1 << 14;
const CONTENT: u16 = REJECT | CONTEXT | ENTRIES | SNAPSHOT;

/// In the order of their numbers.
const MESSAGE_TYPES: [MessageType; 19] = [
    MessageType::MsgHup,
    MessageType::MsgBeat,
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgUnreachable,
    MessageType::MsgSnapStatus,
    MessageType::MsgCheckQuorum,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];
const ENTRY_TYPES: [EntryType; 3] = [
    EntryType::EntryNormal,
    EntryType::EntryConfChange,
    EntryType::EntryConfChangeV2,
];

fn numbers(message: &Message) -> [u64; NUMBERS] {
    [
        message.to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
        message.reject_hint,
        message.deprecated_priority,
        message.priority.cast_unsigned(),
    ]
}

fn set_numbers(message: &mut Message, numbers: [u64; NUMBERS]) {
    let priority;
    [
        message.to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
        message.reject_hint,
        message.deprecated_priority,
        priority,
    ] = numbers;
    message.priority = priority.cast_signed();
}

fn present(message: &Message) -> u16 {
    let mut present = 0;
    for (position, number) in numbers(message).into_iter().enumerate() {
        present |= u16::from(number != 0) << position;
    }
    let content = [
        (REJECT, message.reject),
        (CONTEXT, !message.context.is_empty()),
        (ENTRIES, !message.entries.is_empty()),
        (SNAPSHOT, message.has_snapshot()),
    ];
    for (bit, is_present) in content {
        present |= if is_present { bit } else { 0 };
    }
    present
}

fn entry_len(entry: &Entry) -> usize {
    ENTRY_HEAD_BYTES + entry.data.len() + entry.context.len()
}

fn put_entry(out: &mut impl BufMut, entry: &Entry) {
    out.put_u8(entry.entry_type as u8);
    out.put_u64_le(entry.term);
    out.put_u64_le(entry.index);
    put_bytes(out, &entry.context);
    put_bytes(out, &entry.data);
}

fn entries(reader: &mut Reader) -> Result<Vec<Entry>, WireError> {
    let count = reader.count("the number of entries", ENTRIES_MAX, ENTRY_HEAD_BYTES)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let mut entry = Entry::default();
        let kind = reader.u8()?;
        entry.entry_type = *ENTRY_TYPES
            .get(usize::from(kind))
            .ok_or_else(|| reader.refuse("the type of an entry", u64::from(kind)))?;
        entry.term = reader.u64()?;
        entry.index = reader.u64()?;
        entry.context = reader.bytes()?;
        entry.data = reader.bytes()?;
        entries.push(entry);
    }
    Ok(entries)
}

fn snapshot_len(snapshot: &Snapshot) -> usize {
    let members = lists(snapshot.get_metadata().get_conf_state());
    let members: usize = members.iter().map(|members| 4 + 8 * members.len()).sum();
    8 + 8 + 1 + members + 4 + snapshot.data.len()
}

fn put_snapshot(out: &mut impl BufMut, snapshot: &Snapshot) {
    let metadata = snapshot.get_metadata();
    out.put_u64_le(metadata.index);
    out.put_u64_le(metadata.term);
    let members = metadata.get_conf_state();
    out.put_u8(u8::from(members.auto_leave));
    for list in lists(members) {
        put_len(out, list.len());
        for member in list {
            out.put_u64_le(*member);
        }
    }
    put_bytes(out, &snapshot.data);
}

fn snapshot(reader: &mut Reader) -> Result<Snapshot, WireError> {
    let mut metadata = SnapshotMetadata {
        index: reader.u64()?,
        term: reader.u64()?,
        ..SnapshotMetadata::default()
    };
    metadata.set_conf_state(ConfState {
        auto_leave: reader.bool("whether a joint state ends by itself")?,
        voters: member_list(reader)?,
        learners: member_list(reader)?,
        voters_outgoing: member_list(reader)?,
        learners_next: member_list(reader)?,
        ..ConfState::default()
    });
    let mut snapshot = Snapshot::default();
    snapshot.set_metadata(metadata);
    snapshot.data = reader.bytes()?;
    Ok(snapshot)
}

fn lists(members: &ConfState) -> [&[u64]; 4] {
    [
        &members.voters,
        &members.learners,
        &members.voters_outgoing,
        &members.learners_next,
    ]
}

fn member_list(reader: &mut Reader) -> Result<Vec<u64>, WireError> {
    let count = reader.count("the number of members", MEMBERS_MAX, 8)?;
    (0..count).map(|_| reader.u64()).collect()
}

fn put_bytes(out: &mut impl BufMut, bytes: &Bytes) {
    put_len(out, bytes.len());
    out.put_slice(bytes);
}

fn put_len(out: &mut impl BufMut, len: usize) {
    out.put_u32_le(u32::try_from(len).expect("frames are bounded far below four gigabytes"));
}
