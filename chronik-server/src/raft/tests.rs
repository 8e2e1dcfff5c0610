//! What a replica leaves in a checkpoint is read back as it was, and no bytes harm the reader.

use bytes::{Bytes, BytesMut};
use chronik_core::catalog::{Catalog, Command};
use chronik_core::group::{Action, Group, Settings, Stored};
use chronik_core::ids::{GroupUid, TopicId};
use chronik_core::partition::{BatchHeader, batch};
use chronik_wal::{RecoveredGroup, Trim};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::event::Append;
use super::meta::Birth;
use super::recovery::{Replayed, rebuild};
use super::replica::{MetaState, Replica, State};

const GROUP: GroupUid = GroupUid(2000);

fn settings(uid: GroupUid) -> Settings {
    Settings {
        uid,
        replica: 7,
        boot: 0,
        election_ticks: 10,
        heartbeat_ticks: 2,
        applies_entries: uid == GroupUid::META,
    }
}

fn replica(uid: GroupUid, state: State) -> Replica {
    let mut replica = Replica::new(Group::new(&settings(uid), Stored::new(vec![7])), state);
    replica.group.campaign();
    settle(&mut replica);
    replica
}

/// A disk without delay.
fn settle(replica: &mut Replica) {
    replica.propose();
    loop {
        let mut actions = Vec::new();
        replica.group.drain(&mut actions);
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action {
                Action::Persist(persist) => {
                    replica.group.persisted(persist.number, &mut Vec::new())
                }
                Action::Leadership(_) => {
                    let epoch = replica.epoch();
                    replica
                        .records()
                        .map(|records| records.log.note_epoch(epoch))
                        .unwrap_or_default();
                }
                Action::Committed { index } => {
                    replica
                        .records()
                        .map(|records| records.committed(index))
                        .unwrap_or_default();
                }
                Action::Apply(entries) => replica
                    .group
                    .applied(entries.last().expect("never empty").index),
                Action::Send(messages) => assert!(messages.is_empty()),
                other => panic!("{other:?} in a group of one voter"),
            }
        }
    }
}

fn append(replica: &mut Replica, producer: i64, sequence: i32, count: i32) {
    let mut bytes = BytesMut::zeroed(batch::HEADER_LEN);
    bytes[8..12].copy_from_slice(&(batch::HEADER_LEN as i32 - 12).to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[43..51].copy_from_slice(&producer.to_be_bytes());
    bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    batch::stamp(&mut bytes, 5);
    let header = BatchHeader::check(&bytes).expect("a whole batch");
    let (reply, _) = oneshot::channel();
    assert!(replica.append(Append {
        group: GROUP,
        header,
        batch: bytes,
        reply
    }));
}

fn recovered(replica: &Replica, uid: GroupUid) -> RecoveredGroup {
    let birth = Birth {
        topic: TopicId([3; 16]),
        partition: 1,
        voters: vec![7],
    };
    RecoveredGroup {
        uid: uid.0,
        create: birth.encode(),
        hard_state: None,
        conf_state: None,
        snapshot: None,
        trim: Trim {
            index: 1,
            term: 1,
            offset: 0,
        },
        last_index: replica.group.last_index(),
        last_term: replica.group.term(),
        next_offset: 0,
        state: Some(replica.encode()),
    }
}

#[test]
fn a_partition_comes_back_from_its_checkpoint() {
    let mut before = replica(GROUP, State::Records(Box::default()));
    for sequence in 0..9 {
        append(&mut before, 40 + i64::from(sequence % 2), sequence / 2, 1);
        settle(&mut before);
    }
    before.records().expect("a partition").kept_state = Some((3, Bytes::from_static(b"kept")));
    let mut after =
        rebuild(&recovered(&before, GROUP), None, settings).expect("a state of this version");
    let (before, after) = (
        before.records().expect("records"),
        after.records().expect("records"),
    );
    assert_eq!(before.log, after.log);
    assert_eq!(before.log.end_offset(), 9);
    assert_eq!(before.kept_state, after.kept_state);
}

#[test]
fn the_catalog_comes_back_with_commands_that_were_not_applied() {
    let mut catalog = Catalog::default();
    catalog.apply(Command::Found {
        cluster_id: "c".to_owned(),
    });
    let mut before = replica(
        GroupUid::META,
        State::Meta(Box::new(MetaState {
            catalog: catalog.clone(),
            applied: 2,
        })),
    );
    before
        .group
        .propose([Command::TakeProducerIds { count: 5 }.encode()])
        .expect("it leads");
    before.group.drain(&mut Vec::new());
    let after = rebuild(&recovered(&before, GroupUid::META), None, settings)
        .expect("a state of this version");
    let State::Meta(meta) = &after.state else {
        panic!("the metadata group has a catalog")
    };
    assert_eq!((&meta.catalog, meta.applied), (&catalog, 2));
    assert_eq!(after.group.unapplied().len(), 1);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let replica = replica(GROUP, State::Records(Box::default()));
        let _ = Replayed::decode(&bytes, &recovered(&replica, GROUP));
        let _ = Birth::decode(&bytes);
    }

    #[test]
    fn damaged_states_do_not_panic(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut replica = replica(GROUP, State::Records(Box::default()));
        append(&mut replica, 1, 0, 3);
        settle(&mut replica);
        let mut state = replica.encode().to_vec();
        let at = at.index(state.len());
        state[at] ^= 1 << bit;
        let _ = Replayed::decode(&state, &recovered(&replica, GROUP));
    }
}
