//! Where operators' questions arrive, whichever way they came, and how one node asks the others on their behalf.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{Expect, Held, NodeWords, NodeWordsRequest, PeerAnswer, PeerQuestion};
use chronik_admin::{AdminError, Code};
use chronik_core::ids::{GroupUid, NodeId};
use prost::Message;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Readiness;
use super::events::Events;
use crate::broker::coordinator::CoordinatorHandle;
use crate::broker::{Broker, View};
use crate::clock;
use crate::config::Setting;
use crate::limits;
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::neighbours::{Reply, Request};
use crate::peer::{CallError, Peers};
use crate::raft::ShardHandle;
use crate::raft::inspect::{Inspection, Sight};
use crate::snapshots::Snapshots;

/// Asks another node a question that wants an answer of one kind.
macro_rules! ask_there {
    ($desk:expr, $node:expr, $question:ident($request:expr) -> $answer:ident) => {
        match $desk.forward($node, Question::$question($request)).await? {
            Answer::$answer(answer) => Ok(answer),
            _ => Err($crate::admin::desk::strange($node)),
        }
    };
}

pub(super) use ask_there;

/// What a node knows of itself before it has read its log.
#[derive(Clone, Debug)]
pub struct About {
    pub node: NodeId,
    pub kafka_address: String,
    pub peer_address: String,
    pub admin_address: String,
    pub rack: Option<String>,
    pub data_dir: PathBuf,
    /// What holds for every key of the configuration.
    pub settings: Vec<Setting>,
}

/// Answers for this node, and puts together the answers of all.
pub struct Desk {
    pub(super) about: About,
    pub(super) started: Instant,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) log: LogControl,
    events: Events,
    rooms: OnceLock<Rooms>,
}

/// What exists once the log was read.
pub(super) struct Rooms {
    pub(super) shard: ShardHandle,
    pub(super) broker: Broker,
    pub(super) peers: Peers,
    pub(super) groups: CoordinatorHandle,
    pub(super) snapshots: Snapshots,
}

/// Another member of the cluster, and what came of asking it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) answered_in: Duration,
    pub(super) outcome: Result<NodeWords, String>,
}

/// What another member said, or why it said nothing.
pub(super) struct Heard {
    pub(super) answer: Result<Answer, String>,
    pub(super) answered_in: Duration,
    /// When that was by this node's wall clock.
    pub(super) at_ms: i64,
}

/// How long a node that seems to live may take.
const NODE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a node may take that is believed to be dead.
const SUSPECT_TIMEOUT: Duration = Duration::from_millis(200);
/// How long an order that is passed on may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(2);

impl Desk {
    pub fn new(
        about: About,
        metrics: Arc<Metrics>,
        readiness: watch::Receiver<Readiness>,
        log: LogControl,
    ) -> Desk {
        Desk {
            about,
            started: Instant::now(),
            metrics,
            readiness,
            log,
            events: Events::default(),
            rooms: OnceLock::new(),
        }
    }

    /// From here on groups and other nodes can be asked.
    pub(crate) fn open(
        &self,
        shard: ShardHandle,
        broker: Broker,
        peers: Peers,
        groups: CoordinatorHandle,
        snapshots: Snapshots,
    ) {
        // Rooms are built once in the life of a process.
        _ = self.rooms.set(Rooms {
            shard,
            broker,
            peers,
            groups,
            snapshots,
        });
    }

    pub(super) fn rooms(&self) -> Result<&Rooms, AdminError> {
        self.rooms.get().ok_or_else(|| {
            AdminError::new(Code::NotReady, "the node starts: it reads its log")
                .hint("chronikctl health --wait")
        })
    }

    /// What happened, and what happens.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Looks again and again whether something happened, until the node stops.
    pub(crate) async fn watch(self: Arc<Desk>, mut stopping: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(limits::EVENTS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                _ = ticks.tick() => {}
            }
            if let (Ok(rooms), Ok(sights)) = (self.rooms(), self.sights().await) {
                let refused = rooms.peers.refused();
                self.events.look(&rooms.broker.view(), &sights, &refused);
            }
        }
    }

    /// The state of the cluster as this node knows it, if it knows any.
    pub(super) fn view(&self) -> Option<Arc<View>> {
        self.rooms.get().map(|rooms| rooms.broker.view())
    }

    pub(super) async fn inspect(&self) -> Result<Inspection, AdminError> {
        let busy = || AdminError::new(Code::Overloaded, "the node has too much to do, or stops");
        self.rooms()?.shard.inspect().await.ok_or_else(busy)
    }

    /// Who of the other nodes lives.
    pub(super) async fn sights(&self) -> Result<Vec<Sight>, AdminError> {
        let busy = || AdminError::new(Code::Overloaded, "the node has too much to do, or stops");
        self.rooms()?.shard.sights().await.ok_or_else(busy)
    }

    /// Asks every member of the cluster at once, this node among them; one that is silent costs its timeout once.
    pub(super) async fn ask_all(&self) -> Result<BTreeMap<NodeId, Asked>, AdminError> {
        let own = self.snapshot().await?;
        let question = Question::Words(NodeWordsRequest {});
        let others = self.ask_others(question).await?.into_iter();
        let others = others.map(|(node, heard)| {
            let answered_in = heard.answered_in;
            let outcome = match heard.answer {
                Ok(Answer::Words(snapshot)) => Ok(snapshot),
                Ok(_) => Err("it answered something else".to_owned()),
                Err(why) => Err(why),
            };
            (
                node,
                Asked {
                    answered_in,
                    outcome,
                },
            )
        });
        let mut asked: BTreeMap<NodeId, Asked> = others.collect();
        let answered = Asked {
            answered_in: Duration::ZERO,
            outcome: Ok(own),
        };
        asked.insert(self.about.node, answered);
        Ok(asked)
    }

    /// Asks every other member the same, at once.
    pub(super) async fn ask_others(
        &self,
        question: Question,
    ) -> Result<Vec<(NodeId, Heard)>, AdminError> {
        self.ask_these(question, &|_| true).await
    }

    /// Asks some of the other members the same, at once.
    pub(super) async fn ask_these(
        &self,
        question: Question,
        is_asked: &(dyn Fn(NodeId) -> bool + Sync),
    ) -> Result<Vec<(NodeId, Heard)>, AdminError> {
        let rooms = self.rooms()?;
        let inspection = self.inspect().await?;
        let is_dead = |node: NodeId| {
            let mut sights = inspection.sights.iter();
            sights.any(|sight| sight.node == node && !sight.is_alive)
        };
        let ask = |node: NodeId| {
            let bound = match is_dead(node) {
                true => SUSPECT_TIMEOUT,
                false => NODE_TIMEOUT,
            };
            let question = question.clone();
            async move {
                let begun = Instant::now();
                let answer = self.ask(rooms, node, question, bound).await;
                let answer = answer.map_err(|error| {
                    let why = error.message.strip_prefix(&format!("node {node}: "));
                    why.unwrap_or(&error.message).to_owned()
                });
                let heard = Heard {
                    answer,
                    answered_in: begun.elapsed(),
                    at_ms: clock::wall_ms(),
                };
                (node, heard)
            }
        };
        let others = self.members().into_iter();
        let others = others.filter(|node| *node != self.about.node && is_asked(*node));
        let others = others.map(ask);
        Ok(futures_util::future::join_all(others).await)
    }

    /// Refuses an order that was meant for another cluster.
    pub(super) fn check_cluster(&self, expect: Option<&Expect>) -> Result<(), AdminError> {
        let Some(expected) = expect.and_then(|expect| expect.cluster_id.as_deref()) else {
            return Ok(());
        };
        let view = self.rooms()?.broker.view();
        let present = &*view.catalog.cluster_id;
        match expected == present {
            true => Ok(()),
            false => {
                let message = format!("this is cluster {present}, not {expected}");
                Err(AdminError::new(Code::WrongCluster, message).hint("chronikctl context list"))
            }
        }
    }

    /// The node that is meant, if it is another one than this.
    pub(super) fn other(&self, node: Option<u64>) -> Result<Option<NodeId>, AdminError> {
        let meant = node.map(NodeId);
        let Some(other) = meant.filter(|node| *node != self.about.node) else {
            return Ok(None);
        };
        self.rooms()?;
        match self.members().contains(&other) {
            true => Ok(Some(other)),
            false => {
                let message = format!("there is no node {other}");
                Err(AdminError::new(Code::NotFound, message).hint("chronikctl node list"))
            }
        }
    }

    /// Passes an order on to another node, once.
    pub(super) async fn forward(
        &self,
        node: NodeId,
        question: Question,
    ) -> Result<Answer, AdminError> {
        self.forward_within(node, question, FORWARD_TIMEOUT).await
    }

    /// The same for what may take long.
    pub(super) async fn forward_within(
        &self,
        node: NodeId,
        question: Question,
        bound: Duration,
    ) -> Result<Answer, AdminError> {
        self.ask(self.rooms()?, node, question, bound).await
    }

    /// Answers what another node asks on behalf of an operator. It asks nobody else: there is no cascade.
    pub(crate) async fn answer(&self, question: &[u8]) -> Vec<u8> {
        let answer = match PeerQuestion::decode(question) {
            Ok(PeerQuestion {
                question: Some(question),
            }) => self.answer_question(question).await,
            _ => Err(AdminError::new(
                Code::InvalidArgument,
                "a question that this version does not know",
            )),
        };
        let answer = answer.unwrap_or_else(|error| Answer::Error(error.to_json()));
        let answer = PeerAnswer {
            answer: Some(answer),
        };
        answer.encode_to_vec()
    }

    async fn answer_question(&self, question: Question) -> Result<Answer, AdminError> {
        Ok(match question {
            Question::Words(_) => Answer::Words(self.snapshot().await?),
            Question::Hold(hold) => {
                self.rooms()?.shard.hold(GroupUid(hold.group_id));
                Answer::Held(Held {})
            }
            Question::History(_) => Answer::History(self.history_here().await?),
            Question::StepDown(request) => Answer::Transfer(self.step_down_here(&request).await?),
            Question::Transfer(request) => Answer::Transfer(self.transfer_here(&request).await?),
            Question::SetLogLevel(request) => Answer::LogLevel(self.set_log_level_here(&request)?),
            Question::Config(_) => Answer::Config(self.node_config_here()),
            Question::System(_) => Answer::System(self.system_here().await),
            Question::Clock(_) => Answer::Clock(self.clock_here()),
            Question::LogDigest(request) => Answer::LogDigest(self.log_digest_here(&request)),
            Question::Edges(request) => Answer::Edges(self.edges_here(&request).await),
            Question::Producers(request) => Answer::Producers(self.producers_here(&request).await?),
            Question::Trim(request) => Answer::Trimmed(self.trim_here(&request).await?),
            Question::Groups(_) => Answer::Groups(self.group_list_here().await?),
            Question::Group(request) => Answer::Group(self.group_here(&request.group).await?),
            Question::Seek(request) => Answer::Group(self.group_seek_once(&request).await?),
            Question::DeleteGroup(request) => {
                Answer::GroupDeleted(self.group_delete_here(&request).await?)
            }
            Question::ListSnapshots(_)
            | Question::InspectSnapshot(_)
            | Question::VerifySnapshot(_)
            | Question::SnapshotChunk(_)
            | Question::CreateSnapshot(_)
            | Question::DeleteSnapshot(_) => self.answer_about_snapshots(question).await?,
        })
    }

    async fn ask(
        &self,
        rooms: &Rooms,
        node: NodeId,
        question: Question,
        bound: Duration,
    ) -> Result<Answer, AdminError> {
        let question = PeerQuestion {
            question: Some(question),
        };
        let request = Request::Admin(question.encode_to_vec().into()).encode();
        let answer = rooms.peers.call(node, request, bound).await;
        let answer = answer.map_err(|error| unreachable_node(node, &error))?;
        let answer = match Reply::decode(&answer) {
            Ok(Reply::Admin(answer)) => PeerAnswer::decode(answer).map_err(|_| strange(node))?,
            _ => {
                return Err(AdminError::new(
                    Code::NotReady,
                    format!("node {node} starts"),
                ));
            }
        };
        match answer.answer {
            Some(Answer::Error(error)) => {
                Err(serde_json::from_str(&error).unwrap_or_else(|_| strange(node)))
            }
            Some(answer) => Ok(answer),
            None => Err(strange(node)),
        }
    }

    /// Everybody who is known to belong here, as the catalog or, before there is one, the configuration says.
    pub(super) fn members(&self) -> Vec<NodeId> {
        let Some(rooms) = self.rooms.get() else {
            return Vec::new();
        };
        let view = rooms.broker.view();
        let catalog = &view.catalog;
        let known = catalog.nodes.keys().copied();
        // A founder may never have come; one that left for good is in the configuration still, and no member.
        let expected = match catalog.cluster_id.is_empty() {
            true => &rooms.broker.settings().peers,
            false => &catalog.meta_voters,
        };
        let mut members: Vec<NodeId> = known.chain(expected.iter().copied()).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

/// A node of another version may not know the question.
pub(super) fn strange(node: NodeId) -> AdminError {
    let message = format!("node {node} answers something else than it was asked");
    AdminError::new(Code::Internal, message).hint("chronikctl version --nodes")
}

fn unreachable_node(node: NodeId, error: &CallError) -> AdminError {
    let why = match error {
        CallError::TimedOut => "it did not answer in time",
        CallError::Open | CallError::Unreachable => "it is not connected",
        CallError::Overloaded => "too many questions wait for it already",
        CallError::Refused(why) => why,
    };
    AdminError::new(Code::Unreachable, format!("node {node}: {why}"))
        .hint(format!("look at the process and the log of node {node}"))
}
