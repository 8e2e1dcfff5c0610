//! The catalog's rules, and its bytes there and back.

use proptest::prelude::*;

use super::*;

fn topic(name: &str, partitions: usize) -> NewTopic {
    let mut id = [0; 16];
    id[..name.len().min(16)].copy_from_slice(&name.as_bytes()[..name.len().min(16)]);
    NewTopic {
        name: name.to_owned(),
        id: TopicId(id),
        internal: false,
        partitions: vec![vec![NodeId(1)]; partitions],
        configs: vec![("retention.ms".to_owned(), "1000".to_owned())],
    }
}

#[test]
fn every_partition_gets_a_group_of_its_own_for_ever() {
    let mut catalog = Catalog::default();
    catalog.apply(Command::CreateTopics(vec![
        topic("orders", 2),
        topic("pay", 1),
    ]));
    let first: Vec<_> = catalog
        .topics
        .values()
        .flat_map(|t| t.partitions.iter().map(|p| p.group))
        .collect();
    let id = catalog.topic("orders").unwrap().id;
    catalog.apply(Command::DeleteTopics(vec![id]));
    catalog.apply(Command::CreateTopics(vec![topic("orders", 1)]));
    assert_eq!(first, [GroupUid(1024), GroupUid(1025), GroupUid(1026)]);
    assert_eq!(
        catalog.topic("orders").unwrap().partitions[0].group,
        GroupUid(1027)
    );
}

#[test]
fn one_bad_topic_does_not_stop_the_others() {
    let mut catalog = Catalog::default();
    catalog.apply(Command::CreateTopics(vec![topic("a.b", 1)]));
    let outcome = catalog.apply(Command::CreateTopics(vec![
        topic("a_b", 1),
        topic("c", 1),
        topic("a.b", 1),
    ]));
    let Outcome::Topics(topics) = outcome else {
        panic!("topics were created")
    };
    assert_eq!(
        topics[0],
        TopicOutcome::Refused(Refused::NameCollides("a.b".into()))
    );
    assert!(matches!(&topics[1], TopicOutcome::Created(t) if &*t.name == "c"));
    assert_eq!(
        topics[2],
        TopicOutcome::Refused(Refused::TopicExists("a.b".into()))
    );
}

#[test]
fn a_wiped_node_begins_another_life_and_the_old_one_never_returns() {
    let mut catalog = Catalog::default();
    catalog.apply(Command::Found {
        cluster_id: "c".to_owned(),
        voters: vec![NodeId(1), NodeId(2)],
    });
    let node = |incarnation| node(2, incarnation);
    assert_eq!(catalog.apply(Command::RegisterNode(node(1))), Outcome::Done);
    for _ in 0..2 {
        let admit = Command::Admit {
            node: NodeId(2),
            directory: [9; 16],
        };
        let admitted = Outcome::Admitted { incarnation: 2 };
        assert_eq!(
            catalog.apply(admit),
            admitted,
            "asking twice is asking once"
        );
    }
    assert_eq!(
        catalog.apply(Command::RegisterNode(node(1))),
        Outcome::Refused(Refused::EndedLife {
            node: NodeId(2),
            got: 1,
            newest: 2
        })
    );
    assert_eq!(catalog.apply(Command::RegisterNode(node(2))), Outcome::Done);
    assert_eq!(catalog.replica_on(NodeId(2)).incarnation(), 2);
    assert_eq!(catalog.replica_on(NodeId(1)).node(), NodeId(1));
}

#[test]
fn configs_are_checked_with_a_reason() {
    assert_eq!(topic_config::check("retention.ms", "-1"), Ok(()));
    for (key, value, reason) in [
        (
            "cleanup.policy",
            "forget",
            "cleanup.policy=\"forget\" is not supported; supported: delete, compact",
        ),
        (
            "retention.ms",
            "-2",
            "retention.ms=-2 is outside -1..=9223372036854775807",
        ),
        (
            "retention.ms",
            "soon",
            "retention.ms=\"soon\" is not a 64-bit number",
        ),
        ("retention", "1", "topics have no config \"retention\" here"),
    ] {
        assert_eq!(
            topic_config::check(key, value).unwrap_err().to_string(),
            reason
        );
    }
    for row in topic_config::ROWS {
        assert_eq!(
            topic_config::check(row.name, row.default),
            Ok(()),
            "{}",
            row.name
        );
    }
}

#[test]
fn a_replica_that_comes_back_has_another_number() {
    let mut catalog = four_nodes();
    let at = |catalog: &Catalog| catalog.topic("moved").unwrap().partitions[0].clone();
    let first = catalog.replica_in(&at(&catalog), NodeId(1));
    move_to(&mut catalog, &[2, 3, 4]);
    let moving = at(&catalog);
    assert_eq!(moving.adding(), [NodeId(4)]);
    assert_eq!(moving.removing(), [NodeId(1)]);
    assert_eq!(moving.holders(), [2, 3, 4, 1].map(NodeId));
    assert_eq!(catalog.replica_in(&moving, NodeId(1)), first);
    finish(&mut catalog);
    assert!(!at(&catalog).is_moving());
    move_to(&mut catalog, &[1, 2, 3]);
    let back = catalog.replica_in(&at(&catalog), NodeId(1));
    assert_ne!(back, first);
    assert_eq!(
        (back.node(), back.incarnation()),
        (NodeId(1), first.incarnation())
    );
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
}

#[test]
fn a_move_that_is_given_up_ends_where_it_began() {
    let mut catalog = four_nodes();
    move_to(&mut catalog, &[4, 2, 3]);
    begin(&mut catalog, Destination::Back);
    let partition = catalog.topic("moved").unwrap().partitions[0].clone();
    assert_eq!(partition.replicas, [1, 2, 3].map(NodeId));
    assert_eq!(partition.removing(), [NodeId(4)]);
    finish(&mut catalog);
    let refused = catalog.apply(unmarked(vec![heading(&catalog, Destination::Back)]));
    assert_eq!(
        refused,
        Outcome::Topics(vec![TopicOutcome::Refused(Refused::NoMove)])
    );
}

#[test]
fn of_two_plans_for_one_layout_only_one_begins_and_the_other_leaves_no_trace() {
    let mut catalog = four_nodes();
    catalog.apply(Command::CreateTopics(vec![NewTopic {
        partitions: vec![vec![NodeId(1)]],
        ..topic("alone", 1)
    }]));
    let alone = Move {
        topic: catalog.topic("alone").unwrap().id,
        ..planned(&catalog, &[4], &[1])
    };
    // Both were made for the same layout; the second one has a partition to itself, too.
    let first = vec![planned(&catalog, &[4, 2, 3], &[1, 2, 3])];
    let second = vec![alone.clone(), planned(&catalog, &[1, 2, 4], &[1, 2, 3])];
    assert!(matches!(catalog.apply(unmarked(first)), Outcome::Topics(_)));
    let between = catalog.clone();
    let elsewhere = |topic: &str| Refused::Elsewhere {
        topic: topic.into(),
        partition: 0,
    };
    let moves_already = Refused::MovesAlready {
        topic: "moved".into(),
        partition: 0,
    };
    let late = Command::MoveReplicas(Order {
        moves: second.clone(),
        mark: Some(DrainMark {
            node: NodeId(3),
            is_drained: true,
        }),
        throttle: Some(Some(9)),
        ..Order::default()
    });
    assert_eq!(catalog.apply(late), Outcome::Refused(moves_already));
    assert_eq!(catalog.topics, between.topics);
    assert_eq!(catalog.drained, between.drained);
    assert_eq!(catalog.throttle, None);
    finish(&mut catalog);
    assert_eq!(
        catalog.apply(unmarked(second)),
        Outcome::Refused(elsewhere("moved"))
    );
    assert_eq!(catalog.topic("alone"), between.topic("alone"));
    // What is on its way belongs to whoever ordered it last.
    let mut back = heading(&catalog, Destination::Back);
    move_to(&mut catalog, &[1, 2, 3]);
    let since = catalog.version;
    move_to(&mut catalog, &[1, 2, 4]);
    back.expected = Expected::Moving { since };
    assert_eq!(
        catalog.apply(unmarked(vec![back])),
        Outcome::Refused(Refused::NoMove)
    );
}

#[test]
fn a_drained_node_gets_nothing_until_it_is_not_drained_any_more() {
    let mut catalog = four_nodes();
    assert_eq!(catalog.apply(mark(4, true)), Outcome::Topics(Vec::new()));
    let drained = Refused::Drained(NodeId(4));
    let to_it = || planned(&four_nodes(), &[4, 2, 3], &[1, 2, 3]);
    assert_eq!(
        catalog.apply(unmarked(vec![to_it()])),
        Outcome::Refused(drained.clone())
    );
    let new = NewTopic {
        partitions: vec![vec![NodeId(4)]],
        ..topic("new", 1)
    };
    let refused = Outcome::Topics(vec![TopicOutcome::Refused(drained.clone())]);
    assert_eq!(catalog.apply(Command::CreateTopics(vec![new])), refused);
    let more = Command::AddPartitions {
        topic: catalog.topic("moved").unwrap().id,
        total: 2,
        replicas: vec![vec![NodeId(1), NodeId(4)]],
    };
    assert_eq!(catalog.apply(more), refused);
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    // The node that says where it is after a start is drained still; one that gets its share is not.
    catalog.apply(Command::RegisterNode(node(4, 1)));
    assert!(catalog.drained.contains(&NodeId(4)));
    let fill = Command::MoveReplicas(Order {
        moves: vec![to_it()],
        mark: Some(DrainMark {
            node: NodeId(4),
            is_drained: false,
        }),
        ..Order::default()
    });
    assert!(matches!(catalog.apply(fill), Outcome::Topics(_)));
    assert!(catalog.drained.is_empty());
    // What moves off a drained node may come back to it.
    catalog.apply(mark(1, true));
    begin(&mut catalog, Destination::Back);
    finish(&mut catalog);
    assert_eq!(
        catalog.apply(mark(9, true)),
        Outcome::Refused(Refused::UnknownNode(NodeId(9)))
    );
}

#[test]
fn checkpoints_and_logs_of_earlier_versions_are_read() {
    let catalog = four_nodes();
    let mut old = catalog.encode().to_vec();
    // Every partition of today has a list for its home, and at the end there is whether there is a throttle, and a list
    // of paused operations; all of them are empty here.
    let configs = &catalog.topic("moved").unwrap().configs;
    let configs: usize = configs
        .iter()
        .map(|(key, value)| 8 + key.len() + value.len())
        .sum();
    let behind_home = (8 + 4) + (4 + configs) + 4 + (1 + 4);
    let home = old.len() - behind_home - 4;
    old.drain(home..home + 4);
    old.truncate(old.len() - 5);
    old[0] = SNAPSHOT_WITHOUT_HOMES;
    assert_eq!(Catalog::decode(&old).unwrap(), catalog);
    old[0] = SNAPSHOT_WITHOUT_DRAINED;
    old.truncate(old.len() - 4);
    assert_eq!(Catalog::decode(&old).unwrap(), catalog);

    let homeless = |to: Destination, expected: Expected| {
        let moves = vec![Move {
            topic: TopicId([7; 16]),
            partition: 3,
            to,
            expected,
        }];
        Command::MoveReplicas(Order {
            moves,
            is_homeless: true,
            ..Order::default()
        })
    };
    let log = |tag: u8, rest: &[u8]| {
        let mut log = Writer::new();
        log.u8(2).u8(tag).count(1).raw(&[7; 16]).u32(3).raw(rest);
        Command::decode(&log.finish()).unwrap()
    };
    assert_eq!(
        log(9, &[0]),
        homeless(Destination::Back, Expected::Anything)
    );
    assert_eq!(
        log(12, &[0, 2, 9, 0, 0, 0, 0, 0, 0, 0, 0]),
        homeless(Destination::Back, Expected::Moving { since: 9 })
    );
}

/// A node that replays such a move and one that has it in a checkpoint know the same.
#[test]
fn what_moved_in_an_earlier_version_has_no_home_but_finds_back() {
    let mut catalog = four_nodes();
    move_to(&mut catalog, &[4, 2, 3]);
    finish(&mut catalog);
    let old = |catalog: &Catalog, to: &[u64]| {
        Command::MoveReplicas(Order {
            moves: vec![wanted(catalog, to)],
            is_homeless: true,
            ..Order::default()
        })
    };
    let command = old(&catalog, &[1, 2, 3]);
    catalog.apply(command);
    let mut cancelled = catalog.clone();
    begin(&mut cancelled, Destination::Back);
    assert_eq!(replicas(&cancelled), [4, 2, 3]);
    finish(&mut catalog);
    let home = heading(&catalog, Destination::Home);
    let refused = Refused::NoHome {
        topic: "moved".into(),
        partition: 0,
    };
    assert_eq!(
        catalog.apply(unmarked(vec![home])),
        Outcome::Topics(vec![TopicOutcome::Refused(refused)])
    );
}

#[test]
fn what_goes_back_goes_to_where_it_stood_still() {
    let mut catalog = four_nodes();
    move_to(&mut catalog, &[4, 2, 3]);
    // On its way it is sent elsewhere: it never was where it was sent first.
    move_to(&mut catalog, &[1, 4, 3]);
    let mut given_up = catalog.clone();
    begin(&mut given_up, Destination::Back);
    assert_eq!(replicas(&given_up), [1, 2, 3]);
    assert_eq!(partition(&given_up).removing(), [NodeId(4)]);
    finish(&mut catalog);
    let since = partition(&catalog).moved_at;
    let back = Move {
        expected: Expected::Moving { since },
        ..heading(&catalog, Destination::Home)
    };
    let arrived = catalog.clone();
    assert!(matches!(
        catalog.apply(unmarked(vec![back.clone()])),
        Outcome::Topics(_)
    ));
    assert_eq!(replicas(&catalog), [1, 2, 3]);
    finish(&mut catalog);
    // Going back is a move like others: it can be taken back.
    begin(&mut catalog, Destination::Home);
    assert_eq!(replicas(&catalog), [1, 4, 3]);
    assert_eq!(
        catalog.apply(unmarked(vec![back.clone()])),
        Outcome::Refused(Refused::NoMove)
    );
    // It goes to no node that is drained, nor to one that left.
    let mut drained = arrived.clone();
    drained.apply(mark(2, true));
    assert_eq!(
        drained.apply(unmarked(vec![back.clone()])),
        Outcome::Refused(Refused::Drained(NodeId(2)))
    );
    let mut left = arrived;
    left.apply(Command::RemoveNode(NodeId(2)));
    assert_eq!(
        left.apply(unmarked(vec![back])),
        Outcome::Refused(Refused::Placement)
    );
}

#[test]
fn an_operation_is_paused_as_long_as_it_is_under_way() {
    let mut catalog = four_nodes();
    let pause = |operation, is_paused| Command::PauseMoves {
        operation,
        is_paused,
    };
    let nothing = Outcome::Refused(Refused::NoOperation(99));
    assert_eq!(catalog.apply(pause(99, true)), nothing);
    move_to(&mut catalog, &[4, 2, 3]);
    let id = catalog.version;
    assert_eq!(catalog.apply(pause(id, true)), Outcome::Done);
    assert_eq!(catalog.apply(pause(id, true)), Outcome::Done);
    assert!(catalog.is_paused(&partition(&catalog)));
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    let mut resumed = catalog.clone();
    assert_eq!(resumed.apply(pause(id, false)), Outcome::Done);
    assert!(!resumed.is_paused(&partition(&resumed)));
    // Whatever ends it ends its pause.
    let mut finished = catalog.clone();
    finish(&mut finished);
    let mut deleted = catalog.clone();
    let topic = deleted.topic("moved").unwrap().id;
    deleted.apply(Command::DeleteTopics(vec![topic]));
    begin(&mut catalog, Destination::Back);
    for ended in [finished, deleted, catalog] {
        assert!(ended.paused.is_empty());
        assert_eq!(
            ended.clone().apply(pause(id, false)),
            Outcome::Refused(Refused::NoOperation(id))
        );
    }
}

#[test]
fn a_throttle_is_set_by_itself_or_with_moves() {
    let mut catalog = four_nodes();
    let set = |limit, expected| Command::SetThrottle { limit, expected };
    catalog.apply(set(Some(1 << 20), None));
    assert_eq!(catalog.throttle, Some(1 << 20));
    // Whoever saw no limit does not know what he changes.
    let refused = Outcome::Refused(Refused::OtherThrottle);
    assert_eq!(catalog.apply(set(Some(7), Some(None))), refused);
    assert_eq!(catalog.throttle, Some(1 << 20));
    assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    let order = |throttle| {
        Command::MoveReplicas(Order {
            throttle,
            ..Order::default()
        })
    };
    catalog.apply(order(None));
    assert_eq!(catalog.throttle, Some(1 << 20));
    catalog.apply(order(Some(None)));
    assert_eq!(catalog.throttle, None);
}

#[test]
fn a_node_leaves_once_it_holds_nothing_and_comes_back_in_another_life() {
    let mut catalog = four_nodes();
    let still_holds = Refused::StillHolds {
        node: NodeId(1),
        partitions: 1,
    };
    assert_eq!(
        catalog.apply(Command::RemoveNode(NodeId(1))),
        Outcome::Refused(still_holds)
    );
    move_to(&mut catalog, &[4, 2, 3]);
    finish(&mut catalog);
    assert_eq!(catalog.apply(Command::RemoveNode(NodeId(1))), Outcome::Done);
    // Another node votes instead of it.
    assert_eq!(catalog.meta_voters, [4, 2, 3].map(NodeId));
    let back = Command::RegisterNode(node(1, 1));
    assert!(matches!(
        catalog.apply(back),
        Outcome::Refused(Refused::EndedLife { .. })
    ));
    catalog.apply(Command::Admit {
        node: NodeId(1),
        directory: [9; 16],
    });
    assert_eq!(
        catalog.apply(Command::RegisterNode(node(1, 2))),
        Outcome::Done
    );
    assert_eq!(catalog.meta_learners().collect::<Vec<_>>(), [NodeId(1)]);
}

#[test]
fn who_votes_for_the_catalog_is_changed_by_those_who_know_who_does() {
    let mut catalog = four_nodes();
    let set = |present: &[u64], wanted: &[u64]| Command::SetMetaVoters {
        present: present.iter().copied().map(NodeId).collect(),
        wanted: wanted.iter().copied().map(NodeId).collect(),
    };
    let promote = set(&[1, 2, 3], &[1, 2, 3, 4]);
    assert_eq!(Command::decode(&promote.encode()).unwrap(), promote);
    assert_eq!(catalog.apply(promote.clone()), Outcome::Done);
    assert_eq!(catalog.meta_learners().count(), 0);
    assert_eq!(
        catalog.apply(promote),
        Outcome::Refused(Refused::OtherVoters)
    );
    assert_eq!(catalog.apply(set(&[1, 2, 3, 4], &[2, 3, 4])), Outcome::Done);
    assert_eq!(catalog.meta_learners().collect::<Vec<_>>(), [NodeId(1)]);
    for senseless in [&[][..], &[2, 2], &[2, 9]] {
        let refused = Outcome::Refused(Refused::Placement);
        assert_eq!(catalog.apply(set(&[2, 3, 4], senseless)), refused);
    }
}

/// Nodes 1 to 3 founded it and hold its only partition.
fn four_nodes() -> Catalog {
    let mut catalog = Catalog::default();
    let voters = [1, 2, 3].map(NodeId).to_vec();
    catalog.apply(Command::Found {
        cluster_id: "c".to_owned(),
        voters: voters.clone(),
    });
    catalog.apply(Command::Admit {
        node: NodeId(4),
        directory: [4; 16],
    });
    (1..=4).for_each(|id| _ = catalog.apply(Command::RegisterNode(node(id, 1))));
    catalog.apply(Command::CreateTopics(vec![NewTopic {
        partitions: vec![voters],
        ..topic("moved", 1)
    }]));
    catalog
}

fn node(id: u64, incarnation: u64) -> Node {
    Node {
        id: NodeId(id),
        incarnation,
        peer_address: format!("node-{id}:9192"),
        kafka_host: format!("node-{id}"),
        kafka_port: 9092,
        rack: None,
    }
}

fn wanted(catalog: &Catalog, replicas: &[u64]) -> Move {
    let nodes = replicas.iter().copied().map(NodeId).collect();
    heading(catalog, Destination::Nodes(nodes))
}

fn heading(catalog: &Catalog, to: Destination) -> Move {
    Move {
        topic: catalog.topic("moved").unwrap().id,
        partition: 0,
        to,
        expected: Expected::Anything,
    }
}

/// A move as a plan has it, made for this layout.
fn planned(catalog: &Catalog, replicas: &[u64], from: &[u64]) -> Move {
    Move {
        expected: Expected::At(from.iter().copied().map(NodeId).collect()),
        ..wanted(catalog, replicas)
    }
}

fn unmarked(moves: Vec<Move>) -> Command {
    Command::MoveReplicas(Order {
        moves,
        ..Order::default()
    })
}

fn mark(node: u64, is_drained: bool) -> Command {
    Command::MoveReplicas(Order {
        mark: Some(DrainMark {
            node: NodeId(node),
            is_drained,
        }),
        ..Order::default()
    })
}

fn move_to(catalog: &mut Catalog, replicas: &[u64]) {
    let nodes = replicas.iter().copied().map(NodeId).collect();
    begin(catalog, Destination::Nodes(nodes));
}

fn partition(catalog: &Catalog) -> Partition {
    catalog.topic("moved").unwrap().partitions[0].clone()
}

fn replicas(catalog: &Catalog) -> Vec<u64> {
    let replicas = partition(catalog).replicas;
    replicas.iter().map(|node| node.0).collect()
}

fn begin(catalog: &mut Catalog, to: Destination) {
    let moved = catalog.apply(unmarked(vec![heading(catalog, to)]));
    let Outcome::Topics(outcomes) = moved else {
        panic!("{moved:?}")
    };
    assert!(matches!(outcomes[..], [TopicOutcome::Moved(_)]));
}

fn finish(catalog: &mut Catalog) {
    let topic = catalog.topic("moved").unwrap();
    let command = Command::FinishMove {
        topic: topic.id,
        partition: 0,
        moved_at: topic.partitions[0].moved_at,
    };
    catalog.apply(command);
}

proptest! {
    #[test]
    fn a_catalog_survives_its_bytes(names in prop::collection::btree_set("[a-z]{1,9}", 0..9), count in 1usize..5) {
        let mut catalog = Catalog::default();
        catalog.apply(Command::Found { cluster_id: "c".to_owned(), voters: vec![NodeId(1), NodeId(2)] });
        catalog.apply(Command::Admit { node: NodeId(2), directory: [7; 16] });
        let create = Command::CreateTopics(names.iter().map(|name| topic(name, count)).collect());
        prop_assert_eq!(&Command::decode(&create.encode()).unwrap(), &create);
        catalog.apply(create);
        catalog.apply(Command::TakeProducerIds { count: 7 });
        for command in [
            Command::MoveReplicas(Order {
                moves: vec![
                    Move { topic: TopicId([1; 16]), partition: 3, to: Destination::Nodes(vec![NodeId(4)]), expected: Expected::Anything },
                    Move { topic: TopicId([1; 16]), partition: 0, to: Destination::Back, expected: Expected::Moving { since: 7 } },
                    Move { topic: TopicId([1; 16]), partition: 1, to: Destination::Home, expected: Expected::At(vec![NodeId(2)]) },
                ],
                mark: Some(DrainMark { node: NodeId(4), is_drained: true }),
                throttle: Some(Some(77)),
                ..Order::default()
            }),
            Command::SetThrottle { limit: None, expected: Some(Some(9)) },
            Command::SetThrottle { limit: Some(7), expected: None },
            Command::PauseMoves { operation: 7, is_paused: true },
            unmarked(Vec::new()),
            Command::FinishMove { topic: TopicId([1; 16]), partition: 3, moved_at: 9 },
            Command::RemoveNode(NodeId(4)),
        ] {
            prop_assert_eq!(&Command::decode(&command.encode()).unwrap(), &command);
            catalog.apply(command);
        }
        prop_assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::decode(&bytes);
        let _ = Catalog::decode(&bytes);
    }
}

#[test]
fn a_new_cluster_begins_on_one_node_and_grows_to_what_was() {
    let mut catalog = Catalog::default();
    catalog.apply(Command::Found {
        cluster_id: "old".to_owned(),
        voters: vec![NodeId(1), NodeId(2), NodeId(3)],
    });
    let mut orders = topic("orders", 0);
    orders.partitions = vec![
        vec![NodeId(3), NodeId(1), NodeId(2)],
        vec![NodeId(4), NodeId(5)],
        vec![NodeId(2), NodeId(3)],
    ];
    catalog.apply(Command::CreateTopics(vec![orders]));
    let Outcome::ProducerIds { first: last_before } =
        catalog.apply(Command::TakeProducerIds { count: 1 })
    else {
        panic!("ids were taken")
    };
    let nodes = [NodeId(1), NodeId(2), NodeId(3)];
    let mut reborn = catalog.reborn("new", NodeId(1), &nodes);
    assert_eq!(Catalog::decode(&reborn.encode()).unwrap(), reborn);
    assert_eq!(
        (&*reborn.cluster_id, reborn.version, reborn.nodes.len()),
        ("new", catalog.version + 1, 0)
    );
    assert_eq!(reborn.meta_voters, nodes);
    let partitions = &reborn.topic("orders").unwrap().partitions;
    assert!(partitions.iter().all(|partition| {
        partition.born == [ReplicaId::new(NodeId(1), 1)] && partition.holders().contains(&NodeId(1))
    }));
    assert_eq!(partitions[0].replicas, [NodeId(3), NodeId(1), NodeId(2)]);
    assert!(!partitions[0].is_moving());
    assert_eq!(partitions[1].replicas.len(), 2);
    assert_eq!(partitions[2].removing(), [NodeId(1)]);
    // Every node is admitted into its first life, and the founder into its second one if it was wiped.
    let mut admit = |node| {
        let directory = [7; 16];
        let node = NodeId(node);
        reborn.apply(Command::Admit { node, directory })
    };
    assert_eq!(admit(2), Outcome::Admitted { incarnation: 1 });
    assert_eq!(admit(1), Outcome::Admitted { incarnation: 2 });
    let Outcome::ProducerIds { first } = reborn.apply(Command::TakeProducerIds { count: 1 }) else {
        panic!("ids were taken")
    };
    assert!(first > last_before + 1000);
}
