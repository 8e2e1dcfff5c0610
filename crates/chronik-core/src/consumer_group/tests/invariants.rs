//! Random events never break what clients and the log rely on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use crate::consumer_group::group::{Group, Phase};
use crate::consumer_group::image::Image;
use crate::consumer_group::message::*;
use crate::consumer_group::records::Record;
use crate::consumer_group::{Action, AppendError, Config, Coordinator, Event, Token};

/// What a client or the log does next. Numbers choose among what there is, so that most steps make sense.
#[derive(Clone, Debug)]
enum Step {
    Join {
        group: u8,
        member: u8,
        instance: Option<u8>,
        protocols: u8,
        name_first: bool,
        skips: bool,
    },
    Sync {
        group: u8,
        member: u8,
        stale: bool,
    },
    Heartbeat {
        group: u8,
        member: u8,
        stale: bool,
    },
    Leave {
        group: u8,
        member: u8,
    },
    Commit {
        group: u8,
        member: u8,
        outsider: bool,
        partition: u8,
    },
    Fetch {
        group: u8,
        stable: bool,
    },
    DeleteOffsets {
        group: u8,
    },
    DeleteGroup {
        group: u8,
    },
    Ask {
        group: u8,
    },
    ForgetTopic,
    Append {
        fails: bool,
    },
    Wait {
        ms: u32,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let join = (
        0..2_u8,
        0..6_u8,
        prop::option::of(0..2_u8),
        1..8_u8,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(group, member, instance, protocols, name_first, skips)| Step::Join {
                group,
                member,
                instance,
                protocols,
                name_first,
                skips,
            },
        );
    let at = (0..2_u8, 0..6_u8, prop::bool::weighted(0.1));
    prop_oneof![
        6 => join,
        6 => at.clone().prop_map(|(group, member, stale)| Step::Sync { group, member, stale }),
        3 => at.clone().prop_map(|(group, member, stale)| Step::Heartbeat { group, member, stale }),
        1 => at.clone().prop_map(|(group, member, _)| Step::Leave { group, member }),
        3 => (at, 0..3_u8).prop_map(|((group, member, outsider), partition)| Step::Commit {
            group,
            member,
            outsider,
            partition
        }),
        1 => (0..2_u8, any::<bool>()).prop_map(|(group, stable)| Step::Fetch { group, stable }),
        1 => (0..2_u8).prop_map(|group| Step::DeleteOffsets { group }),
        1 => (0..2_u8).prop_map(|group| Step::DeleteGroup { group }),
        1 => (0..2_u8).prop_map(|group| Step::Ask { group }),
        1 => Just(Step::ForgetTopic),
        8 => prop::bool::weighted(0.1).prop_map(|fails| Step::Append { fails }),
        3 => (0..40_000_u32).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_events_keep_every_promise(delay_ms in prop_oneof![Just(0_u64), Just(3_000)], steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(delay_ms);
        for step in steps {
            world.play(step);
            world.check();
        }
        world.let_everything_end();
    }
}

/// A coordinator with its clients and its log.
struct World {
    now_ms: u64,
    config: Config,
    coordinator: Coordinator,
    open: BTreeSet<Ticket>,
    tickets: u64,
    appends: VecDeque<(Token, Vec<Record>)>,
    /// The log: what was appended, and the image of that.
    logged: Image,
    ids_given: u128,
    /// Ids that clients heard of, per group.
    ids: BTreeMap<String, Vec<String>>,
    generations: BTreeMap<String, i32>,
}

impl World {
    fn new(initial_rebalance_delay_ms: u64) -> World {
        let config = Config {
            initial_rebalance_delay_ms,
            group_size_max: 5,
            ..Config::default()
        };
        World {
            now_ms: 1_000,
            coordinator: Coordinator::load(config.clone(), Image::default(), 1_000),
            config,
            open: BTreeSet::new(),
            tickets: 0,
            appends: VecDeque::new(),
            logged: Image::default(),
            ids_given: 0,
            ids: BTreeMap::new(),
            generations: BTreeMap::new(),
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Append { fails } => self.end_append(fails),
            Step::Wait { ms } => self.wait(u64::from(ms)),
            Step::Restart => self.restart(),
            Step::ForgetTopic => self.step(Event::TopicDeleted {
                topic: "t".to_owned(),
            }),
            request => {
                let request = self.request(request);
                let ticket = Ticket(self.tickets);
                self.tickets += 1;
                self.open.insert(ticket);
                self.step(Event::Request { ticket, request });
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.coordinator.step(self.now_ms, event, &mut actions);
        actions.into_iter().for_each(|action| self.obey(action));
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Append { token, records } => {
                let decode = |raw: &crate::consumer_group::RawRecord| {
                    Record::decode(&raw.key, raw.value.as_deref()).expect("our own records")
                };
                self.appends
                    .push_back((token, records.iter().map(decode).collect()));
            }
            Action::Reply { ticket, reply } => {
                assert!(self.open.remove(&ticket), "{ticket:?} was answered twice");
                self.learn(&reply);
            }
        }
    }

    /// Clients remember their ids; the leader of a generation is told of every member, and there is one leader.
    fn learn(&mut self, reply: &Reply) {
        let id = match reply {
            Reply::Join(Ok(joined)) => {
                assert!(joined.members.is_empty() || joined.leader == joined.member_id);
                &joined.member_id
            }
            Reply::Join(Err(refused)) if !refused.member_id.is_empty() => &refused.member_id,
            _ => return,
        };
        let group = id[..2].to_owned();
        let ids = self.ids.entry(group).or_default();
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }

    fn end_append(&mut self, fails: bool) {
        let Some((token, records)) = self.appends.pop_front() else {
            return;
        };
        if !fails {
            records
                .into_iter()
                .for_each(|record| self.logged.apply(record));
        }
        let result = if fails {
            Err(AppendError::Unavailable)
        } else {
            Ok(())
        };
        self.step(Event::Appended { token, result });
        assert_eq!(
            &self.logged,
            self.coordinator.image(),
            "the image is what the log says"
        );
    }

    fn wait(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while self.coordinator.next_deadline_ms() <= until_ms {
            let due_ms = self.coordinator.next_deadline_ms();
            self.now_ms = self.now_ms.max(due_ms);
            self.step(Event::Tick);
            assert!(
                self.coordinator.next_deadline_ms() > self.now_ms,
                "a deadline that does not pass"
            );
        }
        self.now_ms = until_ms;
    }

    /// Another node takes over: what is open is refused, and only the log counts.
    fn restart(&mut self) {
        let image = Image::restore(&self.logged.snapshot()).expect("our own snapshot");
        assert_eq!(image, self.logged);
        let next = Coordinator::load(self.config.clone(), image, self.now_ms);
        let mut actions = Vec::new();
        std::mem::replace(&mut self.coordinator, next).stop(&mut actions);
        actions.into_iter().for_each(|action| self.obey(action));
        assert!(self.open.is_empty(), "{:?} were forgotten", self.open);
        self.appends.clear();
        self.generations.clear();
    }

    fn let_everything_end(&mut self) {
        while !self.open.is_empty() {
            let before_ms = self.now_ms;
            while !self.appends.is_empty() {
                self.end_append(false);
            }
            self.wait(400_000);
            assert!(before_ms < 10_000_000, "{:?} are never answered", self.open);
        }
    }

    fn check(&mut self) {
        for group in self.coordinator.groups.iter() {
            check_group(group);
            let seen = self.generations.entry(group.id.clone()).or_default();
            assert!(
                group.generation >= *seen,
                "the generation fell from {seen} to {}",
                group.generation
            );
            *seen = group.generation;
        }
        let weight: usize = self
            .coordinator
            .groups
            .iter()
            .map(Group::weight_bytes)
            .sum();
        assert_eq!(weight, self.coordinator.groups.members_bytes());
        let groups = &self.coordinator.groups;
        self.generations.retain(|id, _| groups.get(id).is_some());
    }

    fn request(&mut self, step: Step) -> Request {
        match step {
            Step::Join {
                group,
                member,
                instance,
                protocols,
                name_first,
                skips,
            } => Request::Join(self.join(group, member, instance, protocols, name_first, skips)),
            Step::Sync {
                group,
                member,
                stale,
            } => {
                let id = self.id(group, member);
                let assignments = self.ids.get(&name(group)).into_iter().flatten();
                let assignments = assignments
                    .map(|id| (id.clone(), Bytes::from_static(b"work")))
                    .collect();
                Request::Sync(SyncRequest {
                    group: name(group),
                    generation: self.generation(group, stale),
                    member: MemberRef {
                        member_id: id,
                        instance_id: None,
                    },
                    protocol_type: None,
                    protocol_name: None,
                    assignments,
                })
            }
            Step::Heartbeat {
                group,
                member,
                stale,
            } => Request::Heartbeat(HeartbeatRequest {
                group: name(group),
                generation: self.generation(group, stale),
                member: MemberRef {
                    member_id: self.id(group, member),
                    instance_id: None,
                },
            }),
            Step::Leave { group, member } => {
                let member = MemberRef {
                    member_id: self.id(group, member),
                    instance_id: None,
                };
                Request::Leave(LeaveRequest {
                    group: name(group),
                    members: vec![member],
                })
            }
            Step::Commit {
                group,
                member,
                outsider,
                partition,
            } => Request::CommitOffsets(CommitRequest {
                group: name(group),
                member: MemberRef {
                    member_id: if outsider {
                        String::new()
                    } else {
                        self.id(group, member)
                    },
                    instance_id: None,
                },
                generation: if outsider {
                    -1
                } else {
                    self.generation(group, false)
                },
                retention_ms: None,
                topics: vec![committed(partition)],
            }),
            Step::Fetch { group, stable } => Request::FetchOffsets(FetchRequest {
                group: name(group),
                topics: None,
                stability: if stable {
                    Stability::Required
                } else {
                    Stability::Any
                },
            }),
            Step::DeleteOffsets { group } => Request::DeleteOffsets(DeleteOffsetsRequest {
                group: name(group),
                topics: vec![("t".to_owned(), vec![0, 1])],
            }),
            Step::DeleteGroup { group } => Request::DeleteGroup { group: name(group) },
            Step::Ask { group: 0 } => Request::List,
            Step::Ask { group } => Request::Describe { group: name(group) },
            Step::ForgetTopic | Step::Append { .. } | Step::Wait { .. } | Step::Restart => {
                unreachable!("not a request")
            }
        }
    }

    fn join(
        &mut self,
        group: u8,
        member: u8,
        instance: Option<u8>,
        protocols: u8,
        name_first: bool,
        skips: bool,
    ) -> JoinRequest {
        self.ids_given += 1;
        let chosen = (0..3).filter(|bit| protocols & (1 << bit) != 0);
        let protocol = |bit| Protocol {
            name: format!("p{bit}"),
            metadata: Bytes::from_static(b"me"),
        };
        JoinRequest {
            group: name(group),
            member_id: self.id(group, member),
            instance_id: instance.map(|instance| format!("{}-static{instance}", name(group))),
            client_id: name(group),
            client_host: "h".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type: "consumer".to_owned(),
            protocols: chosen.map(protocol).collect(),
            first_join: if name_first {
                FirstJoin::NameFirst
            } else {
                FirstJoin::Admit
            },
            stable_leader: if skips {
                StableLeader::SkipsAssignment
            } else {
                StableLeader::IsNotTold
            },
            fresh_id: self.ids_given,
        }
    }

    /// One of the last ids that were given, or none yet.
    fn id(&self, group: u8, member: u8) -> String {
        let ids = self
            .ids
            .get(&name(group))
            .map(Vec::as_slice)
            .unwrap_or_default();
        ids.iter()
            .rev()
            .nth(usize::from(member))
            .cloned()
            .unwrap_or_default()
    }

    fn generation(&self, group: u8, stale: bool) -> i32 {
        self.generations
            .get(&name(group))
            .copied()
            .unwrap_or_default()
            - i32::from(stale)
    }
}

fn check_group(group: &Group) {
    assert!(
        group.members.is_empty() == group.leader.is_none()
            || matches!(group.phase, Phase::Preparing { .. })
    );
    assert!(
        group
            .leader
            .as_ref()
            .is_none_or(|leader| group.members.contains_key(leader))
    );
    assert!(
        group
            .instances
            .values()
            .all(|member_id| group.members.contains_key(member_id))
    );
    match group.phase {
        Phase::Empty | Phase::Deleting => assert!(group.members.is_empty()),
        Phase::Preparing { .. } => {}
        Phase::Completing { .. } => {
            assert!(
                group
                    .members
                    .values()
                    .all(|member| member.parked_join.is_none())
            );
        }
        Phase::Stable => {
            assert!(group.protocol_name.is_some() && group.elect_protocol().is_some());
            assert!(
                group
                    .members
                    .values()
                    .all(|member| member.parked_sync.is_none())
            );
        }
    }
    assert_eq!(
        group.due_ms,
        group.next_deadline_ms(),
        "the group is queued under its next deadline"
    );
}

fn name(group: u8) -> String {
    format!("g{group}")
}

fn committed(partition: u8) -> CommittedTopic {
    let partition = CommittedPartition {
        partition: partition.into(),
        offset: 5,
        leader_epoch: -1,
        metadata: String::new(),
    };
    CommittedTopic {
        topic: "t".to_owned(),
        partitions: vec![partition],
    }
}
