//! Plants anomalies in a clean history, one at a time; exactly the planted class must be found.
#![expect(
    clippy::ptr_arg,
    reason = "plants share one type, and some of them add or remove events"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use chronik_check::history::{
    Action, Attempt, AttemptResult, Content, Event, FinalRead, Invariant, Isolation, KafkaError,
    Name, Outcome, Poll, PollMode, Reader, Record, SendEnd, SendInvoke, Value,
};
use chronik_check::{Anomaly, Checker, Contract};

use crate::commands::CommandFault;
use crate::output;
use crate::verdict::JudgeFault;

/// Whether every planted class was found, and nothing where nothing was planted.
pub(super) fn are_found(run: Option<&Path>) -> Result<bool, CommandFault> {
    let clean = match run {
        Some(run) => read(run)?,
        None => made(),
    };
    let mut is_good = report("clean", &found(&clean)?, &BTreeSet::new());
    for (anomaly, plant) in PLANTS {
        let mut events = clean.clone();
        if plant(&mut events).is_none() {
            output::line(format!("no place for {anomaly} in this history"));
            is_good = false;
            continue;
        }
        is_good &= report(
            anomaly.name(),
            &found(&events)?,
            &BTreeSet::from([*anomaly]),
        );
    }
    Ok(is_good)
}

fn report(name: &str, found: &BTreeSet<Anomaly>, expected: &BTreeSet<Anomaly>) -> bool {
    let names: Vec<&str> = found.iter().map(|anomaly| anomaly.name()).collect();
    let verdict = if found == expected { "ok " } else { "BAD" };
    output::line(format!(
        "{verdict} {name:<24} found: {}",
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    ));
    found == expected
}

fn found(events: &[Event]) -> Result<BTreeSet<Anomaly>, CommandFault> {
    let mut checker = Checker::offline(Contract::Chronik);
    for (line, event) in (1..).zip(events) {
        checker.feed(line, event).map_err(JudgeFault::from)?;
    }
    Ok(checker.finish().totals.into_keys().collect())
}

fn read(run_dir: &Path) -> Result<Vec<Event>, CommandFault> {
    let path = run_dir.join("history.jsonl");
    let file = File::open(&path).map_err(CommandFault::file("open", &path))?;
    let events = Reader::new(BufReader::new(file)).map(|event| event.map(|(_, event)| event));
    Ok(events
        .collect::<Result<Vec<Event>, _>>()
        .map_err(JudgeFault::from)?)
}

type Plant = fn(&mut Vec<Event>) -> Option<()>;

const PLANTS: &[(Anomaly, Plant)] = &[
    (Anomaly::FinalLost, lose),
    (Anomaly::AbortedRead, refuse),
    (Anomaly::Corrupt, |events| alter(events, Content::Corrupt)),
    (Anomaly::Misrouted, |events| {
        alter(events, Content::Misrouted)
    }),
    (Anomaly::Phantom, invent),
    (Anomaly::PollSkip, skip),
    (Anomaly::NonmonotonicPoll, go_back),
    (Anomaly::InvariantLog, panic_line),
];

fn polls(events: &mut [Event], mode: PollMode) -> impl Iterator<Item = (usize, &mut Poll)> {
    events
        .iter_mut()
        .enumerate()
        .filter_map(move |(place, event)| match &mut event.action {
            Action::Poll(poll)
                if poll.mode == mode
                    && poll.records.iter().any(|(_, records)| !records.is_empty()) =>
            {
                Some((place, poll))
            }
            _ => None,
        })
}

/// The final read misses its last run, which was acknowledged and read before.
fn lose(events: &mut Vec<Event>) -> Option<()> {
    let (_, poll) = polls(events, PollMode::Final).last()?;
    poll.records.first_mut()?.1.pop().map(drop)
}

/// A batch that is in the log was refused for good.
fn refuse(events: &mut Vec<Event>) -> Option<()> {
    let end = events
        .iter_mut()
        .find_map(|event| match &mut event.action {
            Action::SendEnd(end) if end.outcome == Outcome::Ok => Some(end),
            _ => None,
        })?;
    end.outcome = Outcome::Fail;
    end.offset = None;
    end.attempts = vec![Attempt {
        node: end.node,
        result: AttemptResult::Error(KafkaError::MessageTooLarge),
        wire: None,
    }];
    Some(())
}

/// One more record than was written.
fn invent(events: &mut Vec<Event>) -> Option<()> {
    let (_, poll) = polls(events, PollMode::Assign).last()?;
    let records = &mut poll.records.first_mut()?.1;
    let last = *records.last()?;
    records.push(Record {
        offset: last.offset + u64::from(last.count),
        content: Content::Value(Value {
            producer: u32::MAX,
            incarnation: 0,
            seq: 0,
        }),
        leader_epoch: last.leader_epoch,
        count: 1,
    });
    Some(())
}

fn alter(events: &mut Vec<Event>, content: Content) -> Option<()> {
    let (_, poll) = polls(events, PollMode::Assign).next()?;
    let records = &mut poll.records.first_mut()?.1;
    let first = records.first_mut()?;
    let Content::Value(value) = first.content else {
        return None;
    };
    // The rest of the run stays what it was.
    let rest = Record {
        offset: first.offset + 1,
        content: Content::Value(value.plus(1)),
        count: first.count - 1,
        ..*first
    };
    *first = Record {
        content,
        count: 1,
        ..*first
    };
    if rest.count > 0 {
        records.insert(1, rest);
    }
    Some(())
}

/// A reader is not given one of its polls.
fn skip(events: &mut Vec<Event>) -> Option<()> {
    let (place, _) = polls(events, PollMode::Assign).nth(1)?;
    events.remove(place);
    Some(())
}

/// A reader is given one of its polls twice.
fn go_back(events: &mut Vec<Event>) -> Option<()> {
    let (place, _) = polls(events, PollMode::Assign).next()?;
    let again = events[place].clone();
    events.insert(place + 1, again);
    Some(())
}

fn panic_line(events: &mut Vec<Event>) -> Option<()> {
    let time_ns = events.last()?.time_ns;
    events.push(Event {
        time_ns,
        proc: 0,
        action: Action::Invariant(Invariant {
            node: Some(1),
            kind: "panic".into(),
            text: "planted".into(),
        }),
    });
    Some(())
}

/// A short healthy history: two producers, a reader, a final read.
fn made() -> Vec<Event> {
    const BATCHES: u64 = 40;
    const COUNT: u32 = 3;
    let place = Name::from("t/0");
    let mut events = Vec::new();
    let push = |proc: u32, action: Action, events: &mut Vec<Event>| {
        let time_ns = events.len() as u64 + 1;
        events.push(Event {
            time_ns,
            proc,
            action,
        });
    };
    let value = |batch: u64| Value {
        producer: (batch % 2) as u32 + 1,
        incarnation: 0,
        seq: batch / 2 * u64::from(COUNT),
    };
    let record = |batch: u64| Record {
        offset: batch * u64::from(COUNT),
        content: Content::Value(value(batch)),
        leader_epoch: Some(1),
        count: COUNT,
    };
    let poll = |op: u64, mode: PollMode, records: Vec<Record>| {
        Action::Poll(Poll {
            op,
            mode,
            group: None,
            generation: None,
            isolation: Isolation::Uncommitted,
            transaction: None,
            records: vec![(place.clone(), records)],
            high_watermarks: Vec::new(),
        })
    };
    push(
        9,
        Action::Assign(vec![(place.clone(), Some(0))]),
        &mut events,
    );
    for batch in 0..BATCHES {
        let op = batch + 1;
        let invoke = SendInvoke {
            op,
            partition: place.clone(),
            value: value(batch),
            wire: None,
            count: COUNT,
            acks: -1,
            transaction: None,
        };
        push(
            value(batch).producer,
            Action::SendInvoke(invoke),
            &mut events,
        );
        let end = SendEnd {
            op,
            outcome: Outcome::Ok,
            partition: None,
            offset: Some(batch * u64::from(COUNT)),
            leader_epoch: None,
            node: Some(1),
            attempts: Vec::new(),
        };
        push(value(batch).producer, Action::SendEnd(end), &mut events);
        push(
            9,
            poll(1_000 + batch, PollMode::Assign, vec![record(batch)]),
            &mut events,
        );
    }
    push(
        10,
        Action::Assign(vec![(place.clone(), Some(0))]),
        &mut events,
    );
    push(
        10,
        poll(2_000, PollMode::Final, (0..BATCHES).map(record).collect()),
        &mut events,
    );
    let end = BATCHES * u64::from(COUNT);
    let read = FinalRead {
        partition: place.clone(),
        start: 0,
        end,
        reached: end,
    };
    push(0, Action::Final(read), &mut events);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_anomalies_are_found_and_nothing_else() {
        assert!(found(&made()).unwrap().is_empty());
        for (anomaly, plant) in PLANTS {
            let mut events = made();
            plant(&mut events).unwrap();
            assert_eq!(
                found(&events).unwrap(),
                BTreeSet::from([*anomaly]),
                "{anomaly}"
            );
        }
    }
}
