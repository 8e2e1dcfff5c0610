//! What the end of a send says about the fate of its records.

use crate::contract::Contract;
use crate::history::{Attempt, AttemptResult, KafkaError, Outcome, SendEnd};

/// The verdict over a whole send, recomputed from its attempts so that today's rules apply to an old history.
pub fn classify(end: &SendEnd, contract: Contract) -> Outcome {
    if end.attempts.is_empty() {
        return end.outcome;
    }
    let classes = || {
        end.attempts
            .iter()
            .map(|attempt| classify_result(attempt.result, contract))
    };
    if classes().any(|class| class == Outcome::Ok) {
        Outcome::Ok
    } else if classes().any(|class| class == Outcome::Info) {
        // A definite refusal of a retry says nothing about the attempt before it.
        Outcome::Info
    } else {
        Outcome::Fail
    }
}

/// What one attempt says about the batch.
pub fn classify_result(result: AttemptResult, contract: Contract) -> Outcome {
    use KafkaError as Kafka;
    match result {
        AttemptResult::Ok => Outcome::Ok,
        AttemptResult::NotSent => Outcome::Fail,
        AttemptResult::Timeout | AttemptResult::Disconnected => Outcome::Info,
        AttemptResult::Error(error) => match error {
            // The broker has the batch already: it is an acknowledgement whose offset is not known.
            Kafka::DuplicateSequence => Outcome::Ok,
            Kafka::MessageTooLarge
            | Kafka::InvalidTopic
            | Kafka::UnknownTopicOrPartition
            | Kafka::TopicAuthorizationFailed
            | Kafka::ClusterAuthorizationFailed
            | Kafka::TransactionalIdAuthorizationFailed
            | Kafka::InvalidRecord
            | Kafka::UnsupportedVersion
            | Kafka::UnsupportedForMessageFormat
            | Kafka::UnsupportedCompressionType
            | Kafka::InvalidProducerEpoch
            | Kafka::ProducerFenced
            | Kafka::OutOfOrderSequence
            | Kafka::NotEnoughReplicas => Outcome::Fail,
            Kafka::NotLeaderOrFollower if contract.not_leader_means_never_written() => {
                Outcome::Fail
            }
            Kafka::NotLeaderOrFollower
            | Kafka::NotEnoughReplicasAfterAppend
            | Kafka::RequestTimedOut
            | Kafka::UnknownServerError
            | Kafka::Other => Outcome::Info,
        },
    }
}

/// How often a batch may have been appended: once for each attempt that could have reached a log.
pub fn possible_copies(attempts: &[Attempt], contract: Contract) -> u32 {
    let written = attempts
        .iter()
        .filter(|attempt| classify_result(attempt.result, contract) != Outcome::Fail)
        .count();
    (written as u32).max(1)
}

/// librdkafka's `rd_kafka_message_status`, for clients that hide their attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersistedStatus {
    Persisted,
    NotPersisted,
    PossiblyPersisted,
}

impl From<PersistedStatus> for Outcome {
    fn from(status: PersistedStatus) -> Outcome {
        match status {
            PersistedStatus::Persisted => Outcome::Ok,
            PersistedStatus::NotPersisted => Outcome::Fail,
            PersistedStatus::PossiblyPersisted => Outcome::Info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(words: &[&str], contract: Contract) -> Outcome {
        let attempts = words
            .iter()
            .map(|word| Attempt {
                node: None,
                result: AttemptResult::from_word(word),
                wire: None,
            })
            .collect();
        let end = SendEnd {
            op: 1,
            outcome: Outcome::Info,
            partition: None,
            offset: None,
            leader_epoch: None,
            node: None,
            attempts,
        };
        classify(&end, contract)
    }

    #[test]
    fn one_row_for_each_rule() {
        use Outcome::{Fail, Info, Ok};
        let rows: &[(&[&str], Outcome, Outcome)] = &[
            // attempts, under Kafka's contract, under Chronik's
            (&["OK"], Ok, Ok),
            (&["TIMEOUT", "OK"], Ok, Ok),
            (&["TIMEOUT", "DUPLICATE_SEQUENCE_NUMBER"], Ok, Ok),
            (&["NOT_SENT"], Fail, Fail),
            (&["NOT_SENT", "MESSAGE_TOO_LARGE"], Fail, Fail),
            (&["NOT_ENOUGH_REPLICAS"], Fail, Fail),
            (&["NOT_ENOUGH_REPLICAS_AFTER_APPEND"], Info, Info),
            (&["DISCONNECTED"], Info, Info),
            (&["REQUEST_TIMED_OUT"], Info, Info),
            (&["UNKNOWN_SERVER_ERROR"], Info, Info),
            (&["SOMETHING_NEW"], Info, Info),
            (&["NOT_LEADER_OR_FOLLOWER"], Info, Fail),
            (&["NOT_LEADER", "OK"], Ok, Ok),
            // The second answer is definite, the first attempt is still open.
            (&["TIMEOUT", "OUT_OF_ORDER_SEQUENCE_NUMBER"], Info, Info),
        ];
        for (words, kafka, chronik) in rows {
            assert_eq!(
                class(words, Contract::Kafka),
                *kafka,
                "{words:?} under Kafka"
            );
            assert_eq!(
                class(words, Contract::Chronik),
                *chronik,
                "{words:?} under Chronik"
            );
        }
    }

    #[test]
    fn without_attempts_the_client_is_believed() {
        assert_eq!(class(&[], Contract::Kafka), Outcome::Info);
    }

    #[test]
    fn only_attempts_that_may_have_been_written_make_copies() {
        let attempts: Vec<Attempt> = ["NOT_SENT", "TIMEOUT", "OK"]
            .iter()
            .map(|word| Attempt {
                node: None,
                result: AttemptResult::from_word(word),
                wire: None,
            })
            .collect();
        assert_eq!(possible_copies(&attempts, Contract::Kafka), 2);
        assert_eq!(possible_copies(&[], Contract::Kafka), 1);
    }
}
