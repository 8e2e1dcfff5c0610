//! The same methods by HTTP and JSON: the query or the body is the question, the answer is one object.

use std::sync::Arc;

use bytes::Bytes;
use chronik_admin::v1::{ClusterViewRequest, NodeStatusRequest};
use chronik_admin::{AdminError, Code, Method, Verb};
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;
use tonic::body::Body;

use super::desk::Desk;
use super::snapshots;

/// A question as it came.
pub(super) enum Question {
    Query(String),
    Body(Bytes),
}

/// Asks the desk what a method asks.
pub(super) async fn call(
    desk: &Desk,
    method: &Method,
    question: Question,
) -> Result<String, AdminError> {
    match (method.service, method.rpc) {
        ("Node", "Status") => {
            let NodeStatusRequest {} = read(&question)?;
            json(desk.status().await)
        }
        ("Node", "SetLogLevel") => json(desk.set_log_level(read(&question)?).await?),
        ("Cluster", "View") => {
            let ClusterViewRequest {} = read(&question)?;
            json(desk.cluster_view().await?)
        }
        ("Cluster", "Health") => json(desk.health(read(&question)?).await?),
        ("Raft", "Status") => json(desk.raft_status(read(&question)?).await?),
        ("Raft", "History") => json(desk.history(read(&question)?).await?),
        ("Raft", "StepDown") => json(desk.step_down(read(&question)?).await?),
        ("Raft", "Transfer") => json(desk.transfer(read(&question)?).await?),
        ("Placement", "Plan") => json(desk.plan(read(&question)?).await?),
        ("Placement", "Apply") => json(desk.apply(read(&question)?).await?),
        ("Placement", "Operations") => json(desk.operations(read(&question)?).await?),
        ("Placement", "Throttle") => json(desk.throttle(read(&question)?).await?),
        ("Placement", "Pause") => json(desk.pause(read(&question)?).await?),
        ("Placement", "Resume") => json(desk.resume(read(&question)?).await?),
        ("Placement", "Cancel") => json(desk.cancel(read(&question)?).await?),
        ("Placement", "Rollback") => json(desk.roll_back(read(&question)?).await?),
        ("Placement", "Verify") => json(desk.verify(&read(&question)?)?),
        ("Placement", "RemoveNode") => json(desk.remove_node(read(&question)?).await?),
        ("Topics", "List") => json(desk.topic_list(read(&question)?).await?),
        ("Snapshots", "List") => json(desk.snapshot_list(read(&question)?).await?),
        ("Snapshots", "Inspect") => json(desk.snapshot_inspect(read(&question)?).await?),
        ("Snapshots", "Verify") => json(desk.snapshot_verify(read(&question)?).await?),
        ("Snapshots", "Create") => json(desk.snapshot_create(read(&question)?).await?),
        ("Snapshots", "Delete") => json(desk.snapshot_delete(read(&question)?).await?),
        ("Topics", "Describe") => json(desk.topic_describe(read(&question)?).await?),
        (service, rpc) => Err(AdminError::new(
            Code::Internal,
            format!("{service}.{rpc} is in the contract, but not served"),
        )),
    }
}

/// What happens, a line of JSON for each event, until the caller goes.
pub(super) fn events(desk: &Desk, question: &Question) -> Result<Body, AdminError> {
    let events = desk.events().follow(&read(question)?);
    let lines = events.map(|event| {
        let line = json(event).map(|line| Frame::data(Bytes::from(format!("{line}\n"))));
        line.map_err(Status::from)
    });
    Ok(Body::new(StreamBody::new(lines)))
}

/// A file, in pieces as they come. Its beginning is awaited, so that a refusal is one.
pub(super) async fn file(desk: Arc<Desk>, question: &Question) -> Result<Body, AdminError> {
    let mut chunks = Box::pin(snapshots::bytes(desk.snapshot_download(read(question)?)));
    let first = chunks.next().await.transpose()?;
    let first = futures_util::stream::iter(first.map(Ok));
    let frames = first.chain(chunks).map(|bytes| bytes.map(Frame::data));
    Ok(Body::new(StreamBody::new(frames.map_err(Status::from))))
}

/// How a method wants to be called.
pub(super) fn verb(method: &Method) -> &'static str {
    match method.verb {
        Verb::Get => "GET",
        Verb::Post => "POST",
    }
}

fn read<T: DeserializeOwned>(question: &Question) -> Result<T, AdminError> {
    let read = match question {
        Question::Query(query) => {
            serde_urlencoded::from_str(query).map_err(|error| error.to_string())
        }
        Question::Body(body) => serde_json::from_slice(body).map_err(|error| error.to_string()),
    };
    read.map_err(|error| {
        AdminError::new(
            Code::InvalidArgument,
            format!("the question cannot be read: {error}"),
        )
        .hint("GET /openapi.json says what each method takes")
    })
}

fn json(answer: impl Serialize) -> Result<String, AdminError> {
    let text = serde_json::to_string(&answer);
    text.map_err(|error| AdminError::new(Code::Internal, error.to_string()))
}
