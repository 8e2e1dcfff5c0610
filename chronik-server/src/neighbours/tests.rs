//! Requests of other nodes survive their bytes, and no bytes harm the reader.

use chronik_core::catalog::{Command, Origin};
use chronik_core::ids::GroupUid;
use proptest::prelude::*;

use super::*;

#[test]
fn requests_and_replies_survive_their_bytes() {
    let proposal = Proposal {
        origin: Origin { boot: 3, number: 4 },
        command: Command::TakeProducerIds { count: 9 },
    };
    for request in [
        Request::Probe { peers: 7 },
        Request::Join { directory: [5; 16] },
        Request::Propose(proposal),
        Request::Leads(vec![Leads {
            group: GroupUid(1030),
            epoch: 4,
            lagging: vec![NodeId(2)],
            settled: 7,
        }]),
        Request::HandTo(vec![(GroupUid(1030), NodeId(2))]),
        Request::Quorum,
        Request::Clean(vec![CleanLog {
            group: GroupUid(1030),
            replica: 3,
            members_as_of: 9,
            offset: 70,
        }]),
    ] {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    for reply in [
        Reply::Standing(Standing::Empty { directory: [1; 16] }),
        Reply::Standing(Standing::Founding {
            seen: vec![(NodeId(0), [2; 16]), (NodeId(9), [3; 16])],
        }),
        Reply::Standing(Standing::Member {
            cluster_id: "green".into(),
        }),
        Reply::Admitted {
            incarnation: 2,
            cluster_id: "green".into(),
        },
        Reply::Taken,
        Reply::NotLeader(None),
        Reply::NotLeader(Some(NodeId(0))),
        Reply::Refused("no".to_owned()),
        Reply::Quorum(Quorum {
            leader: NodeId(1),
            epoch: 3,
            committed: 9,
            members: vec![QuorumMember {
                node: NodeId(4),
                votes: false,
                matched: 8,
            }],
        }),
        Reply::Admin(Bytes::from_static(b"an answer")),
    ] {
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Request::decode(&bytes);
        let _ = Reply::decode(&bytes);
    }
}
