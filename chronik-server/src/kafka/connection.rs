//! One client's connection: reads on without waiting for answers, and answers in the order of the requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::call::Call;
use super::dispatch::{self, CloseReason, Outcome, Refused, Reply};
use super::frame::{Frame, FrameError, FrameReader};
use super::outbox::Outbox;
use super::{Door, stopped};

/// The bounds of one connection.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Requests that are read and not yet answered.
    pub in_flight: usize,
    /// Finished answers wait for a slow reader up to here; then nothing more is finished or read.
    pub outbox_bytes: usize,
    /// How long a connection may stay silent with nothing in flight.
    pub idle_timeout: Duration,
    /// How long a peer may refuse to take any byte of an answer.
    pub write_timeout: Duration,
    /// How long requests in flight may take once the node stops.
    pub drain_timeout: Duration,
}

/// How a connection ended, other than by the client's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] Refused),
    #[error(transparent)]
    Reply(#[from] CloseReason),
    #[error("write: {0}")]
    Write(#[source] std::io::Error),
    #[error("{what} took longer than {limit:?}")]
    Timeout { what: &'static str, limit: Duration },
}

/// Serves a connection until either side has had enough.
pub(super) async fn serve(
    door: Arc<Door>,
    (source, mut target): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Ended> {
    let mut reader = FrameReader::new(source, door.limits.frame.clone(), door.budget.clone());
    let mut line = Line::new(door, peer);
    let mut patrol = interval(line.door.limits.patrol_interval());
    patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Some(outcome) = line.in_flight.next(), if line.may_finish() => line.finish(outcome)?,
            written = line.outbox.write_some(&mut target), if !line.outbox.is_empty() => {
                written.map_err(Ended::Write)?;
                line.active_at = Instant::now();
            }
            frame = reader.next(), if line.may_read() => match frame? {
                Some(frame) => line.begin(frame)?,
                None => line.no_more_requests(),
            },
            () = stopped(&mut stopping), if line.reading => line.no_more_requests(),
            _ = patrol.tick() => line.patrol(reader.deadline())?,
        }
        if line.is_done() {
            return Ok(());
        }
    }
}

/// The state of a connection between two events.
struct Line {
    door: Arc<Door>,
    peer: SocketAddr,
    in_flight: FuturesOrdered<Reply>,
    outbox: Outbox,
    reading: bool,
    active_at: Instant,
}

impl Line {
    fn new(door: Arc<Door>, peer: SocketAddr) -> Self {
        let in_flight = FuturesOrdered::new();
        Line {
            door,
            peer,
            in_flight,
            outbox: Outbox::new(),
            reading: true,
            active_at: Instant::now(),
        }
    }

    fn may_finish(&self) -> bool {
        !self.in_flight.is_empty()
            && self.outbox.waiting_bytes() < self.door.limits.connection.outbox_bytes
    }

    fn may_read(&self) -> bool {
        self.reading
            && self.in_flight.len() < self.door.limits.connection.in_flight
            && self.outbox.waiting_bytes() < self.door.limits.connection.outbox_bytes
    }

    fn is_done(&self) -> bool {
        !self.reading && self.in_flight.is_empty() && self.outbox.is_empty()
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Ended> {
        self.active_at = Instant::now();
        let (header, body) = dispatch::decode(frame.bytes)?.into_parts();
        let call = Call {
            door: self.door.clone(),
            header,
            peer: self.peer,
            _share: frame.share,
        };
        self.in_flight.push_back(dispatch::start(call, body));
        Ok(())
    }

    fn finish(&mut self, outcome: Outcome) -> Result<(), Ended> {
        match outcome {
            Outcome::Respond(response) => self.outbox.push(response),
            Outcome::Silent => {}
            Outcome::Close(reason) => return Err(reason.into()),
        }
        Ok(())
    }

    fn no_more_requests(&mut self) {
        self.reading = false;
        self.active_at = Instant::now();
    }

    /// Looks for everything that takes too long, a few times per timeout instead of with a timer per event.
    fn patrol(&self, frame_deadline: Option<Instant>) -> Result<(), Ended> {
        let (now, limits) = (Instant::now(), &self.door.limits);
        let check = |what, since: Instant, limit: Duration| {
            if now - since > limit {
                Err(Ended::Timeout { what, limit })
            } else {
                Ok(())
            }
        };
        if !self.outbox.is_empty() {
            check(
                "a reader",
                self.outbox.progress_at(),
                limits.connection.write_timeout,
            )?;
        }
        if !self.reading {
            return check("draining", self.active_at, limits.connection.drain_timeout);
        }
        if frame_deadline.is_some_and(|deadline| now > deadline) {
            return Err(Ended::Timeout {
                what: "a frame",
                limit: limits.frame.arrival_timeout,
            });
        }
        if self.in_flight.is_empty() {
            check("silence", self.active_at, limits.connection.idle_timeout)?;
        }
        Ok(())
    }
}
