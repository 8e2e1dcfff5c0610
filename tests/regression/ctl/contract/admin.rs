//! The operators' door of a cluster that is made up: the same answers as gRPC and as HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use chronik_admin::v1::*;
use chronik_admin::{AdminError, Code, Method, Verb};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::net::TcpListener;

use super::play::CLUSTER;
use super::world::{NODES, THEN_MS, World};
use super::{placement, snapshots};

/// A question as it came.
pub(super) enum Question {
    Grpc(Bytes),
    Http(Value),
}

/// An answer, for both ways.
pub(super) struct Said {
    grpc: Vec<u8>,
    json: String,
}

pub(super) type Outcome = Result<Said, AdminError>;

pub(super) async fn serve(world: Arc<World>, node: u64, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        if !world.answers(node) {
            continue;
        }
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(world.clone(), node, request));
            let builder = auto::Builder::new(TokioExecutor::new());
            // Whoever hangs up has heard enough.
            _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    world: Arc<World>,
    node: u64,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    if is_grpc {
        let question = Question::Grpc(body.slice(5.min(body.len())..));
        let said = Method::at_grpc(&path).map(|method| say(&world, node, method, &question));
        return Ok(as_grpc(said.unwrap_or_else(|| Err(unknown(&path)))));
    }
    let Some(method) = Method::at(&path) else {
        return Ok(page(&path));
    };
    let question = match method.verb {
        Verb::Get => fields(&query),
        Verb::Post => serde_json::from_slice(&body).unwrap_or_default(),
    };
    Ok(as_http(say(
        &world,
        node,
        method,
        &Question::Http(question),
    )))
}

fn say(world: &World, node: u64, method: &Method, question: &Question) -> Outcome {
    let name = format!("{}.{}", method.service, method.rpc);
    match name.as_str() {
        "Node.Status" => said(world.status(node)),
        "Node.Config" => said(node_config(question.read())),
        "Node.System" => said(system(question.read(), node)),
        "Node.Clock" => said(clocks(world)),
        "Node.LogDigest" => said(log_digest(world, node)),
        "Node.SetLogLevel" => set_log_level(world, question.read()),
        "Cluster.View" => said(world.view()),
        "Cluster.Health" => said(world.verdict()),
        "Cluster.Events" => said(event()),
        "Raft.Status" => raft_status(world, question.read()),
        "Raft.History" => said(history(world)),
        "Raft.StepDown" => step_down(world, question.read()),
        "Raft.Transfer" => transfer(world, question.read()),
        "Raft.ChangeMember" => change_member(world, question.read()),
        "Topics.List" => said(TopicList::default()),
        "Configs.Diff" => said(config_diff(world, question.read())),
        "Groups.Lag" => said(group_lags()),
        other => match method.service {
            "Placement" => placement::say(world, other, question),
            "Snapshots" => snapshots::say(world, other, question),
            _ => Err(unknown(other)),
        },
    }
}

/// An order: refused on another cluster, and noted if it is more than a trial.
pub(super) fn order(
    world: &World,
    name: &str,
    (expect, dry_run): (Option<Expect>, bool),
    act: impl FnOnce() -> Outcome,
) -> Outcome {
    let expected = expect.and_then(|expect| expect.cluster_id);
    if expected.is_some_and(|id| id != CLUSTER) {
        return Err(AdminError::new(
            Code::WrongCluster,
            "this is another cluster",
        ));
    }
    let outcome = act()?;
    if !dry_run {
        world.change(name);
    }
    Ok(outcome)
}

fn node_config(request: NodeConfigRequest) -> NodeConfig {
    let setting = |name: &str, value: &str, default: &str, from: &str, change: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        default: default.to_owned(),
        from: from.to_owned(),
        change: change.to_owned(),
        about: "What it is for.".to_owned(),
    };
    NodeConfig {
        node_id: request.node_id.unwrap_or(1),
        settings: vec![
            setting("log.level", "info", "info", "default", "nothing"),
            setting("node.id", "1", "1", "flag", "birth"),
            setting("raft.tick", "100ms", "250ms", "file", "restart"),
        ],
    }
}

fn system(request: SystemRequest, node: u64) -> System {
    System {
        node_id: request.node_id.unwrap_or(node),
        kernel: "Linux 6.12.0 x86_64".to_owned(),
        cpus: 2,
        memory_total_bytes: 8 << 30,
        memory_available_bytes: 4 << 30,
        open_files: 60,
        open_files_limit: 1024,
        threads: 12,
        cpu_ms: 3_400,
        pid: 4711,
    }
}

fn clocks(world: &World) -> Clocks {
    let clock = |node: u64| match world.answers(node) {
        true => NodeClock {
            node_id: node,
            reachable: true,
            now_ms: Some(THEN_MS),
            ahead_ms: Some(if node == 2 && world.is_hurt() { 900 } else { 0 }),
            uncertain_ms: Some(2),
            ..NodeClock::default()
        },
        false => NodeClock {
            node_id: node,
            error: Some("it is not connected".to_owned()),
            ..NodeClock::default()
        },
    };
    Clocks {
        cluster_id: CLUSTER.to_owned(),
        asked_node: 1,
        nodes: NODES.into_iter().map(clock).collect(),
    }
}

fn log_digest(world: &World, node: u64) -> LogDigest {
    let complaint = Complaint {
        level: "WARN".to_owned(),
        target: "chronik_server::peer::link".to_owned(),
        message: "the node is suspected".to_owned(),
        count: 2,
        first_at_ms: THEN_MS,
        last_at_ms: THEN_MS,
        last_fields: "peer=3".to_owned(),
    };
    LogDigest {
        node_id: node,
        complaints: if world.is_hurt() {
            vec![complaint]
        } else {
            Vec::new()
        },
    }
}

fn set_log_level(world: &World, request: SetLogLevelRequest) -> Outcome {
    if request.level == "loudest" {
        let message = "\"loudest\" is no log level";
        return Err(AdminError::new(Code::InvalidArgument, message).hint("try: info, debug"));
    }
    let carried = (request.expect, request.dry_run);
    order(world, "Node.SetLogLevel", carried, || {
        said(LogLevel {
            node_id: request.node_id.unwrap_or(1),
            previous: "info".to_owned(),
            level: request.level,
        })
    })
}

fn event() -> ClusterEvent {
    ClusterEvent {
        at_ms: THEN_MS,
        kind: "LEADER_CHANGED".to_owned(),
        message: "orders/0: node 1 leads in term 7, node 3 did before".to_owned(),
        group: Some("orders/0".to_owned()),
        node_id: Some(1),
        term: Some(7),
    }
}

fn raft_status(world: &World, request: RaftStatusRequest) -> Outcome {
    let mut status = world.raft_status();
    if !request.group.is_empty() {
        find(world, &request.group)?;
        status.groups.retain(|group| group.name == request.group);
    } else if !request.all {
        status.groups.retain(|group| !group.problems.is_empty());
    }
    said(status)
}

pub(super) fn find(world: &World, name: &str) -> Result<RaftGroup, AdminError> {
    let found = world.groups().into_iter().find(|group| group.name == name);
    found.ok_or_else(|| {
        AdminError::new(Code::NotFound, format!("there is no group {name:?}"))
            .hint("chronikctl raft status --all")
    })
}

fn history(world: &World) -> RaftHistory {
    let change = LeaderChanged {
        at_ms: THEN_MS,
        noticed_by: 1,
        group_id: 1024,
        group: "orders/0".to_owned(),
        term: 7,
        leader: Some(1),
        leaderless_ms: Some(310),
        why: "suspected".to_owned(),
        because_of: Some(3),
    };
    let asked_for = LeaderChanged {
        at_ms: THEN_MS + 60_000,
        term: 8,
        leader: Some(2),
        leaderless_ms: Some(4),
        why: "operator".to_owned(),
        because_of: None,
        ..change.clone()
    };
    let is_moved = world.has_changed("Raft.StepDown") || world.has_changed("Raft.Transfer");
    let mut changes = vec![change];
    changes.extend(is_moved.then_some(asked_for));
    RaftHistory {
        cluster_id: CLUSTER.to_owned(),
        asked_node: 1,
        silent_nodes: NODES
            .into_iter()
            .filter(|node| !world.answers(*node))
            .collect(),
        changes,
    }
}

fn step_down(world: &World, request: StepDownRequest) -> Outcome {
    let (carried, term) = (
        (request.expect.clone(), request.dry_run),
        term(request.expect),
    );
    order(world, "Raft.StepDown", carried, || {
        hand_over(world, &request.group, 2, term, request.dry_run)
    })
}

fn transfer(world: &World, request: TransferRequest) -> Outcome {
    let (carried, term) = (
        (request.expect.clone(), request.dry_run),
        term(request.expect),
    );
    order(world, "Raft.Transfer", carried, || {
        hand_over(world, &request.group, request.to, term, request.dry_run)
    })
}

fn term(expect: Option<Expect>) -> u64 {
    expect.and_then(|expect| expect.term).unwrap_or(7)
}

fn hand_over(world: &World, group: &str, to: u64, term: u64, dry_run: bool) -> Outcome {
    find(world, group)?;
    let blocked = |message: &str| {
        Err(AdminError::new(Code::Blocked, message)
            .hint(format!("chronikctl raft status --group {group}")))
    };
    match (to, term) {
        (_, term) if term != 7 => {
            let message = format!("the group is in term 7, not in term {term}");
            Err(AdminError::new(Code::Stale, message)
                .hint(format!("chronikctl raft status --group {group}")))
        }
        (9, _) => blocked("NOT_A_VOTER: node 9 has no vote in the group"),
        (3, _) if world.is_hurt() => blocked("TARGET_UNREACHABLE: node 3 does not answer"),
        (2, _) if world.is_hurt() => blocked("TARGET_LAGGING: node 2 lacks 4000 entries"),
        (to, _) => said(Transfer {
            group_id: 1024,
            group: group.to_owned(),
            from: 1,
            to,
            term: 7,
            lag_entries: 0,
            voters: 3,
            voters_alive: 3,
            dry_run,
        }),
    }
}

fn change_member(world: &World, request: ChangeMemberRequest) -> Outcome {
    find(world, &request.group)?;
    let blocked = |check: &str, message: &str| {
        Err(
            AdminError::new(Code::Blocked, format!("{check}: {message}"))
                .hint(format!("chronikctl raft status --group {}", request.group)),
        )
    };
    let quorum = |voters: &[u64]| {
        let needed = voters.len() as u64 / 2 + 1;
        Quorum {
            voters: voters.to_vec(),
            alive: voters.iter().filter(|node| world.answers(**node)).count() as u64,
            needed,
            tolerates: voters.len() as u64 - needed,
        }
    };
    let after: &[u64] = match (request.change.as_str(), request.node_id) {
        ("remove", 3) => &[1, 2],
        ("remove", _) => return blocked("NOT_A_VOTER", "the node has no vote in the group"),
        ("promote", _) if request.group != "meta" => {
            return blocked("NOT_A_LEARNER", "the node does not learn in the group");
        }
        (_, 9) => {
            return Err(
                AdminError::new(Code::NotFound, "there is no node 9").hint("chronikctl node list")
            );
        }
        // It votes already, which makes these orders easy to verify.
        _ => &[1, 2, 3],
    };
    let before: &[u64] = match request.change.as_str() {
        "remove" => &[1, 2, 3],
        _ => &[1, 2],
    };
    let carried = (request.expect.clone(), request.dry_run);
    let name = format!("{} {}", request.change, request.node_id);
    order(world, &name, carried, || {
        said(MemberChange {
            group_id: 1024,
            group: request.group,
            node_id: request.node_id,
            change: request.change,
            before: Some(quorum(before)),
            after: Some(quorum(after)),
            operation_id: None,
            dry_run: request.dry_run,
        })
    })
}

fn config_diff(world: &World, request: ConfigDiffRequest) -> ConfigDiff {
    let nodes: Vec<u64> = NODES
        .into_iter()
        .filter(|node| world.answers(*node))
        .collect();
    let setting = |name: &str, values: &[&str], differs| SettingDiff {
        name: name.to_owned(),
        differs,
        values: nodes
            .iter()
            .zip(values)
            .map(|(node, value)| (*node, (*value).to_owned()))
            .collect(),
    };
    let differs = world.is_hurt();
    let ticks = if differs {
        ["250ms", "1s", ""]
    } else {
        ["250ms"; 3]
    };
    let mut settings = vec![
        setting("node.id", &["1", "2", "3"], false),
        setting("raft.tick", &ticks, differs),
    ];
    settings.retain(|setting| request.all || setting.differs);
    ConfigDiff {
        cluster_id: CLUSTER.to_owned(),
        silent_nodes: NODES
            .into_iter()
            .filter(|node| !world.answers(*node))
            .collect(),
        nodes,
        settings,
    }
}

fn group_lags() -> GroupLags {
    GroupLags {
        cluster_id: CLUSTER.to_owned(),
        groups: vec![GroupLag {
            group: "billing".to_owned(),
            state: "Empty".to_owned(),
            lag: 57,
            behind: 2,
            ..GroupLag::default()
        }],
        silent_nodes: Vec::new(),
    }
}

impl Question {
    pub(super) fn read<T: prost::Message + Default + DeserializeOwned>(&self) -> T {
        match self {
            Question::Grpc(bytes) => T::decode(bytes.clone()).expect("a question of the contract"),
            Question::Http(json) => serde_json::from_value(json.clone()).expect("its fields"),
        }
    }
}

pub(super) fn said<T: prost::Message + Serialize>(answer: T) -> Outcome {
    Ok(Said {
        grpc: answer.encode_to_vec(),
        json: serde_json::to_string(&answer).expect("answers have a JSON form"),
    })
}

pub(super) fn unknown(name: &str) -> AdminError {
    AdminError::new(Code::Internal, format!("{name} is not made up yet"))
}

/// A query as an object: what reads as JSON is that, everything else is text.
fn fields(query: &str) -> Value {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let fields = pairs.map(|(name, text)| {
        let text = text.replace("%2F", "/");
        let value = serde_json::from_str(&text).unwrap_or(Value::from(text));
        (name.to_owned(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

fn page(path: &str) -> Response<Full<Bytes>> {
    let text = match path {
        "/metrics" => "chronik_wal_disk_full 0\n",
        _ => "{\"ready\":true,\"reasons\":[]}\n",
    };
    Response::new(Full::from(text))
}

fn as_http(outcome: Outcome) -> Response<Full<Bytes>> {
    let (status, text) = match outcome {
        Ok(said) => (200, said.json),
        Err(error) => (error.code.http(), error.to_json()),
    };
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status.try_into().expect("a status");
    response
}

fn as_grpc(outcome: Outcome) -> Response<Full<Bytes>> {
    let status = match &outcome {
        Ok(_) => tonic::Status::ok(""),
        Err(error) => error.clone().into(),
    };
    let mut body = BytesMut::new();
    if let Ok(said) = outcome {
        body.put_u8(0);
        body.put_u32(said.grpc.len() as u32);
        body.put_slice(&said.grpc);
    }
    let mut response = Response::new(Full::new(body.freeze()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    status.add_header(headers).expect("a status fits a header");
    response
}
