//! The same methods by HTTP and JSON: the query or the body is the question, the answer is one object.

use std::sync::Arc;

use bytes::Bytes;
use chronik_admin::{AdminError, Code, Method, Verb};
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;
use tonic::body::Body;

use super::calls::for_each_call;
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
    macro_rules! answer {
        ($($service:ident {
            $($name:ident: $rpc:ident($question:ident) -> $answer:ident = $verb:ident;)+
        })+) => {
            match (method.service, method.rpc) {
                $($((stringify!($service), stringify!($name)) => {
                    json(desk.$verb(read(&question)?).await?)
                })+)+
                (service, rpc) => Err(AdminError::new(
                    Code::Internal,
                    format!("{service}.{rpc} is in the contract, but not served"),
                )),
            }
        };
    }
    for_each_call!(answer)
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
