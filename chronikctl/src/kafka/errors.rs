//! Kafka's error numbers as failures with a code and the next thing to try.

use chronik_admin::Code;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::exit::Failure;

/// Fails for every number but 0.
pub(crate) fn check(number: i16, what: &str, message: Option<&str>) -> Result<(), Failure> {
    match number {
        0 => Ok(()),
        _ => Err(refusal(number, what, message)),
    }
}

/// One result of a request for several things: a number, and the broker's own words.
pub(crate) fn outcome(
    number: i16,
    noun: &str,
    name: &str,
    message: Option<&StrBytes>,
) -> Result<(), Failure> {
    check(
        number,
        &format!("{noun} {name}"),
        message.map(|text| &**text),
    )
}

/// A number, what was wanted, and the broker's own words if it has any.
pub(crate) fn refusal(number: i16, what: &str, message: Option<&str>) -> Failure {
    let name = ResponseError::try_from_code(number).map_or_else(
        || format!("Kafka's error {number}"),
        |error| words(&format!("{error:?}")),
    );
    let (code, hint) = meaning(number);
    let said = match message {
        Some(message) if !message.is_empty() => format!("{what}: {message} ({name})"),
        _ => format!("{what}: {name}"),
    };
    Failure::new(code, said).hint(hint)
}

/// Whether the same may work a moment later: leaders change, and topics are made.
pub(crate) fn is_retriable(number: i16) -> bool {
    ResponseError::try_from_code(number).is_some_and(|error| error.is_retriable())
}

fn meaning(number: i16) -> (Code, &'static str) {
    match number {
        3 | 100 => (Code::NotFound, "chronikctl topic list"),
        69 => (Code::NotFound, "chronikctl group list"),
        36 => (Code::AlreadyExists, "chronikctl topic list"),
        5 | 6 | 14 | 15 | 16 | 41 => (Code::NoLeader, "chronikctl raft status"),
        7 => (Code::Deadline, "chronikctl health"),
        10 | 17 | 18 | 37 | 38 | 39 | 40 | 42 | 44 | 60 => (Code::InvalidArgument, ""),
        19 | 20 => (Code::NoLeader, "chronikctl health"),
        29..=31 => (Code::PermissionDenied, ""),
        68 => (Code::Blocked, "stop its members first"),
        _ => (Code::Internal, ""),
    }
}

/// `UnknownTopicOrPartition` as `unknown topic or partition`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(character.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_words_a_code_and_a_next_step() {
        let failure = refusal(3, "topic orders", None);
        assert_eq!(
            failure.error.message,
            "topic orders: unknown topic or partition"
        );
        assert_eq!(
            (failure.code(), failure.error.hint.as_str()),
            (1, "chronikctl topic list")
        );
        assert!(is_retriable(6) && !is_retriable(36));
        assert!(check(0, "nothing", None).is_ok());
    }
}
