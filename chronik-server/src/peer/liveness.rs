//! Whether a peer lives: signs come in, changes go out. It keeps no clock and sends nothing.

use std::time::{Duration, Instant};

use chronik_core::ids::NodeId;

use super::limits::FAILED_DIALS;

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// The groups it leads need another leader.
    Suspect { node: NodeId, why: Doubt },
    /// It is there, and what is sent to it is taken; `boot` differs from the last one if its process is a new one.
    Alive { node: NodeId, boot: u64 },
    /// Messages to it were lost. It may live nonetheless.
    Unreachable(NodeId),
}

/// Why a node is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It says nothing. Connections to it may be open all the same, and whoever asked it something waits.
    Silent,
    /// Connections to it broke and no new ones can be made: whoever was connected to it knows.
    Refused,
    /// It speaks, but its log takes no writes.
    Stalled,
}

/// What is observed of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered: what is sent to it arrives, and what it sends arrives here. Less would leave one of two nodes
    /// between which only one way is open with its leaders, and the other one waiting for them.
    Pulse { boot: u64, wal_ok: bool },
    /// It says of itself that its log takes no writes.
    Stalled,
    /// The control connection to it broke.
    Broken,
    /// An attempt to connect to it began.
    Dialing,
    /// An attempt to connect to it failed.
    DialFailed,
    /// An answer came back over the control lane.
    Answered,
}

/// One peer, seen from here.
#[derive(Debug)]
pub(super) struct Watch {
    node: NodeId,
    suspect_after: Duration,
    last_pulse: Instant,
    state: State,
    failed_dials: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Never heard of.
    Unknown,
    Alive {
        boot: u64,
    },
    Suspect(Doubt),
}

/// The part of the time until suspicion that a look may be late, and that is then given to a silent node.
const GRACE_SHARE: u32 = 4;

impl Watch {
    pub(super) fn new(node: NodeId, suspect_after: Duration, now: Instant) -> Self {
        Self {
            node,
            suspect_after,
            last_pulse: now,
            state: State::Unknown,
            failed_dials: 0,
        }
    }

    /// Something was observed.
    pub(super) fn sign(&mut self, sign: Sign, now: Instant) -> Option<Liveness> {
        match sign {
            Sign::Pulse { wal_ok: false, .. } | Sign::Stalled => {
                self.last_pulse = now;
                self.failed_dials = 0;
                self.suspect(Doubt::Stalled)
            }
            Sign::Pulse { boot, wal_ok: true } => self.alive(boot, now),
            Sign::Broken => {
                self.failed_dials = 0;
                None
            }
            Sign::DialFailed => {
                self.failed_dials = self.failed_dials.saturating_add(1);
                // A pulse since the last look would have set the count back.
                (self.failed_dials >= FAILED_DIALS)
                    .then(|| self.suspect(Doubt::Refused))
                    .flatten()
            }
            Sign::Dialing | Sign::Answered => None,
        }
    }

    /// When silence becomes suspicion; none while it says nothing already.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let is_silent = matches!(self.state, State::Suspect(Doubt::Silent | Doubt::Refused));
        (!is_silent).then(|| self.last_pulse + self.suspect_after)
    }

    /// Time passed. Whoever looks much too late was away itself, and hears first what came meanwhile.
    pub(super) fn passed(&mut self, now: Instant) -> Option<Liveness> {
        let deadline = self.deadline()?;
        let grace = self.suspect_after / GRACE_SHARE;
        if now >= deadline + grace {
            self.last_pulse = now + grace - self.suspect_after;
            return None;
        }
        (now >= deadline)
            .then(|| self.suspect(Doubt::Silent))
            .flatten()
    }

    fn alive(&mut self, boot: u64, now: Instant) -> Option<Liveness> {
        self.last_pulse = now;
        self.failed_dials = 0;
        let known = self.state == State::Alive { boot };
        self.state = State::Alive { boot };
        (!known).then_some(Liveness::Alive {
            node: self.node,
            boot,
        })
    }

    /// Another doubt is news: who is stalled still answers, who is silent does not.
    fn suspect(&mut self, why: Doubt) -> Option<Liveness> {
        let known = self.state == State::Suspect(why);
        self.state = State::Suspect(why);
        (!known).then_some(Liveness::Suspect {
            node: self.node,
            why,
        })
    }
}
