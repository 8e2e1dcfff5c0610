//! Connections from other nodes: who they are, and what they send.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chronik_core::ids::NodeId;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, error};

use super::codec::{FrameCodec, Received};
use super::dial::PATH;
use super::frame::{Frame, Hello, Identity, Pulse, Question};
use super::limits::{
    ANSWERS, CALLS_SERVED, CONNECTION_WINDOW_BYTES, FAREWELL, HTTP2_FRAME_BYTES, STREAM_IDLE,
    STREAM_WINDOW_BYTES,
};
use super::liveness::Sign;
use super::transport::Shared;
use super::{GroupMessage, Lane};
use crate::metrics::PeerNode;

/// Serves one connection, which carries one stream: it ends with it.
pub(super) async fn connection(shared: Arc<Shared>, tcp: TcpStream) {
    if let Err(error) = tcp.set_nodelay(true) {
        debug!(%error, "a peer's connection ended at once");
        return;
    }
    let (phase, mut phases) = watch::channel(Phase::Connected);
    let hello_timeout = shared.options.limits.connect_timeout;
    let service = service_fn(move |request| answer(shared.clone(), phase.clone(), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .max_concurrent_streams(1)
        .serve_connection(TokioIo::new(tcp), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = end_of_stream(&mut phases, hello_timeout) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(FAREWELL, connection).await {
        note(ended);
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connected,
    Streaming,
    Ended,
}

/// Returns when the stream has ended, or when none came in time.
async fn end_of_stream(phases: &mut watch::Receiver<Phase>, hello_timeout: Duration) {
    let began = phases.wait_for(|phase| *phase != Phase::Connected);
    if timeout(hello_timeout, began).await.is_ok() {
        // The connection owns the sender, so the wait cannot fail before it ends.
        let _ = phases.wait_for(|phase| *phase == Phase::Ended).await;
    }
}

fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        debug!(%error, "a peer's connection ended");
    }
}

async fn answer(
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    if request.uri().path() != PATH {
        let unknown = Status::unimplemented("this door is for other nodes of the cluster");
        return Ok(unknown.into_http());
    }
    phase.send_replace(Phase::Streaming);
    let end = EndOfStream(phase);
    let mut grpc =
        Grpc::new(FrameCodec).max_decoding_message_size(shared.options.limits.frame_bytes);
    Ok(grpc
        .streaming(
            Greeter {
                shared,
                end: Some(end),
            },
            request,
        )
        .await)
}

/// Says that the stream has ended, however it did.
struct EndOfStream(watch::Sender<Phase>);

impl Drop for EndOfStream {
    fn drop(&mut self) {
        self.0.send_replace(Phase::Ended);
    }
}

/// Hears the first frame and decides whether there will be others.
struct Greeter {
    shared: Arc<Shared>,
    end: Option<EndOfStream>,
}

impl StreamingService<Received> for Greeter {
    type Response = Frame;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Received>>) -> Self::Future {
        let shared = self.shared.clone();
        let end = self.end.take();
        let frames = request.into_inner();
        greet(shared, frames, end).boxed()
    }
}

async fn greet(
    shared: Arc<Shared>,
    mut frames: Streaming<Received>,
    end: Option<EndOfStream>,
) -> Result<Response<Answers>, Status> {
    let bound = shared.options.limits.connect_timeout;
    let first = timeout(bound, frames.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let Some(Received {
        frame: Frame::Hello(hello),
        ..
    }) = first
    else {
        return Err(Status::invalid_argument("the first frame is no hello"));
    };
    let identity = shared.identity();
    if let Some(contradiction) = hello.contradiction(&identity) {
        error!(
            peer = hello.identity.node.0,
            "a node was refused: {contradiction}"
        );
        return Err(Status::failed_precondition(contradiction));
    }
    let peer = hello.identity.node;
    let superseded = shared.begin_stream(peer, hello.lane);
    if let Some(link) = shared.link(peer) {
        link.peer_appeared();
    }
    let (sender, answers) = mpsc::channel(ANSWERS);
    let reply = Frame::Hello(Hello::new(hello.lane, peer, identity));
    let _ = sender.try_send(Ok(reply));
    let mut reading = JoinSet::new();
    let reader = Reading {
        shared,
        peer,
        lane: hello.lane,
        answers: sender,
        calls: FuturesUnordered::new(),
    };
    reading.spawn(async move {
        // The stream ends when this does, also when it is aborted.
        let _end = end;
        reader.run(frames, superseded).await;
    });
    Ok(Response::new(Answers {
        answers,
        _reading: reading,
    }))
}

/// What goes back on a stream; dropping it ends the reading.
struct Answers {
    answers: mpsc::Receiver<Result<Frame, Status>>,
    _reading: JoinSet<()>,
}

impl Stream for Answers {
    type Item = Result<Frame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.answers.poll_recv(context)
    }
}

/// Reads one stream. Requests are worked on here, too, so that a stream is one task.
struct Reading {
    shared: Arc<Shared>,
    peer: NodeId,
    lane: Lane,
    answers: mpsc::Sender<Result<Frame, Status>>,
    calls: FuturesUnordered<BoxFuture<'static, Frame>>,
}

/// The one who reads the answers does not keep up, or said what cannot be.
enum Fault {
    SlowReader,
    Refused(Status),
}

impl Reading {
    async fn run(mut self, mut frames: Streaming<Received>, mut superseded: oneshot::Receiver<()>) {
        loop {
            let outcome = tokio::select! {
                received = timeout(STREAM_IDLE, frames.message()) => match received {
                    Ok(Ok(Some(received))) => self.take(received),
                    Ok(Ok(None)) | Err(_) => return,
                    Ok(Err(status)) => {
                        debug!(peer = self.peer.0, lane = ?self.lane, %status, "a peer's stream broke");
                        return;
                    }
                },
                Some(answer) = self.calls.next(), if !self.calls.is_empty() => self.reply(answer),
                _ = &mut superseded => return,
            };
            match outcome {
                Ok(()) => {}
                Err(Fault::SlowReader) => return,
                Err(Fault::Refused(status)) => {
                    // If this does not fit, the end of the stream says enough.
                    let _ = self.answers.try_send(Err(status));
                    return;
                }
            }
        }
    }

    fn take(&mut self, received: Received) -> Result<(), Fault> {
        match received.frame {
            Frame::Messages(messages) => {
                self.messages(messages, received.bytes);
                Ok(())
            }
            Frame::Ping(pulse) => self.ping(&pulse),
            Frame::Ask { id, question } => self.ask(id, question),
            Frame::Hello(_) | Frame::Pong(_) | Frame::Answer { .. } => Err(Fault::Refused(
                Status::invalid_argument("this frame has no place in a stream"),
            )),
        }
    }

    fn messages(&self, messages: Vec<GroupMessage>, bytes: usize) {
        let metrics = &self.shared.options.metrics.peer;
        let label = PeerNode(self.peer.0);
        metrics.received.at(label).add(messages.len() as u64);
        metrics.received_bytes.at(label).add(bytes as u64);
        self.shared.inbox.messages(self.peer, messages);
    }

    fn ping(&self, pulse: &Pulse) -> Result<(), Fault> {
        let own = self.shared.identity();
        if let Some(contradiction) = pulse.identity.contradiction(&own) {
            error!(peer = self.peer.0, "a node was refused: {contradiction}");
            return Err(Fault::Refused(Status::failed_precondition(contradiction)));
        }
        if self.lane == Lane::Control
            && !pulse.wal_ok
            && let Some(link) = self.shared.link(self.peer)
        {
            link.sign(Sign::Stalled);
        }
        self.reply(Frame::Pong(self.shared.pulse(pulse.echo)))
    }

    fn ask(&mut self, id: u64, question: Question) -> Result<(), Fault> {
        let body = match question {
            Question::Identity => {
                let outcome = Ok(Identity::to_bytes(&self.shared.identity()));
                return self.reply(Frame::Answer { id, outcome });
            }
            Question::Call(body) => body,
        };
        if self.calls.len() >= CALLS_SERVED {
            let outcome = Err("the node works on too many requests".to_owned());
            return self.reply(Frame::Answer { id, outcome });
        }
        let outcome = self.shared.inbox.call(self.peer, body);
        self.calls.push(answered(id, outcome).boxed());
        Ok(())
    }

    fn reply(&self, frame: Frame) -> Result<(), Fault> {
        self.answers
            .try_send(Ok(frame))
            .map_err(|_| Fault::SlowReader)
    }
}

async fn answered(id: u64, outcome: impl Future<Output = Result<Bytes, String>>) -> Frame {
    Frame::Answer {
        id,
        outcome: outcome.await,
    }
}
