//! A topic, created on any node.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::ask_within;

/// No creation takes longer, not even of thousands of partitions on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// Creates a topic and returns Kafka's error number; 0 is none.
pub fn create_topic(
    address: SocketAddr,
    name: &str,
    partitions: i32,
    replicas: i16,
) -> io::Result<i16> {
    const CREATE_TOPICS: u16 = 19;
    const VERSION: u16 = 2;
    let one: i32 = 1;
    let none: i32 = 0;
    let timeout_ms = i32::try_from(BOUND.as_millis()).expect("a short time");
    let mut body = Vec::new();
    body.extend(one.to_be_bytes());
    put_text(&mut body, name);
    body.extend(partitions.to_be_bytes());
    body.extend(replicas.to_be_bytes());
    // Neither assignments nor configs.
    body.extend(none.to_be_bytes());
    body.extend(none.to_be_bytes());
    body.extend(timeout_ms.to_be_bytes());
    let validate_only = 0;
    body.push(validate_only);
    let answer = ask_within(BOUND, address, CREATE_TOPICS, VERSION, &body)?;
    parse(&answer, name).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let len = i16::try_from(text.len()).expect("a short text");
    body.extend(len.to_be_bytes());
    body.extend(text.as_bytes());
}

/// Throttle time, one topic, its name, its error.
fn parse(answer: &[u8], name: &str) -> Option<i16> {
    let error_at = 4 + 4 + 2 + name.len();
    let error = answer.get(error_at..error_at + 2)?;
    Some(i16::from_be_bytes(error.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_stands_behind_the_name() {
        let mut answer = vec![0; 8];
        put_text(&mut answer, "orders");
        answer.extend(36i16.to_be_bytes());
        assert_eq!(parse(&answer, "orders"), Some(36));
        assert_eq!(parse(&answer[..15], "orders"), None);
    }
}
