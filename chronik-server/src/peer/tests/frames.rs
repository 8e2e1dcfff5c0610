//! Every frame is read as it was written, and no bytes make the reader panic or take memory they do not justify.

use bytes::{Bytes, BytesMut};
use chronik_core::group::eraftpb::{
    ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};
use chronik_core::ids::NodeId;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::peer::frame::{Frame, Hello, Identity, Pulse, Question};
use crate::peer::{GroupMessage, Lane};

fn encoded(frame: &Frame) -> Bytes {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    assert_eq!(bytes.len(), frame.encoded_len());
    bytes.freeze()
}

#[test]
fn payloads_share_the_memory_of_their_frame() {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgAppend);
    let entry = Entry {
        data: Bytes::from(vec![7; 4096]),
        ..Entry::default()
    };
    message.set_entries(vec![entry].into());
    let frame = Frame::Messages(vec![GroupMessage { group: 9, message }]);
    let bytes = encoded(&frame);
    let Ok(Frame::Messages(read)) = Frame::decode(bytes.clone()) else {
        panic!("messages were written");
    };
    let data = &read[0].message.entries[0].data;
    assert!(bytes.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn a_heartbeat_is_small() {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgHeartbeat);
    message.to = 2;
    message.from = 1;
    message.term = 7;
    message.commit = 1000;
    let message = GroupMessage {
        group: 1024,
        message,
    };
    assert!(message.encoded_len() <= 48, "{}", message.encoded_len());
}

#[test]
fn a_count_that_the_bytes_do_not_justify_is_refused() {
    const MESSAGES: u8 = 2;
    let mut bytes = vec![MESSAGES];
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([0; 64]);
    assert!(Frame::decode(bytes.into()).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(frame in any_frame()) {
        let bytes = encoded(&frame);
        prop_assert_eq!(Frame::decode(bytes), Ok(frame));
    }

    #[test]
    fn a_frame_that_is_cut_or_too_long_is_refused(frame in any_frame(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&frame);
        let mut longer = BytesMut::from(&bytes[..]);
        longer.extend([0]);
        // The body of a request has no length of its own: a shorter or longer one is another request.
        let is_open_ended = matches!(frame, Frame::Ask { question: Question::Call(_), .. } | Frame::Answer { .. });
        if !is_open_ended {
            prop_assert!(Frame::decode(bytes.slice(..cut.index(bytes.len()))).is_err());
            prop_assert!(Frame::decode(longer.freeze()).is_err());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(bytes.into());
    }

    #[test]
    fn no_damage_panics(frame in any_frame(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = BytesMut::from(&encoded(&frame)[..]);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = Frame::decode(bytes.freeze()) {
            // What is read can be written again, whatever it is.
            encoded(&read);
        }
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let hello = (
        any::<[u16; 2]>(),
        any::<bool>(),
        any::<u64>(),
        any_identity(),
    );
    let hello = hello.prop_map(|(versions, is_bulk, to, identity)| {
        Frame::Hello(Hello {
            oldest_version: versions[0],
            newest_version: versions[1],
            lane: if is_bulk { Lane::Bulk } else { Lane::Control },
            to: NodeId(to),
            identity,
        })
    });
    prop_oneof![
        hello,
        vec(any_message(), 0..6).prop_map(Frame::Messages),
        any_pulse().prop_map(Frame::Ping),
        any_pulse().prop_map(Frame::Pong),
        any::<u64>().prop_map(|id| Frame::Ask {
            id,
            question: Question::Identity
        }),
        (any::<u64>(), any_bytes()).prop_map(|(id, body)| Frame::Ask {
            id,
            question: Question::Call(body)
        }),
        (any::<u64>(), any_bytes()).prop_map(|(id, body)| Frame::Answer {
            id,
            outcome: Ok(body)
        }),
        (any::<u64>(), "\\PC{0,20}").prop_map(|(id, reason)| Frame::Answer {
            id,
            outcome: Err(reason)
        }),
    ]
}

fn any_pulse() -> impl Strategy<Value = Pulse> {
    let parts = (any::<u64>(), any::<bool>(), any_identity());
    parts.prop_map(|(echo, wal_ok, identity)| Pulse {
        echo,
        wal_ok,
        identity,
    })
}

fn any_identity() -> impl Strategy<Value = Identity> {
    let cluster = prop::option::of("[a-z0-9-]{1,36}");
    let parts = (any::<[u64; 3]>(), cluster);
    parts.prop_map(|([node, incarnation, boot], cluster_id)| Identity {
        node: NodeId(node),
        cluster_id: cluster_id.map(Into::into),
        incarnation,
        boot,
    })
}

fn any_message() -> impl Strategy<Value = GroupMessage> {
    let kind = prop::sample::select(vec![
        MessageType::MsgHup,
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgSnapshot,
        MessageType::MsgHeartbeat,
        MessageType::MsgReadIndexResp,
        MessageType::MsgRequestPreVoteResponse,
    ]);
    let numbers = vec(prop_oneof![Just(0), any::<u64>()], 12);
    let parts = (
        kind,
        numbers,
        any::<bool>(),
        any_bytes(),
        vec(any_entry(), 0..4),
        prop::option::of(any_snapshot()),
    );
    parts.prop_map(|(kind, numbers, reject, context, entries, snapshot)| {
        let mut message = Message::default();
        message.set_msg_type(kind);
        message.to = numbers[0];
        message.from = numbers[1];
        message.term = numbers[2];
        message.log_term = numbers[3];
        message.index = numbers[4];
        message.commit = numbers[5];
        message.commit_term = numbers[6];
        message.request_snapshot = numbers[7];
        message.reject_hint = numbers[8];
        message.deprecated_priority = numbers[9];
        message.priority = numbers[10].cast_signed();
        message.reject = reject;
        message.context = context;
        message.set_entries(entries.into());
        if let Some(snapshot) = snapshot {
            message.set_snapshot(snapshot);
        }
        GroupMessage {
            group: numbers[11],
            message,
        }
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop::sample::select(vec![
        EntryType::EntryNormal,
        EntryType::EntryConfChange,
        EntryType::EntryConfChangeV2,
    ]);
    let parts = (kind, any::<[u64; 2]>(), any_bytes(), any_bytes());
    parts.prop_map(|(kind, [term, index], context, data)| {
        let mut entry = Entry::default();
        entry.set_entry_type(kind);
        entry.term = term;
        entry.index = index;
        entry.context = context;
        entry.data = data;
        entry
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let members = vec(vec(any::<u64>(), 0..5), 4);
    let parts = (any::<[u64; 2]>(), any::<bool>(), members, any_bytes());
    parts.prop_map(|([index, term], auto_leave, mut members, data)| {
        let mut metadata = SnapshotMetadata {
            index,
            term,
            ..SnapshotMetadata::default()
        };
        metadata.set_conf_state(ConfState {
            auto_leave,
            voters: std::mem::take(&mut members[0]),
            learners: std::mem::take(&mut members[1]),
            voters_outgoing: std::mem::take(&mut members[2]),
            learners_next: std::mem::take(&mut members[3]),
            ..ConfState::default()
        });
        let mut snapshot = Snapshot::default();
        snapshot.set_metadata(metadata);
        snapshot.data = data;
        snapshot
    })
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}
