//! One client's connection: reads on without waiting for answers, and answers in the order of the requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::metrics::{Closing, Direction, Operation};

use super::call::Call;
use super::dispatch::{self, CloseReason, Outcome, Refused, Reply};
use super::frame::{Frame, FrameError, FrameReader};
use super::outbox::Outbox;
use super::{Door, PATROLS_PER_TIMEOUT, stopped};

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
    #[error("{wait:?} took longer than {limit:?}")]
    Timeout { wait: Wait, limit: Duration },
}

impl Ended {
    /// The word under which it is counted.
    pub(super) fn closing(&self) -> Closing {
        match self {
            Ended::Frame(FrameError::Io(_) | FrameError::Truncated) | Ended::Write(_) => {
                Closing::Network
            }
            Ended::Frame(FrameError::Closed(_)) => Closing::Stopping,
            Ended::Frame(FrameError::TooLarge { .. } | FrameError::TooSmall { .. }) => {
                Closing::Malformed
            }
            Ended::Request(Refused::NotServed { .. }) => Closing::Unsupported,
            Ended::Request(Refused::Header(_) | Refused::Body { .. }) => Closing::Malformed,
            Ended::Reply(CloseReason::UnansweredFailure) => Closing::Unacknowledged,
            Ended::Reply(CloseReason::Unencodable(_)) => Closing::Network,
            Ended::Timeout { wait, .. } => wait.closing(),
        }
    }
}

/// What a connection may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Silence,
    Frame,
    Reader,
    Drain,
}

impl Wait {
    fn closing(self) -> Closing {
        match self {
            Wait::Silence | Wait::Frame => Closing::Idle,
            Wait::Reader => Closing::SlowReader,
            Wait::Drain => Closing::Stopping,
        }
    }

    /// Operations that are timed out are counted as well; silence is not one.
    fn operation(self) -> Option<Operation> {
        match self {
            Wait::Silence => None,
            Wait::Frame => Some(Operation::RequestRead),
            Wait::Reader => Some(Operation::AnswerWrite),
            Wait::Drain => Some(Operation::Drain),
        }
    }
}

/// Serves a connection until either side has had enough, and says which one.
pub(super) async fn serve(
    door: Arc<Door>,
    (source, mut target): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
) -> Result<Closing, Ended> {
    let mut reader = FrameReader::new(source, door.limits.frame.clone(), door.requests.clone());
    let mut line = Line::new(door, peer);
    let mut patrol = patrol_every(line.door.limits.patrol_interval());
    loop {
        tokio::select! {
            biased;
            Some(outcome) = line.in_flight.next(), if line.may_finish() => line.finish(outcome)?,
            written = line.outbox.write_some(&mut target), if !line.outbox.is_empty() => {
                line.sent(written.map_err(Ended::Write)?);
            }
            frame = reader.next(), if line.may_read() => match frame? {
                Some(frame) => line.begin(frame)?,
                None => patrol = line.no_more_requests(),
            },
            () = stopped(&mut stopping), if line.reading => patrol = line.no_more_requests(),
            _ = patrol.tick() => line.patrol(reader.deadline())?,
        }
        if line.is_done() {
            return Ok(if *stopping.borrow() {
                Closing::Stopping
            } else {
                Closing::Client
            });
        }
    }
}

fn patrol_every(period: Duration) -> Interval {
    let mut patrol = interval(period);
    patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
    patrol
}

/// The state of a connection between two events.
struct Line {
    door: Arc<Door>,
    peer: SocketAddr,
    in_flight: FuturesOrdered<Reply>,
    outbox: Outbox,
    records_turn: Arc<Semaphore>,
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
            records_turn: Arc::new(Semaphore::new(1)),
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
        let metrics = &self.door.metrics().kafka;
        metrics
            .bytes
            .at(Direction::In)
            .add(frame.bytes.len() as u64);
        let (header, body) = dispatch::decode(frame.bytes)?.into_parts();
        metrics.requests_in_flight.add(1);
        self.door.note_budget();
        let call = Call {
            api: body.api(),
            arrived_at: self.active_at,
            door: self.door.clone(),
            header,
            peer: self.peer,
            records_turn: self.records_turn.clone(),
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

    fn sent(&mut self, count_bytes: usize) {
        self.active_at = Instant::now();
        let bytes = &self.door.metrics().kafka.bytes;
        bytes.at(Direction::Out).add(count_bytes as u64);
    }

    /// From now on the patrol looks for requests in flight that do not end.
    fn no_more_requests(&mut self) -> Interval {
        self.reading = false;
        self.active_at = Instant::now();
        patrol_every(self.door.limits.connection.drain_timeout / PATROLS_PER_TIMEOUT)
    }

    /// Looks for everything that takes too long, a few times per timeout instead of with a timer per event.
    fn patrol(&self, frame_deadline: Option<Instant>) -> Result<(), Ended> {
        let (now, limits) = (Instant::now(), &self.door.limits);
        let has_passed = |since: Instant, limit: Duration| now - since > limit;
        let ConnectionLimits {
            write_timeout,
            drain_timeout,
            idle_timeout,
            ..
        } = limits.connection;
        if !self.outbox.is_empty() && has_passed(self.outbox.progress_at(), write_timeout) {
            return Err(self.timed_out(Wait::Reader, write_timeout));
        }
        if !self.reading && has_passed(self.active_at, drain_timeout) {
            return Err(self.timed_out(Wait::Drain, drain_timeout));
        }
        if frame_deadline.is_some_and(|deadline| now > deadline) {
            return Err(self.timed_out(Wait::Frame, limits.frame.arrival_timeout));
        }
        if self.in_flight.is_empty() && has_passed(self.active_at, idle_timeout) {
            return Err(self.timed_out(Wait::Silence, idle_timeout));
        }
        Ok(())
    }

    fn timed_out(&self, wait: Wait, limit: Duration) -> Ended {
        if let Some(operation) = wait.operation() {
            self.door.metrics().io.timeouts.at(operation).increment();
        }
        Ended::Timeout { wait, limit }
    }
}
