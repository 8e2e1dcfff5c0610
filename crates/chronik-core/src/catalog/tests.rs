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
    let node = |incarnation| Node {
        id: NodeId(2),
        incarnation,
        peer_address: "two:9192".to_owned(),
        kafka_host: "two".to_owned(),
        kafka_port: 9092,
        rack: None,
    };
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
            "compact",
            "cleanup.policy=\"compact\" is not supported; supported: delete",
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
        prop_assert_eq!(Catalog::decode(&catalog.encode()).unwrap(), catalog);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::decode(&bytes);
        let _ = Catalog::decode(&bytes);
    }
}
