//! What a handler gets besides the request: who asks, in which version, and the broker behind the door.

use std::net::SocketAddr;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::broker::coordinator::CoordinatorHandle;
use crate::metrics::ErrorNumber;

use super::Door;
use super::budget::Share;
use super::error_code::ErrorCode;
use super::header::Header;

/// One request in service. It holds the request's share of the budget until it is answered.
pub(crate) struct Call {
    pub(super) api: ApiKey,
    pub(super) arrived_at: Instant,
    pub(crate) door: Arc<Door>,
    pub(crate) header: Header,
    pub(crate) peer: SocketAddr,
    /// One answer with records at a time: held until the answer is written.
    pub(super) records_turn: Arc<Semaphore>,
    pub(super) _share: Share,
}

impl Call {
    pub(crate) fn version(&self) -> i16 {
        self.header.version
    }

    pub(crate) fn broker(&self) -> &Broker {
        self.door.broker()
    }

    pub(crate) fn coordinator(&self) -> &CoordinatorHandle {
        self.door.coordinator()
    }

    /// Counts an error that some part of the answer carries.
    pub(crate) fn count(&self, error: ErrorCode) {
        if error != ErrorCode::None {
            let errors = &self.door.metrics().kafka.errors;
            errors.at(ErrorNumber(error.number())).increment();
        }
    }

    pub(crate) fn client_id(&self) -> &str {
        self.header.client_id.as_deref().unwrap_or_default()
    }
}

impl Drop for Call {
    /// A call ends with its answer, or with its connection.
    fn drop(&mut self) {
        let metrics = &self.door.metrics().kafka;
        metrics.requests.at(self.api).increment();
        metrics
            .request_latency
            .at(self.api)
            .observe(self.arrived_at.elapsed());
        metrics.requests_in_flight.add(-1);
    }
}
