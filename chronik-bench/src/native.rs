//! The two questions that librdkafka answers and rdkafka does not pass on.

#![expect(
    unsafe_code,
    reason = "two read-only calls of librdkafka on a message that is borrowed"
)]

use rdkafka::bindings;
use rdkafka::message::BorrowedMessage;

/// What is known about a message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    NotPersisted,
    PossiblyPersisted,
    Persisted,
}

/// The broker that answered, if one did.
pub(crate) fn broker_id(message: &BorrowedMessage<'_>) -> i32 {
    // SAFETY: the pointer is valid as long as the message is borrowed, and the call only reads.
    unsafe { bindings::rd_kafka_message_broker_id(message.ptr()) }
}

pub(crate) fn fate(message: &BorrowedMessage<'_>) -> Fate {
    use bindings::rd_kafka_msg_status_t as Status;
    // SAFETY: the pointer is valid as long as the message is borrowed, and the call only reads.
    match unsafe { bindings::rd_kafka_message_status(message.ptr()) } {
        Status::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Fate::NotPersisted,
        Status::RD_KAFKA_MSG_STATUS_PERSISTED => Fate::Persisted,
        Status::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Fate::PossiblyPersisted,
    }
}
