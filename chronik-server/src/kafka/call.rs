//! What a handler gets besides the request: who asks, in which version, and the broker behind the door.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::Broker;

use super::Door;
use super::frame::BudgetShare;
use super::header::Header;

/// One request in service. It holds the request's share of the budget until it is answered.
pub(crate) struct Call {
    pub(crate) door: Arc<Door>,
    pub(crate) header: Header,
    pub(crate) peer: SocketAddr,
    pub(super) _share: BudgetShare,
}

impl Call {
    pub(crate) fn version(&self) -> i16 {
        self.header.version
    }

    pub(crate) fn broker(&self) -> &Broker {
        self.door.broker()
    }

    pub(crate) fn client_id(&self) -> &str {
        self.header.client_id.as_deref().unwrap_or_default()
    }
}
