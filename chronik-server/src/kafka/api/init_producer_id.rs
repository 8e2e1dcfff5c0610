//! InitProducerId: a number that no other producer has, for idempotent writing.

use std::time::Duration;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// The request's own timeout is about transactions.
const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_EPOCH: i16 = 0;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        return refused(ErrorCode::InvalidRequest);
    }
    // A client that had an id gets a new one as well: that is always right, and no state is needed for it.
    match call.broker().new_producer_id(TIMEOUT).await {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(FIRST_EPOCH),
        // The one error that clients of every version come back from.
        Err(_) => refused(ErrorCode::CoordinatorLoadInProgress),
    }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.number())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}
