//! One member of a group: what it offers, what it waits for and until when it counts as alive.

use bytes::Bytes;

use super::message::{JoinRequest, Protocol, Ticket};
use super::records::MemberMetadata;

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout_ms: u64,
    pub(super) rebalance_timeout_ms: u64,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    pub(super) parked_join: Option<Ticket>,
    pub(super) parked_sync: Option<Ticket>,
    /// Asked for its assignment in this generation.
    pub(super) has_synced: bool,
    /// Never got an answer to its first join: its client may be gone without a trace.
    pub(super) is_new: bool,
    pub(super) session_ends_ms: u64,
}

impl Member {
    pub(super) fn from_join(request: &JoinRequest, session_ends_ms: u64) -> Member {
        let (session_timeout_ms, rebalance_timeout_ms) = timeouts_ms(request);
        Member {
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout_ms,
            rebalance_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            parked_join: None,
            parked_sync: None,
            has_synced: false,
            is_new: true,
            session_ends_ms,
        }
    }

    /// A member of a generation that the log remembers, alive for one session from now.
    pub(super) fn from_log(logged: &MemberMetadata, protocol_name: &str, now_ms: u64) -> Member {
        let session_timeout_ms = u64::try_from(logged.session_timeout_ms).unwrap_or(0);
        Member {
            instance_id: logged.instance_id.clone(),
            client_id: logged.client_id.clone(),
            client_host: logged.client_host.clone(),
            session_timeout_ms,
            rebalance_timeout_ms: u64::try_from(logged.rebalance_timeout_ms)
                .unwrap_or(session_timeout_ms),
            protocols: vec![Protocol {
                name: protocol_name.to_owned(),
                metadata: logged.subscription.clone(),
            }],
            assignment: logged.assignment.clone(),
            parked_join: None,
            parked_sync: None,
            has_synced: true,
            is_new: false,
            session_ends_ms: now_ms.saturating_add(session_timeout_ms),
        }
    }

    pub(super) fn take_over(&mut self, request: &JoinRequest) {
        (self.session_timeout_ms, self.rebalance_timeout_ms) = timeouts_ms(request);
        self.client_id.clone_from(&request.client_id);
        self.client_host.clone_from(&request.client_host);
        self.protocols.clone_from(&request.protocols);
    }

    pub(super) fn renew(&mut self, now_ms: u64) {
        self.session_ends_ms = now_ms.saturating_add(self.session_timeout_ms);
    }

    /// When the member is to be given up. Whoever waits for an answer of ours is alive, unless it is new: then
    /// nothing tells a patient client from one that went away.
    pub(super) fn gone_at_ms(&self) -> Option<u64> {
        let waits = self.parked_join.is_some() || self.parked_sync.is_some();
        (self.is_new || !waits).then_some(self.session_ends_ms)
    }

    /// Roughly what it takes to remember this member.
    pub(super) fn weight_bytes(&self) -> usize {
        let protocols = self
            .protocols
            .iter()
            .map(|protocol| protocol.name.len() + protocol.metadata.len());
        let texts = self.client_id.len()
            + self.client_host.len()
            + self.instance_id.as_ref().map_or(0, String::len);
        size_of::<Member>() + texts + protocols.sum::<usize>() + self.assignment.len()
    }

    pub(super) fn supports(&self, protocol_name: &str) -> bool {
        self.protocols
            .iter()
            .any(|protocol| protocol.name == protocol_name)
    }

    pub(super) fn metadata_for(&self, protocol_name: &str) -> Bytes {
        let protocol = self
            .protocols
            .iter()
            .find(|protocol| protocol.name == protocol_name);
        protocol
            .map(|protocol| protocol.metadata.clone())
            .unwrap_or_default()
    }
}

fn timeouts_ms(request: &JoinRequest) -> (u64, u64) {
    let session_timeout_ms = u64::try_from(request.session_timeout_ms).unwrap_or(0);
    let rebalance_timeout_ms =
        u64::try_from(request.rebalance_timeout_ms).unwrap_or(session_timeout_ms);
    (session_timeout_ms, rebalance_timeout_ms)
}
