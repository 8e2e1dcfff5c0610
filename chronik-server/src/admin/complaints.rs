//! What a node's log complained of lately.

use chronik_admin::AdminError;
use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{Complaint, LogDigest, LogDigestRequest};

use super::desk::{Desk, ask_there};
use crate::{clock, logging};

impl Desk {
    pub(super) async fn log_digest(
        &self,
        request: LogDigestRequest,
    ) -> Result<LogDigest, AdminError> {
        let Some(node) = self.other(request.node_id)? else {
            return Ok(self.log_digest_here(&request));
        };
        ask_there!(self, node, LogDigest(request) -> LogDigest)
    }

    pub(super) fn log_digest_here(&self, request: &LogDigestRequest) -> LogDigest {
        let since = match request.within_ms {
            0 => 0,
            within => clock::wall_ms().unsigned_abs().saturating_sub(within),
        };
        let complaints = self.log.digest().since(since).into_iter();
        LogDigest {
            node_id: self.about.node.0,
            complaints: complaints.map(told).collect(),
        }
    }
}

fn told(complaint: logging::Complaint) -> Complaint {
    Complaint {
        level: complaint.level.to_string(),
        target: complaint.target.to_owned(),
        message: complaint.message,
        count: complaint.count,
        first_at_ms: complaint.first_at_ms,
        last_at_ms: complaint.last_at_ms,
        last_fields: complaint.fields,
    }
}
