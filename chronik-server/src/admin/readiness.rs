//! Whether the node serves clients, and if not, what it waits for.

/// Whether the node serves clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Clients are served.
    pub ready: bool,
    /// What is missing, as sentences; empty when ready.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// The log is being read.
    pub fn starting() -> Self {
        Self::waiting_for("the node starts: it reads its log and elects its leaders")
    }

    /// Clients are served.
    pub fn serving() -> Self {
        Self {
            ready: true,
            reasons: Vec::new(),
        }
    }

    /// The node was told to stop.
    pub fn stopping() -> Self {
        Self::waiting_for("the node stops: requests in progress are answered, new ones are not")
    }

    /// Not ready, for one reason.
    pub fn waiting_for(reason: impl Into<String>) -> Self {
        Self {
            ready: false,
            reasons: vec![reason.into()],
        }
    }
}
