//! The requests of consumer groups, classic protocol.

use std::net::SocketAddr;
use std::time::Duration;

use super::codec::{Decoder, Encoder, WireFault};
use super::connection::{CallFailed, Connection};

/// The strategy that our members agree on.
const STRATEGY: &str = "range";

/// For each partition the committed position, if there is one.
pub(crate) type Committed = Vec<(i32, Option<u64>)>;

/// Where a group is coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coordinator {
    pub(crate) node: i32,
    pub(crate) address: SocketAddr,
}

/// What a member is told when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) error: i16,
    pub(crate) generation: i32,
    pub(crate) member: String,
    /// All members, told to the leader alone.
    pub(crate) members: Vec<String>,
}

pub(crate) fn find_coordinator(
    connection: &mut Connection,
    group: &str,
    bound: Duration,
) -> Result<Option<Coordinator>, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).i8(0);
    let answer = connection.call(10, 2, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let error = answer.i16()?;
    answer.nullable_text()?;
    let node = answer.i32()?;
    let host = answer.text()?.parse();
    let port = u16::try_from(answer.i32()?);
    Ok(match (error, host, port) {
        (0, Ok(host), Ok(port)) => Some(Coordinator {
            node,
            address: SocketAddr::new(host, port),
        }),
        _ => None,
    })
}

pub(crate) fn join_group(
    connection: &mut Connection,
    group: &str,
    member: &str,
    topic: &str,
    session: Duration,
    bound: Duration,
) -> Result<Joined, CallFailed> {
    let mut subscription = Encoder::default();
    subscription.i16(0).len(1).text(topic).blob(b"");
    let timeout_ms = i32::try_from(session.as_millis()).unwrap_or(i32::MAX);
    let mut body = Encoder::default();
    body.text(group)
        .i32(timeout_ms)
        .i32(timeout_ms)
        .text(member)
        .no_text();
    body.text("consumer")
        .len(1)
        .text(STRATEGY)
        .blob(&subscription.bytes);
    let answer = connection.call(11, 5, &body.bytes, bound)?;
    Ok(decode_joined(&answer)?)
}

fn decode_joined(answer: &[u8]) -> Result<Joined, WireFault> {
    let mut answer = Decoder::new(answer);
    answer.i32()?;
    let error = answer.i16()?;
    let generation = answer.i32()?;
    answer.nullable_text()?;
    answer.text()?;
    let member = answer.text()?.to_owned();
    let members = answer.array(|member| {
        let id = member.text()?.to_owned();
        member.nullable_text()?;
        member.blob()?;
        Ok(id)
    })?;
    Ok(Joined {
        error,
        generation,
        member,
        members,
    })
}

/// Hands the leader's assignments in and brings one's own back.
pub(crate) fn sync_group(
    connection: &mut Connection,
    group: &str,
    (generation, member): (i32, &str),
    assignments: &[(String, Vec<u8>)],
    bound: Duration,
) -> Result<Result<Vec<u8>, i16>, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).i32(generation).text(member).no_text();
    body.len(assignments.len());
    for (member, assignment) in assignments {
        body.text(member).blob(assignment);
    }
    let answer = connection.call(14, 3, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let error = answer.i16()?;
    let assignment = answer.blob()?.to_vec();
    Ok(if error == 0 {
        Ok(assignment)
    } else {
        Err(error)
    })
}

pub(crate) fn heartbeat(
    connection: &mut Connection,
    group: &str,
    (generation, member): (i32, &str),
    bound: Duration,
) -> Result<i16, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).i32(generation).text(member).no_text();
    let answer = connection.call(12, 3, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    Ok(answer.i16()?)
}

pub(crate) fn leave_group(
    connection: &mut Connection,
    group: &str,
    member: &str,
    bound: Duration,
) -> Result<i16, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).text(member);
    let answer = connection.call(13, 1, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    Ok(answer.i16()?)
}

/// Commits positions in one topic; the first error of a partition, or 0.
pub(crate) fn commit_offsets(
    connection: &mut Connection,
    group: &str,
    (generation, member): (i32, &str),
    topic: &str,
    offsets: &[(i32, u64)],
    bound: Duration,
) -> Result<i16, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).i32(generation).text(member).no_text();
    body.len(1).text(topic).len(offsets.len());
    for (partition, offset) in offsets {
        body.i32(*partition).i64(*offset as i64).i32(-1).text("");
    }
    let answer = connection.call(8, 7, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let errors = answer.array(|topic| {
        topic.text()?;
        topic.array(|partition| {
            partition.i32()?;
            partition.i16()
        })
    })?;
    let errors = errors.into_iter().flatten();
    Ok(errors.filter(|error| *error != 0).min().unwrap_or(0))
}

/// The committed positions of these partitions; `None` where nothing was committed.
pub(crate) fn committed_offsets(
    connection: &mut Connection,
    group: &str,
    topic: &str,
    partitions: &[i32],
    bound: Duration,
) -> Result<Result<Committed, i16>, CallFailed> {
    let mut body = Encoder::default();
    body.text(group).len(1).text(topic).len(partitions.len());
    for partition in partitions {
        body.i32(*partition);
    }
    let answer = connection.call(9, 5, &body.bytes, bound)?;
    let mut answer = Decoder::new(&answer);
    answer.i32()?;
    let mut first_error = 0;
    let offsets = answer.array(|topic| {
        topic.text()?;
        topic.array(|partition| {
            let index = partition.i32()?;
            let offset = partition.i64()?;
            partition.i32()?;
            partition.nullable_text()?;
            let error = partition.i16()?;
            if error != 0 {
                first_error = error;
            }
            Ok((index, u64::try_from(offset).ok()))
        })
    })?;
    let error = answer.i16()?;
    if error != 0 || first_error != 0 {
        return Ok(Err(if error != 0 { error } else { first_error }));
    }
    Ok(Ok(offsets.into_iter().flatten().collect()))
}

pub(crate) fn encode_assignment(topic: &str, partitions: &[i32]) -> Vec<u8> {
    let mut bytes = Encoder::default();
    bytes.i16(0).len(1).text(topic).len(partitions.len());
    for partition in partitions {
        bytes.i32(*partition);
    }
    bytes.blob(b"");
    bytes.bytes
}

pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<Vec<i32>, WireFault> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut assignment = Decoder::new(bytes);
    assignment.i16()?;
    let topics = assignment.array(|topic| {
        topic.text()?;
        topic.array(Decoder::i32)
    })?;
    Ok(topics.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn assignments_come_back(partitions in proptest::collection::vec(any::<i32>(), 0..9)) {
            let bytes = encode_assignment("t", &partitions);
            prop_assert_eq!(decode_assignment(&bytes), Ok(partitions));
        }

        #[test]
        fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_joined(&bytes);
            let _ = decode_assignment(&bytes);
        }
    }
}
