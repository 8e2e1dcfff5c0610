//! What a replica leaves in a checkpoint is read back as it was, and no bytes harm the reader.

use bytes::{Bytes, BytesMut};
use chronik_core::catalog::{Catalog, Command, Origin, Proposal};
use chronik_core::group::{Action, Group, Lag, Settings, Stored};
use chronik_core::ids::{GroupUid, NodeId, ReplicaId, TopicId};
use chronik_core::partition::{Acks, BatchHeader, Control, Order, Restore, batch};
use chronik_fault::Planted;
use chronik_wal::{RecoveredGroup, Trim};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::event::Append;
use super::membership::Birth;
use super::meta::Meta;
use super::records::{Records, Ticket};
use super::recovery::{Replayed, rebuild};
use super::replica::{Replica, State};

const GROUP: GroupUid = GroupUid(2000);
const ME: ReplicaId = ReplicaId(7 | 1 << 32);

fn settings(uid: GroupUid, replica: ReplicaId) -> Settings {
    Settings {
        uid,
        replica: replica.0,
        boot: 0,
        election_ticks: 10,
        heartbeat_ticks: 2,
        applies_entries: uid == GroupUid::META,
        lag: Lag {
            most_ticks: 40,
            return_ticks: 8,
        },
        planted: Planted::NOTHING,
    }
}

fn led(state: State) -> Replica {
    let mut replica = Replica::new(state, vec![NodeId(7)]);
    replica.campaign();
    settle(&mut replica);
    replica
}

fn partition() -> Replica {
    let replica = Restore::born(vec![ME.0]).into_replica(&settings(GROUP, ME));
    led(State::Records(Box::new(Records::new(replica))))
}

fn settle(replica: &mut Replica) {
    loop {
        let mut orders = Vec::new();
        replica.drain(&mut orders);
        if orders.is_empty() {
            return;
        }
        for order in orders {
            match order {
                Order::Group(Action::Persist(persist)) => {
                    replica.persisted(persist.number, &mut Vec::new())
                }
                Order::Group(Action::Apply(entries)) => {
                    let last = entries.last().expect("never empty").index;
                    if let State::Meta(meta) = &mut replica.state {
                        meta.group.applied(last);
                    }
                }
                Order::Group(Action::Send(messages)) => assert!(messages.is_empty()),
                _ => {}
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
    replica.records().expect("a partition").append(Append {
        group: GROUP,
        header,
        batch: bytes,
        acks: Acks::Leader,
        reply,
    });
}

fn recovered(replica: &Replica) -> RecoveredGroup {
    let birth = Birth {
        topic: TopicId([3; 16]),
        partition: 1,
        replica: ME,
        voters: vec![ME],
    };
    RecoveredGroup {
        uid: replica.uid().0,
        create: birth.encode(),
        hard_state: None,
        conf_state: None,
        snapshot: None,
        trim: Trim {
            index: 1,
            term: 1,
            offset: 0,
        },
        last_index: replica.group().last_index(),
        last_term: replica.group().term(),
        next_offset: 0,
        state: Some(replica.encode()),
    }
}

fn come_back(replica: &Replica) -> Replica {
    let group = recovered(replica);
    let state = group.state.clone().expect("it has a checkpoint");
    let replayed = Replayed::decode(replica.uid(), &state);
    rebuild(&group, Some(replayed), |me| settings(replica.uid(), me))
        .expect("a state of this version")
}

#[test]
fn a_partition_comes_back_from_its_checkpoint() {
    let mut before = partition();
    for sequence in 0..9 {
        append(&mut before, 40 + i64::from(sequence % 2), sequence / 2, 1);
        settle(&mut before);
    }
    let kept = Control::Keep {
        offset: 3,
        state: Bytes::from_static(b"kept"),
    };
    let records = before.records().expect("a partition");
    records.replica.order(Ticket::Nobody, kept);
    settle(&mut before);
    let mut after = come_back(&before);
    assert_eq!(before.group().members(), after.group().members());
    let (before, after) = (
        before.records().expect("records").log(),
        after.records().expect("records").log(),
    );
    assert_eq!(before, after);
    assert_eq!((after.start_offset(), after.end_offset()), (3, 9));
    assert_eq!(after.kept(), Some(&(3, Bytes::from_static(b"kept"))));
}

#[test]
fn the_catalog_comes_back_with_proposals_that_were_not_applied() {
    let command = Command::Found {
        cluster_id: "c".to_owned(),
        voters: vec![NodeId(7)],
    };
    let mut catalog = Catalog::default();
    catalog.apply(command.clone());
    let group = Group::new(&settings(GroupUid::META, ME), Stored::new(vec![ME.0]));
    let mut before = led(State::Meta(Box::new(Meta::new(group, catalog.clone(), 2))));
    let State::Meta(meta) = &mut before.state else {
        panic!("the metadata group has a catalog")
    };
    let origin = Origin { boot: 1, number: 1 };
    let proposal = Proposal { origin, command };
    meta.group
        .propose([proposal.encode()])
        .expect("the only voter leads");
    before.drain(&mut Vec::new());
    let after = come_back(&before);
    let State::Meta(meta) = &after.state else {
        panic!("the metadata group has a catalog")
    };
    assert_eq!((&meta.catalog, meta.applied), (&catalog, 2));
    assert_eq!(meta.group.unapplied().len(), 1);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Replayed::decode(GROUP, &bytes);
        let _ = Replayed::decode(GroupUid::META, &bytes);
        let _ = Birth::decode(&bytes);
    }

    #[test]
    fn damaged_states_do_not_panic(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut replica = partition();
        append(&mut replica, 1, 0, 3);
        settle(&mut replica);
        let mut state = replica.encode().to_vec();
        let at = at.index(state.len());
        state[at] ^= 1 << bit;
        let _ = Replayed::decode(GROUP, &state);
    }
}
