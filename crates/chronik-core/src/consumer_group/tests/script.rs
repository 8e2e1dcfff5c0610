//! Plays a script: commands go to a coordinator, and what it answers must be the indented lines below them.
//!
//! Generated member ids are shortened to their stem and a number: the first one for client `a` is `a-1`. Appends
//! succeed at once unless the script says `hold`; then `append ok` or `append not-leader` ends the oldest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use bytes::Bytes;

use crate::consumer_group::image::Image;
use crate::consumer_group::message::*;
use crate::consumer_group::records::Record;
use crate::consumer_group::{Action, AppendError, Config, Coordinator, Event, GroupError, Token};

const ZEROS: &str = "-00000000-0000-0000-0000-00000000000";

pub(super) fn check(script: &str) {
    let mut player = Player::new();
    let mut played = String::new();
    for line in script.lines() {
        if line.starts_with("  ") {
            continue;
        }
        writeln!(played, "{line}").unwrap();
        if !line.trim().is_empty() && !line.starts_with('#') {
            player.play(line);
        }
        played.push_str(&player.take_output());
    }
    assert!(
        played == script,
        "the coordinator answered otherwise:\n{played}"
    );
}

struct Player {
    now_ms: u64,
    config: Config,
    coordinator: Coordinator,
    tickets: Vec<String>,
    held: Option<VecDeque<Token>>,
    ids_given: u128,
    output: String,
}

/// A command: its verb, what it is about, and the settings that follow as `key=value`.
struct Command<'a> {
    words: Vec<&'a str>,
    settings: BTreeMap<&'a str, &'a str>,
}

impl Player {
    fn new() -> Player {
        let config = Config {
            initial_rebalance_delay_ms: 0,
            ..Config::default()
        };
        let coordinator = Coordinator::load(config.clone(), Image::default(), 0);
        Player {
            now_ms: 0,
            config,
            coordinator,
            tickets: Vec::new(),
            held: None,
            ids_given: 0,
            output: String::new(),
        }
    }

    fn take_output(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    fn play(&mut self, line: &str) {
        let command = Command::parse(line);
        match command.words[0] {
            "config" => self.configure(&command),
            "at" => self.pass_time(command.words[1].parse().unwrap()),
            "hold" => self.held = Some(VecDeque::new()),
            "append" => self.append(command.words[1]),
            "forget-topic" => self.step(Event::TopicDeleted {
                topic: command.words[1].to_owned(),
            }),
            "restart" => {
                let image = Image::restore(&self.coordinator.image().snapshot()).unwrap();
                assert_eq!(&image, self.coordinator.image());
                self.coordinator = Coordinator::load(self.config.clone(), image, self.now_ms);
            }
            "stop" => {
                let replaced =
                    Coordinator::load(self.config.clone(), Image::default(), self.now_ms);
                let mut actions = Vec::new();
                std::mem::replace(&mut self.coordinator, replaced).stop(&mut actions);
                actions.into_iter().for_each(|action| self.obey(action));
            }
            verb => {
                self.tickets.push(format!("{verb} {}", command.words[1]));
                let ticket = Ticket(self.tickets.len() as u64 - 1);
                let request = self.request(&command);
                self.step(Event::Request { ticket, request });
            }
        }
    }

    fn configure(&mut self, command: &Command<'_>) {
        self.config.initial_rebalance_delay_ms = command.number("delay", 0);
        self.config.group_size_max = command.number("size", 100);
        self.config.members_bytes_max = command.number("bytes", 1 << 20);
        self.coordinator = Coordinator::load(self.config.clone(), Image::default(), self.now_ms);
    }

    /// Ticks whenever the coordinator wants to, until the given time.
    fn pass_time(&mut self, until_ms: u64) {
        while self.coordinator.next_deadline_ms() <= until_ms {
            self.now_ms = self.now_ms.max(self.coordinator.next_deadline_ms());
            self.step(Event::Tick);
        }
        self.now_ms = until_ms;
    }

    fn append(&mut self, outcome: &str) {
        let token = self.held.as_mut().unwrap().pop_front().unwrap();
        let result = match outcome {
            "ok" => Ok(()),
            "not-leader" => Err(AppendError::NotLeader),
            "too-large" => Err(AppendError::TooLarge),
            other => panic!("unknown outcome {other}"),
        };
        self.step(Event::Appended { token, result });
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.coordinator.step(self.now_ms, event, &mut actions);
        actions.into_iter().for_each(|action| self.obey(action));
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Reply { ticket, reply } => {
                let line = format!(
                    "  {}: {}\n",
                    self.tickets[ticket.0 as usize],
                    render(&reply)
                );
                self.output.push_str(&line.replace(ZEROS, "-"));
            }
            Action::Append { token, records } => {
                for raw in &records {
                    let record = Record::decode(&raw.key, raw.value.as_deref()).unwrap();
                    let line = format!("  writes {}\n", render_record(&record));
                    self.output.push_str(&line.replace(ZEROS, "-"));
                }
                match &mut self.held {
                    Some(held) => held.push_back(token),
                    None => self.step(Event::Appended {
                        token,
                        result: Ok(()),
                    }),
                }
            }
        }
    }

    fn request(&mut self, command: &Command<'_>) -> Request {
        let group = command.setting("group", "g").to_owned();
        let member = MemberRef {
            member_id: command.id("id"),
            instance_id: command.instance(),
        };
        let generation = command.number("generation", 1);
        match command.words[0] {
            "join" => Request::Join(self.join(command, group, member)),
            "sync" => Request::Sync(SyncRequest {
                group,
                member,
                generation,
                protocol_type: None,
                protocol_name: command
                    .settings
                    .get("protocol")
                    .map(|name| (*name).to_owned()),
                assignments: command
                    .list("assign")
                    .map(|(id, what)| (expand(id), blob(what)))
                    .collect(),
            }),
            "heartbeat" => Request::Heartbeat(HeartbeatRequest {
                group,
                member,
                generation,
            }),
            "leave" => Request::Leave(LeaveRequest {
                group,
                members: vec![member],
            }),
            "commit" => Request::CommitOffsets(CommitRequest {
                group,
                member,
                generation,
                retention_ms: command
                    .settings
                    .get("retention")
                    .map(|ms| ms.parse().unwrap()),
                topics: command
                    .list("offsets")
                    .map(|(place, offset)| committed(place, offset, command))
                    .collect(),
            }),
            "fetch" => Request::FetchOffsets(FetchRequest {
                group,
                topics: command
                    .settings
                    .contains_key("offsets")
                    .then(|| command.places("offsets")),
                stability: if command.has("stable") {
                    Stability::Required
                } else {
                    Stability::Any
                },
            }),
            "delete-offsets" => Request::DeleteOffsets(DeleteOffsetsRequest {
                group,
                topics: command.places("offsets"),
            }),
            "delete" => Request::DeleteGroup { group },
            "describe" => Request::Describe { group },
            "list" => Request::List,
            other => panic!("unknown verb {other}"),
        }
    }

    fn join(&mut self, command: &Command<'_>, group: String, member: MemberRef) -> JoinRequest {
        if member.member_id.is_empty() {
            self.ids_given += 1;
        }
        let protocols = if command.settings.contains_key("protocols") {
            command
                .list("protocols")
                .map(|(name, metadata)| protocol(name, metadata.as_bytes()))
                .collect()
        } else {
            vec![protocol(
                "range",
                &subscription(command.setting("topics", "t")),
            )]
        };
        JoinRequest {
            group,
            member_id: member.member_id,
            instance_id: member.instance_id,
            client_id: command.words[1].to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: command.number("session", 10_000),
            rebalance_timeout_ms: command.number("rebalance", 60_000),
            protocol_type: command.setting("type", "consumer").to_owned(),
            protocols,
            first_join: if command.has("name-first") {
                FirstJoin::NameFirst
            } else {
                FirstJoin::Admit
            },
            stable_leader: if command.has("skips") {
                StableLeader::SkipsAssignment
            } else {
                StableLeader::IsNotTold
            },
            fresh_id: self.ids_given,
        }
    }
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Command<'a> {
        let (settings, words): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        Command {
            words,
            settings: settings
                .into_iter()
                .filter_map(|setting| setting.split_once('='))
                .collect(),
        }
    }

    fn setting(&self, key: &str, default: &'a str) -> &'a str {
        self.settings.get(key).copied().unwrap_or(default)
    }

    fn number<N: std::str::FromStr>(&self, key: &str, default: N) -> N {
        self.settings
            .get(key)
            .map_or(default, |text| text.parse().ok().expect("a number"))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn id(&self, key: &str) -> String {
        expand(self.setting(key, ""))
    }

    fn instance(&self) -> Option<String> {
        self.settings.get("static").map(|name| (*name).to_owned())
    }

    /// `a:1,b:2` as pairs.
    fn list(&self, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let list = self
            .setting(key, "")
            .split(',')
            .filter(|entry| !entry.is_empty());
        list.map(|entry| entry.split_once(':').unwrap_or((entry, "")))
    }

    fn places(&self, key: &str) -> Vec<(String, Vec<i32>)> {
        self.list(key)
            .map(|(place, _)| topic_and_partition(place))
            .map(|(topic, id)| (topic, vec![id]))
            .collect()
    }
}

fn protocol(name: &str, metadata: &[u8]) -> Protocol {
    Protocol {
        name: name.to_owned(),
        metadata: Bytes::copy_from_slice(metadata),
    }
}

/// The metadata of a consumer that subscribes to one topic.
fn subscription(topic: &str) -> Vec<u8> {
    let mut metadata = vec![0, 0, 0, 0, 0, 1, 0, topic.len() as u8];
    metadata.extend_from_slice(topic.as_bytes());
    metadata
}

fn committed(place: &str, offset: &str, command: &Command<'_>) -> CommittedTopic {
    let (topic, partition) = topic_and_partition(place);
    let metadata = "m".repeat(command.number("metadata", 1));
    let committed = CommittedPartition {
        partition,
        offset: offset.parse().unwrap(),
        leader_epoch: 7,
        metadata,
    };
    CommittedTopic {
        topic,
        partitions: vec![committed],
    }
}

fn topic_and_partition(place: &str) -> (String, i32) {
    let (topic, partition) = place.split_once('/').unwrap();
    (topic.to_owned(), partition.parse().unwrap())
}

fn blob(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// `a-1` to the id it stands for.
fn expand(short: &str) -> String {
    match short.rsplit_once('-') {
        Some((stem, number)) => format!("{stem}{ZEROS}{number}"),
        None => short.to_owned(),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn render(reply: &Reply) -> String {
    match reply {
        Reply::Join(Ok(joined)) => render_joined(joined),
        Reply::Join(Err(refused)) => format!("{:?} id={}", refused.error, refused.member_id),
        Reply::Sync(Ok(synced)) => {
            format!(
                "does '{}' by {}",
                text(&synced.assignment),
                synced.protocol_name.as_deref().unwrap_or("none")
            )
        }
        Reply::Leave(Ok(members)) => members
            .iter()
            .map(|left| outcome(left.error))
            .collect::<Vec<_>>()
            .join(", "),
        Reply::CommitOffsets(Ok(topics)) | Reply::DeleteOffsets(Ok(topics)) => {
            render_outcome(topics)
        }
        Reply::FetchOffsets(Ok(topics)) => topics
            .iter()
            .map(render_fetched)
            .collect::<Vec<_>>()
            .join(", "),
        Reply::Describe(Some(group)) => render_description(group),
        Reply::Describe(None) => "no such group".to_owned(),
        Reply::List(groups) => {
            let entry = |group: &GroupListing| {
                format!(
                    "{} '{}' {}",
                    group.group,
                    group.protocol_type,
                    group.state.name()
                )
            };
            groups.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        Reply::Heartbeat(Ok(())) | Reply::DeleteGroup(Ok(())) => "ok".to_owned(),
        Reply::Sync(Err(error))
        | Reply::Heartbeat(Err(error))
        | Reply::DeleteGroup(Err(error))
        | Reply::Leave(Err(error))
        | Reply::CommitOffsets(Err(error))
        | Reply::FetchOffsets(Err(error))
        | Reply::DeleteOffsets(Err(error)) => format!("{error:?}"),
    }
}

fn render_joined(joined: &Joined) -> String {
    let members: Vec<&str> = joined
        .members
        .iter()
        .map(|member| member.member_id.as_str())
        .collect();
    let protocol = joined.protocol_name.as_deref().unwrap_or("none");
    let mut line = format!(
        "{} in generation {} by {protocol}",
        joined.member_id, joined.generation
    );
    if joined.leader == joined.member_id {
        write!(line, ", leads {}", members.join(" ")).unwrap();
    } else {
        write!(line, ", led by {}", joined.leader).unwrap();
        assert!(members.is_empty());
    }
    if joined.skip_assignment {
        line.push_str(", skips the assignment");
    }
    line
}

fn outcome(error: Option<GroupError>) -> String {
    error.map_or("ok".to_owned(), |error| format!("{error:?}"))
}

fn render_outcome(topics: &[TopicOutcome]) -> String {
    let places = topics.iter().flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(move |place| (&topic.topic, place))
    });
    let entry = |(topic, (partition, error)): (&String, &(i32, Option<GroupError>))| {
        format!("{topic}/{partition} {}", outcome(*error))
    };
    places.map(entry).collect::<Vec<_>>().join(", ")
}

fn render_fetched(topic: &FetchedTopic) -> String {
    let entry = |found: &FetchedPartition| match found.error {
        Some(error) => format!("{}/{} {error:?}", topic.topic, found.partition),
        None => format!(
            "{}/{} at {} epoch {} '{}'",
            topic.topic, found.partition, found.offset, found.leader_epoch, found.metadata
        ),
    };
    topic
        .partitions
        .iter()
        .map(entry)
        .collect::<Vec<_>>()
        .join(", ")
}

fn render_description(group: &GroupDescription) -> String {
    let entry = |member: &MemberDescription| {
        format!(
            "{} does '{}'",
            member.member.member_id,
            text(&member.assignment)
        )
    };
    let members: Vec<String> = group.members.iter().map(entry).collect();
    let members = members.join(" ");
    format!(
        "{} '{}' '{}' [{members}]",
        group.state.name(),
        group.protocol_type,
        group.protocol_name
    )
}

fn render_record(record: &Record) -> String {
    match record {
        Record::Offset { key, value } => {
            let what = value
                .as_ref()
                .map_or("gone".to_owned(), |value| value.offset.to_string());
            format!(
                "offset {} {}/{} {what}",
                key.group, key.topic, key.partition
            )
        }
        Record::Group { group, value: None } => format!("group {group} gone"),
        Record::Group {
            group,
            value: Some(value),
        } => {
            let entry = |member: &crate::consumer_group::records::MemberMetadata| {
                format!("{}:'{}'", member.member_id, text(&member.assignment))
            };
            let members: Vec<String> = value.members.iter().map(entry).collect();
            format!(
                "group {group} generation {} [{}]",
                value.generation,
                members.join(" ")
            )
        }
    }
}
