//! The circuit breaker of a peer: once it is known that nothing arrives, senders are told so at once.

use super::limits::FAILED_DIALS;

/// Whether anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Messages are sent.
    Closed,
    /// Nothing is sent, and an attempt to connect is under way.
    HalfOpen,
    /// Nothing is sent.
    Open,
}

/// Opens after failures in a row or silence, closes when a sign of life came back.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed,
            failures: 0,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// An attempt to connect begins.
    pub(super) fn attempt(&mut self) {
        if self.state == State::Open {
            self.state = State::HalfOpen;
        }
    }

    /// An attempt to connect failed.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILED_DIALS || self.state == State::HalfOpen {
            self.state = State::Open;
        }
    }

    /// The peer says nothing, although it is connected.
    pub(super) fn silent(&mut self) {
        self.state = State::Open;
    }

    /// An answer came back.
    pub(super) fn answered(&mut self) {
        *self = Self::new();
    }
}

impl State {
    /// As the metric shows it.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}
