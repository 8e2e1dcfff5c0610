//! The connection to a peer on one lane: made, kept, and made again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::uri::{PathAndQuery, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Request, Status, Streaming};
use tower_service::Service;
use tracing::{debug, error, info};

use super::Lane;
use super::backoff::Backoff;
use super::codec::{FrameCodec, Received};
use super::frame::{Frame, Hello, Identity, Pulse};
use super::limits::{
    BULK_PING, BULK_SILENCE, CALL_BYTES, CONTROL_SILENCE_SUSPICIONS, STREAM_WINDOW_BYTES,
};
use super::link::Link;
use super::liveness::{Liveness, Sign};
use super::transport::Shared;

/// The one procedure there is.
pub(super) const PATH: &str = "/chronik.peer.v1.Peer/Stream";

/// What a frame has besides the body of a call.
const HEAD_ROOM_BYTES: usize = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    #[error("connecting took longer than {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the address is none: {0}")]
    Address(#[from] hyper::http::uri::InvalidUri),
    #[error("the stream failed: {0}")]
    Stream(Status),
    /// Trying again does not help until somebody changes something.
    #[error("{0}")]
    Contradiction(String),
    #[error("the other side ended the stream")]
    Ended,
    #[error("nothing was answered for {0:?}")]
    Silent(Duration),
    #[error("the control connection was given up")]
    GivenUp,
    #[error("an unexpected frame came back")]
    Unexpected,
}

/// Connects, serves the connection until it ends, and begins again.
pub(super) async fn keep_connected(shared: &Shared, link: &Link, lane: Lane) {
    let mut backoff = Backoff::new(shared.options.limits.backoff_max);
    let mut diary = Diary::default();
    loop {
        // Made before the attempt, so that a peer that appears during it is not missed.
        let heard = link.heard[lane as usize].notified();
        if lane == Lane::Control {
            link.sign(Sign::Dialing);
        }
        match connect(shared, link, lane).await {
            Ok(connection) => {
                backoff.reset();
                diary.connected(link, lane);
                let ended = serve(shared, link, lane, connection).await;
                diary.broken(link, lane, &ended);
                broken(shared, link, lane);
            }
            Err(failed) => {
                diary.failed(link, lane, &failed);
                if lane == Lane::Control {
                    link.sign(Sign::DialFailed);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = heard => {}
        }
    }
}

/// A stream that said hello in both directions.
struct Connection {
    incoming: Streaming<Received>,
    /// Drives HTTP/2; dropping it ends the connection.
    _driver: JoinSet<()>,
}

async fn connect(shared: &Shared, link: &Link, lane: Lane) -> Result<Connection, DialError> {
    let bound = shared.options.limits.connect_timeout;
    timeout(bound, open(shared, link, lane))
        .await
        .map_err(|_| DialError::TimedOut(bound))?
}

async fn open(shared: &Shared, link: &Link, lane: Lane) -> Result<Connection, DialError> {
    let address = &link.member.peer_address;
    let tcp = TcpStream::connect(address)
        .await
        .map_err(DialError::Connect)?;
    tcp.set_nodelay(true).map_err(DialError::Connect)?;
    let (requests, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .handshake(TokioIo::new(tcp))
        .await?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        if let Err(error) = connection.await {
            debug!(%error, "a connection to a peer ended");
        }
    });
    let origin: Uri = format!("http://{address}").parse()?;
    let mut client = Grpc::with_origin(Requests(requests), origin)
        .max_decoding_message_size(CALL_BYTES + HEAD_ROOM_BYTES);
    client.ready().await?;
    let metrics = &shared.options.metrics;
    let hello = Hello::new(lane, link.node(), shared.identity());
    let outflow = link.outbox(lane).connect(hello, link.label(), metrics);
    let answer = client
        .streaming(
            Request::new(outflow),
            PathAndQuery::from_static(PATH),
            FrameCodec,
        )
        .await
        .map_err(refusal)?;
    let mut incoming = answer.into_inner();
    let first = incoming.message().await.map_err(refusal)?;
    let Some(Received {
        frame: Frame::Hello(hello),
        ..
    }) = first
    else {
        return Err(DialError::Unexpected);
    };
    if let Some(contradiction) = hello.contradiction(&shared.identity()) {
        return Err(DialError::Contradiction(contradiction));
    }
    Ok(Connection {
        incoming,
        _driver: driver,
    })
}

/// Pings, and takes what comes back, until the connection is of no use.
async fn serve(shared: &Shared, link: &Link, lane: Lane, mut connection: Connection) -> DialError {
    let (ping, silence) = rhythm(shared, lane);
    let mut given_up = link.given_up.subscribe();
    let mut pings = interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_answer = Instant::now();
    loop {
        tokio::select! {
            received = connection.incoming.message() => {
                match received.map(|received| received.map(|received| received.frame)) {
                    Ok(Some(Frame::Pong(pulse))) => {
                        last_answer = Instant::now();
                        if let Err(contradiction) = pong(shared, link, lane, &pulse) {
                            return contradiction;
                        }
                    }
                    Ok(Some(Frame::Answer { id, outcome })) => link.calls.answer(id, outcome),
                    Ok(Some(_)) => return DialError::Unexpected,
                    Ok(None) => return DialError::Ended,
                    Err(status) => return refusal(status),
                }
            }
            _ = pings.tick() => {
                if last_answer.elapsed() >= silence {
                    return DialError::Silent(silence);
                }
                link.outbox(lane).push_urgent(Frame::Ping(shared.pulse(shared.now_us())));
            }
            _ = given_up.changed(), if lane == Lane::Bulk => return DialError::GivenUp,
        }
    }
}

/// Time between pings, and the silence after which the connection is given up.
fn rhythm(shared: &Shared, lane: Lane) -> (Duration, Duration) {
    let options = &shared.options;
    match lane {
        Lane::Control => (
            options.ping,
            options.suspect_after * CONTROL_SILENCE_SUSPICIONS,
        ),
        Lane::Bulk => (BULK_PING, BULK_SILENCE),
    }
}

fn pong(shared: &Shared, link: &Link, lane: Lane, pulse: &Pulse) -> Result<(), DialError> {
    check(&pulse.identity, link, shared).map_err(DialError::Contradiction)?;
    if lane == Lane::Control {
        let round_trip_us = shared.now_us().saturating_sub(pulse.echo);
        let round_trips = shared.options.metrics.peer.round_trip.at(link.label());
        round_trips.observe(Duration::from_micros(round_trip_us));
        link.sign(Sign::Answered);
        link.sign(Sign::Pulse {
            boot: pulse.identity.boot,
            wal_ok: pulse.wal_ok,
        });
    }
    Ok(())
}

fn check(theirs: &Identity, link: &Link, shared: &Shared) -> Result<(), String> {
    if theirs.node != link.node() {
        return Err(format!(
            "node {} was expected at {}, but node {} answers there",
            link.node(),
            link.member.peer_address,
            theirs.node
        ));
    }
    theirs.contradiction(&shared.identity()).map_or(Ok(()), Err)
}

/// What was under way is lost, and everybody who counts on it learns it.
fn broken(shared: &Shared, link: &Link, lane: Lane) {
    link.outbox(lane).disconnect();
    link.drop_waiting(lane, shared);
    if lane == Lane::Control {
        link.sign(Sign::Broken);
        link.given_up.send_modify(|count| *count += 1);
    }
    let reconnects = shared.options.metrics.peer.disconnects.at(link.label());
    reconnects.increment();
    shared.inbox.liveness(Liveness::Unreachable(link.node()));
}

fn refusal(status: Status) -> DialError {
    match status.code() {
        Code::FailedPrecondition => DialError::Contradiction(status.message().to_owned()),
        _ => DialError::Stream(status),
    }
}

/// Says what happened once, and not again at every attempt.
#[derive(Default)]
struct Diary {
    is_failing: bool,
    contradiction: String,
}

impl Diary {
    fn connected(&mut self, link: &Link, lane: Lane) {
        *self = Self::default();
        info!(peer = link.node().0, address = %link.member.peer_address, ?lane, "connected");
    }

    /// Whether that means anything is for the one who watches over the peer to say.
    fn broken(&mut self, link: &Link, lane: Lane, why: &DialError) {
        match why {
            DialError::Contradiction(_) => self.failed(link, lane, why),
            _ => info!(peer = link.node().0, ?lane, "the connection ended: {why}"),
        }
    }

    fn failed(&mut self, link: &Link, lane: Lane, why: &DialError) {
        let (peer, address) = (link.node().0, &link.member.peer_address);
        match why {
            DialError::Contradiction(text) if *text != self.contradiction => {
                self.contradiction.clone_from(text);
                error!(peer, %address, "the nodes cannot talk: {text}");
            }
            why if lane == Lane::Control && !self.is_failing => {
                info!(peer, %address, "not connected: {why}; it is tried again until it works");
            }
            why => debug!(peer, %address, ?lane, "not connected: {why}"),
        }
        self.is_failing = true;
    }
}

/// The sending half of an HTTP/2 connection as a service that a gRPC client can use.
struct Requests(SendRequest<Body>);

impl Service<hyper::Request<Body>> for Requests {
    type Response = hyper::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
