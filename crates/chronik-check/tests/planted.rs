//! Plants one anomaly in a correct history: exactly its class must be reported, offline and online.
#![expect(
    clippy::ptr_arg,
    reason = "all edits share one signature, and some insert events"
)]

use crate::generate::*;
use chronik_check::history::*;
use chronik_check::{Anomaly, Checker, Contract, Report};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Long enough that every kind of event occurs.
const STEPS: usize = 600;

/// Changes a world before its final read, or its events after it; false where the history offers no place for it.
type Plant = fn(&mut World) -> bool;
type Edit = fn(&mut Vec<Event>, &mut Dice) -> bool;

fn check(events: &[Event], mut checker: Checker) -> Report {
    for (at, event) in events.iter().enumerate() {
        checker
            .feed(at as u64 + 1, event)
            .expect("the history is well formed");
    }
    checker.finish()
}

fn classes(report: &Report) -> BTreeSet<Anomaly> {
    report.totals.keys().copied().collect()
}

/// The history as a file would hold it: written, read back, with neighbouring records in one run.
fn through_lines(events: &[Event]) -> Vec<Event> {
    let mut bytes = Vec::new();
    for event in events {
        write_line(&squeezed(event), &mut bytes);
    }
    let read = Reader::new(&bytes[..]).map(|event| event.expect("what is written can be read").1);
    read.collect()
}

fn squeezed(event: &Event) -> Event {
    let mut event = event.clone();
    if let Action::Poll(poll) = &mut event.action {
        for (_, records) in &mut poll.records {
            records.dedup_by(|next, last| {
                let follows = match (last.content, next.content) {
                    (Content::Value(last_value), Content::Value(value)) => {
                        last_value.plus(u64::from(last.count)) == value
                    }
                    _ => false,
                };
                let joined = follows
                    && next.offset == last.offset + u64::from(last.count)
                    && next.leader_epoch == last.leader_epoch;
                last.count += u32::from(joined);
                joined
            });
        }
    }
    event
}

fn expect_only(events: &[Event], expected: &[Anomaly]) -> Result<(), TestCaseError> {
    let expected: BTreeSet<Anomaly> = expected.iter().copied().collect();
    let read_back = through_lines(events);
    for (how, report) in [
        (
            "offline",
            check(events, Checker::offline(Contract::Chronik)),
        ),
        ("online", check(events, Checker::online(Contract::Chronik))),
        (
            "read back",
            check(&read_back, Checker::offline(Contract::Chronik)),
        ),
    ] {
        prop_assert_eq!(
            classes(&report),
            expected.clone(),
            "{}: {:#?}",
            how,
            report.findings
        );
        prop_assert!(report.incomplete.is_empty());
        for finding in &report.findings {
            prop_assert!(
                !finding.lines.is_empty(),
                "a finding without evidence: {:?}",
                finding
            );
            prop_assert!(
                finding
                    .lines
                    .iter()
                    .all(|line| *line <= events.len() as u64)
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_correct_history_is_clean(seed: u64) {
        expect_only(&World::run(seed, STEPS).finish(), &[])?;
    }

    #[test]
    fn forgetting_early_raises_no_alarm(seed: u64, window in 1u64..200) {
        let events = World::run(seed, 4 * STEPS).finish();
        let report = check(&events, Checker::online_with_window(Contract::Chronik, window));
        prop_assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }

    #[test]
    fn without_a_final_read_it_is_clean_too(seed: u64) {
        expect_only(&World::run(seed, STEPS).events, &[])?;
    }
}

macro_rules! planted {
    ($($name:ident: $anomaly:ident, $plant:expr, $edit:expr;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(seed: u64) {
                    let plant: Plant = $plant;
                    let edit: Edit = $edit;
                    let mut world = World::run(seed, STEPS);
                    prop_assume!(plant(&mut world));
                    let mut events = world.finish();
                    prop_assume!(edit(&mut events, &mut Dice(!seed)));
                    expect_only(&events, &[Anomaly::$anomaly])?;
                }
            )+
        }

        #[test]
        fn every_class_is_planted() {
            let planted: BTreeSet<Anomaly> = [$(Anomaly::$anomaly),+].into();
            assert_eq!(planted, Anomaly::ALL.iter().copied().collect());
        }
    };
}

planted! {
    two_values_at_one_offset: InconsistentOffset, untouched, read_another_value;
    a_record_twice: Duplicate, repeat_last_idempotent, unedited;
    more_copies_than_attempts: Duplicate, append_twice, unedited;
    nobody_reads_an_acked_record: LostWrite, untouched, |events, rng| hide(events, rng, &[PollMode::Assign, PollMode::Group, PollMode::Final]);
    the_final_log_misses_an_acked_record: FinalLost, untouched, |events, rng| hide(events, rng, &[PollMode::Final]);
    the_log_ends_before_an_acked_record: FinalLost, |world| { forget_tail(world); true }, unedited;
    the_final_read_ends_early: Unseen, |world| { world.send_whole(90, 0, 0); true }, end_early;
    a_refused_record_is_read: AbortedRead, untouched, |events, rng| answer_instead(events, rng, AttemptResult::Error(KafkaError::NotEnoughReplicas));
    not_leader_but_visible: AbortedRead, untouched, |events, rng| answer_instead(events, rng, AttemptResult::Error(KafkaError::NotLeaderOrFollower));
    an_aborted_transaction_is_read: AbortedRead, untouched, read_aborted;
    read_once_and_gone: DirtyThenLost, untouched, read_and_lose;
    nobody_sent_it: Phantom, |world| { world.append(0, value(99, 5), 1); true }, unedited;
    of_another_run: Phantom, untouched, |events, rng| mark(events, rng, Content::Foreign);
    a_flipped_bit: Corrupt, untouched, |events, rng| mark(events, rng, Content::Corrupt);
    another_partitions_record: Misrouted, untouched, |events, rng| mark(events, rng, Content::Misrouted);
    acked_where_it_is_not: AckOffsetImplausible, untouched, ack_elsewhere;
    acked_at_zero: AckOffsetImplausible, untouched, ack_at_zero;
    sent_later_lands_earlier: RealtimeOrder, land_before_acked, unedited;
    one_producer_overtakes_itself: NonmonotonicSend, overtake, unedited;
    a_sequence_is_missing: IdempotentGap, |world| idempotent(world, false), unedited;
    a_sequence_is_late: IdempotentGap, |world| idempotent(world, true), unedited;
    one_consumer_misses_a_record: PollSkip, untouched, skip_one;
    one_consumer_steps_back: NonmonotonicPoll, untouched, step_back;
    an_offset_without_record: OffsetHole, |world| { leave_hole(world); true }, unedited;
    shown_before_commit: PrecommittedRead, untouched, show_early;
    half_a_transaction: TornTxn, untouched, tear;
    transactions_in_a_circle: CircularFlow, untouched, read_in_circle;
    an_older_epoch_above: EpochRegress, |world| { lower_epoch(world); true }, unedited;
    two_nodes_ack_one_epoch: SplitBrainAck, |world| { ack_from_other_node(world); true }, unedited;
    two_leaders_in_a_term: SplitBrainAck, |world| { second_leader(world); true }, unedited;
    the_log_end_falls: StaleTail, |world| { tell_old_end(world); true }, unedited;
    the_committed_offset_falls: CommitRegress, |world| { commit_then(world, Then::FetchLower); true }, unedited;
    a_fenced_commit_succeeds: ZombieCommit, |world| { commit_then(world, Then::OldGenerationCommits); true }, unedited;
    two_owners: DoubleOwner, |world| { commit_then(world, Then::SecondOwner); true }, unedited;
    committed_past_undelivered: GroupHole, |world| { commit_then(world, Then::CommitBeyond); true }, unedited;
    committed_comes_again: GroupRedelivery, |world| { commit_then(world, Then::DeliverCommitted); true }, unedited;
    replicas_differ: ReplicaDivergence, untouched, alter_digest;
    a_node_panics: InvariantLog, |world| { panics(world); true }, unedited;
}

fn untouched(_: &mut World) -> bool {
    true
}

fn unedited(_: &mut Vec<Event>, _: &mut Dice) -> bool {
    true
}

/// Where a transaction wrote what.
type Write = (Name, Value, u64);

/// A plain acknowledged send.
#[derive(Clone)]
struct Acked {
    end_at: usize,
    partition: Name,
    count: u32,
    offset: u64,
}

fn acked_sends(events: &[Event]) -> Vec<Acked> {
    let mut acked = Vec::new();
    for (end_at, event) in events.iter().enumerate() {
        let Action::SendEnd(SendEnd {
            op,
            outcome: Outcome::Ok,
            offset: Some(offset),
            ..
        }) = event.action
        else {
            continue;
        };
        let invoke = events.iter().find_map(|event| match &event.action {
            Action::SendInvoke(send) if send.op == op && send.transaction.is_none() => Some(send),
            _ => None,
        });
        if let Some(send) = invoke {
            acked.push(Acked {
                end_at,
                partition: send.partition.clone(),
                count: send.count,
                offset,
            });
        }
    }
    acked
}

fn pick<T: Clone>(rng: &mut Dice, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| from[rng.below(from.len() as u64) as usize].clone())
}

fn polls<'a>(
    events: &'a mut [Event],
    partition: &'a Name,
) -> impl Iterator<Item = (usize, &'a mut Poll)> + use<'a> {
    let polls = events.iter_mut().enumerate();
    polls.filter_map(move |(at, event)| match &mut event.action {
        Action::Poll(poll) if poll.records.iter().any(|(name, _)| name == partition) => {
            Some((at, poll))
        }
        _ => None,
    })
}

fn log_end(events: &[Event], partition: &Name) -> u64 {
    let ends = events.iter().filter_map(|event| match &event.action {
        Action::Final(read) if read.partition == *partition => Some(read.end),
        _ => None,
    });
    ends.max().expect("every partition is read at the end")
}

/// Removes the records at these offsets from polls of these modes; how many there were.
fn remove(
    events: &mut [Event],
    partition: &Name,
    offsets: std::ops::Range<u64>,
    modes: &[PollMode],
) -> usize {
    let mut removed = 0;
    for (_, poll) in polls(events, partition) {
        if modes.contains(&poll.mode) {
            for (_, records) in poll
                .records
                .iter_mut()
                .filter(|(name, _)| name == partition)
            {
                let before = records.len();
                records.retain(|record| !offsets.contains(&record.offset));
                removed += before - records.len();
            }
        }
    }
    removed
}

fn hide(events: &mut Vec<Event>, rng: &mut Dice, modes: &[PollMode]) -> bool {
    let read_before_final = |acked: &Acked| {
        modes.len() > 1 || {
            let mut copy = events.clone();
            remove(
                &mut copy,
                &acked.partition,
                acked.offset..acked.offset + u64::from(acked.count),
                &[PollMode::Assign],
            ) == 2 * acked.count as usize
        }
    };
    let mut sends = acked_sends(events);
    sends.retain(|acked| acked.offset + u64::from(acked.count) < log_end(events, &acked.partition));
    sends.retain(read_before_final);
    let Some(acked) = pick(rng, &sends) else {
        return false;
    };
    let offsets = acked.offset..acked.offset + u64::from(acked.count);
    remove(events, &acked.partition, offsets, modes) > 0
}

/// The log loses its last acknowledged record after the heal.
fn forget_tail(world: &mut World) {
    world.send_whole(90, 0, 0);
    world.logs[0].entries.pop();
}

fn end_early(events: &mut Vec<Event>, _: &mut Dice) -> bool {
    let name = Name::from("t/0");
    let last = log_end(events, &name) - 1;
    remove(events, &name, last..last + 1, &[PollMode::Final]);
    for event in events {
        if let Action::Final(read) = &mut event.action
            && read.partition == name
        {
            read.reached = last;
        }
    }
    true
}

/// One consumer reads a record that was sent and never answered, where others read something else.
fn read_another_value(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((at, place)) = pick_read(events, rng) else {
        return false;
    };
    let other = value(77, 0);
    let Action::Poll(poll) = &mut events[at].action else {
        unreachable!("a poll was picked");
    };
    poll.records[0].1[place].content = Content::Value(other);
    let name = poll.records[0].0.clone();
    let send = Event {
        time_ns: 0,
        proc: 77,
        action: invoke(1 << 40, &name, other, None, 1, None),
    };
    events.insert(0, send);
    true
}

/// A record of a tail consumer in the plain partitions.
fn pick_read(events: &[Event], rng: &mut Dice) -> Option<(usize, usize)> {
    let mut reads = Vec::new();
    for (at, event) in events.iter().enumerate() {
        if let Action::Poll(poll) = &event.action
            && poll.mode == PollMode::Assign
            && poll.isolation == Isolation::Uncommitted
        {
            reads.extend((0..poll.records[0].1.len()).map(|place| (at, place)));
        }
    }
    pick(rng, &reads)
}

fn mark(events: &mut Vec<Event>, rng: &mut Dice, content: Content) -> bool {
    let Some((at, place)) = pick_read(events, rng) else {
        return false;
    };
    if let Action::Poll(poll) = &mut events[at].action {
        poll.records[0].1[place].content = content;
    }
    true
}

fn skip_one(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((at, place)) = pick_read(events, rng) else {
        return false;
    };
    let Action::Poll(poll) = &mut events[at].action else {
        return false;
    };
    // Without a later record nobody can tell that the consumer went on.
    if place + 1 == poll.records[0].1.len() {
        return false;
    }
    poll.records[0].1.remove(place);
    true
}

fn step_back(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((at, place)) = pick_read(events, rng) else {
        return false;
    };
    if let Action::Poll(poll) = &mut events[at].action {
        let again = poll.records[0].1[place];
        poll.records[0].1.insert(place, again);
    }
    true
}

fn repeat_last_idempotent(world: &mut World) -> bool {
    // Producer 0 is always idempotent.
    let mut values = world.logs[0]
        .entries
        .iter()
        .rev()
        .filter_map(|entry| entry.value);
    let last = values.find(|value| value.producer == 0);
    last.map(|value| world.append(0, value, 1)).is_some()
}

fn append_twice(world: &mut World) -> bool {
    world.send_whole(90, 0, 0);
    world.append(0, value(90, 0), 1);
    true
}

fn answer_instead(events: &mut Vec<Event>, rng: &mut Dice, result: AttemptResult) -> bool {
    let Some(acked) = pick(rng, &acked_sends(events)) else {
        return false;
    };
    answer(events, &acked, result);
    true
}

fn answer(events: &mut [Event], acked: &Acked, result: AttemptResult) {
    if let Action::SendEnd(end) = &mut events[acked.end_at].action {
        (end.outcome, end.offset) = (Outcome::Info, None);
        end.attempts = vec![Attempt {
            node: Some(1),
            result,
            wire: None,
        }];
    }
}

fn read_and_lose(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let before = acked_sends(events);
    if !hide(events, rng, &[PollMode::Final]) {
        return false;
    }
    let finals: BTreeSet<(Name, u64)> = final_offsets(events);
    let hidden = before
        .iter()
        .find(|acked| !finals.contains(&(acked.partition.clone(), acked.offset)));
    let Some(hidden) = hidden else {
        return false;
    };
    answer(events, &hidden.clone(), AttemptResult::Timeout);
    true
}

fn final_offsets(events: &[Event]) -> BTreeSet<(Name, u64)> {
    let mut offsets = BTreeSet::new();
    for event in events {
        if let Action::Poll(poll) = &event.action
            && poll.mode == PollMode::Final
        {
            for (name, records) in &poll.records {
                offsets.extend(records.iter().map(|record| (name.clone(), record.offset)));
            }
        }
    }
    offsets
}

fn ack_elsewhere(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some(acked) = pick(rng, &acked_sends(events)) else {
        return false;
    };
    let beyond = log_end(events, &acked.partition) + rng.below(100);
    if let Action::SendEnd(end) = &mut events[acked.end_at].action {
        end.offset = Some(beyond);
    }
    true
}

fn ack_at_zero(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let mut sends = acked_sends(events);
    // Not the first ones, which may have been sent before any acknowledgement.
    sends.retain(|acked| acked.offset > 40);
    let Some(acked) = pick(rng, &sends) else {
        return false;
    };
    if let Action::SendEnd(end) = &mut events[acked.end_at].action {
        end.offset = Some(0);
    }
    true
}

fn land_before_acked(world: &mut World) -> bool {
    let name = world.logs[0].name.clone();
    let (first, second) = (world.op(), world.op());
    world.record(91, invoke(first, &name, value(91, 0), None, 1, None));
    let place = world.stable_end(0);
    world.ack(91, first, 0, place + 1);
    world.record(92, invoke(second, &name, value(92, 0), None, 1, None));
    world.append(0, value(92, 0), 1);
    world.append(0, value(91, 0), 1);
    world.ack(92, second, 0, place);
    true
}

fn overtake(world: &mut World) -> bool {
    let name = world.logs[0].name.clone();
    let (first, second) = (world.op(), world.op());
    world.record(91, invoke(first, &name, value(91, 0), None, 1, None));
    world.record(91, invoke(second, &name, value(91, 1), None, 1, None));
    let place = world.append(0, value(91, 1), 1);
    world.append(0, value(91, 0), 1);
    world.ack(91, second, 0, place);
    world.ack(91, first, 0, place + 1);
    true
}

/// Three sends of one stream; the second one is unanswered, and lands last or never.
fn idempotent(world: &mut World, late: bool) -> bool {
    let name = world.logs[0].name.clone();
    let ops = [world.op(), world.op(), world.op()];
    for (seq, op) in ops.iter().enumerate() {
        let stream = Some(wire(500, 0, seq as i32));
        world.record(
            91,
            invoke(*op, &name, value(91, seq as u64), stream, 1, None),
        );
    }
    let place = world.append(0, value(91, 0), 1);
    world.append(0, value(91, 2), 1);
    if late {
        world.append(0, value(91, 1), 1);
    }
    world.ack(91, ops[0], 0, place);
    world.record(
        91,
        end(ops[1], Outcome::Info, None, &[AttemptResult::Timeout]),
    );
    world.ack(91, ops[2], 0, place + 1);
    true
}

fn leave_hole(world: &mut World) {
    let epoch = world.logs[0].epoch;
    world.logs[0].entries.push(Entry { value: None, epoch });
    world.send_whole(91, 0, 0);
}

/// The place of a transaction's end, of its first write's acknowledgement, and its writes.
fn committed_transaction(
    events: &[Event],
    rng: &mut Dice,
    commit: bool,
) -> Option<(usize, Vec<Write>)> {
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Action::TransactionInvoke(end) = &event.action else {
            continue;
        };
        if end.commit != commit {
            continue;
        }
        let mut writes = Vec::new();
        for (invoked_at, event) in events[..at].iter().enumerate() {
            if let Action::SendInvoke(send) = &event.action
                && send.transaction == Some(end.transaction)
                && let Action::SendEnd(answer) = &events[invoked_at + 1].action
            {
                let offset = answer.offset.expect("the cluster tells offsets");
                writes.push((send.partition.clone(), send.value, offset));
            }
        }
        found.push((at, writes));
    }
    pick(rng, &found)
}

fn insert_read(
    events: &mut Vec<Event>,
    at: usize,
    op: u64,
    isolation: Isolation,
    reader: Option<u64>,
    write: &Write,
) {
    let (name, value, offset) = write.clone();
    let mut seen = poll(op, PollMode::Assign);
    (seen.isolation, seen.transaction) = (isolation, reader);
    seen.records = vec![(name, vec![record(offset, Content::Value(value), 1)])];
    let time_ns = events[at].time_ns;
    let action = Action::Poll(seen);
    let proc = 300 + op as u32 % 100;
    events.insert(
        at,
        Event {
            time_ns,
            proc,
            action,
        },
    );
}

fn show_early(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((at, writes)) = committed_transaction(events, rng, true) else {
        return false;
    };
    insert_read(events, at, 1 << 40, Isolation::Committed, None, &writes[0]);
    true
}

fn read_aborted(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((at, writes)) = committed_transaction(events, rng, false) else {
        return false;
    };
    insert_read(
        events,
        at + 2,
        1 << 40,
        Isolation::Committed,
        None,
        &writes[0],
    );
    true
}

fn tear(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let Some((_, writes)) = committed_transaction(events, rng, true) else {
        return false;
    };
    let (name, _, offset) = &writes[1];
    let modes = [PollMode::Assign, PollMode::Final];
    // Readers must have gone on, or nobody knows that they passed it.
    log_end(events, name) > offset + 3
        && later_read(events, name, *offset)
        && remove(events, name, *offset..offset + 2, &modes) > 0
}

fn later_read(events: &[Event], partition: &Name, offset: u64) -> bool {
    let finals = final_offsets(events);
    finals
        .range((partition.clone(), offset + 3)..)
        .next()
        .is_some_and(|(name, _)| name == partition)
}

fn read_in_circle(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let (Some((at, first)), Some((other_at, second))) = (
        committed_transaction(events, rng, true),
        committed_transaction(events, rng, true),
    ) else {
        return false;
    };
    if at == other_at {
        return false;
    }
    let transaction = |at: usize| match &events[at].action {
        Action::TransactionInvoke(end) => end.transaction,
        _ => unreachable!("the place of an end was picked"),
    };
    let (one, other) = (transaction(at), transaction(other_at));
    let late = at.max(other_at) + 2;
    insert_read(
        events,
        late,
        1 << 40,
        Isolation::Uncommitted,
        Some(one),
        &second[0],
    );
    insert_read(
        events,
        late,
        (1 << 40) + 1,
        Isolation::Uncommitted,
        Some(other),
        &first[0],
    );
    true
}

fn lower_epoch(world: &mut World) {
    world.logs[0].epoch += 5;
    world.send_whole(91, 0, 0);
    world.logs[0].epoch -= 1;
    world.send_whole(91, 1, 0);
}

fn ack_from_other_node(world: &mut World) {
    world.logs[0].epoch += 5;
    world.send_whole(91, 0, 0);
    world.logs[0].leader += 1;
    world.send_whole(91, 1, 0);
}

fn second_leader(world: &mut World) {
    for node in [1, 2] {
        let view = LeaderView {
            term: 1_000,
            leader: node,
        };
        let groups = vec![(Name::from("t/0"), view)];
        world.record(0, Action::RaftStatus(RaftStatus { node, groups }));
    }
}

fn tell_old_end(world: &mut World) {
    let end = world.send_whole(91, 0, 0) + 1;
    for told in [end, end - 1] {
        let op = world.op();
        world.record(70, Action::ListOffsetsInvoke { op });
        let latest = vec![("t/0".into(), told)];
        world.record(70, Action::ListOffsetsEnd(ListOffsetsEnd { op, latest }));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    FetchLower,
    OldGenerationCommits,
    SecondOwner,
    CommitBeyond,
    DeliverCommitted,
}

/// A new owner reads and commits everything in `t/0`; then something goes wrong.
fn commit_then(world: &mut World, then: Then) {
    let name = Name::from("t/0");
    world.send_whole(91, 0, 0);
    let (resumed, end) = (world.committed[0], world.stable_end(0));
    world.generation += 1;
    let generation = world.generation;
    world.record(62, assigned(generation, &name, resumed));
    deliver(world, 62, resumed, end - resumed);
    accept_commit(world, 62, generation, end);
    match then {
        Then::FetchLower => {
            let op = world.op();
            world.record(
                62,
                Action::FetchCommittedInvoke {
                    op,
                    group: GROUP.into(),
                },
            );
            let offsets = vec![(name, Some(end - 1))];
            world.record(
                62,
                Action::FetchCommittedEnd(FetchCommittedEnd { op, offsets }),
            );
        }
        Then::OldGenerationCommits => accept_commit(world, 61, generation - 1, end),
        Then::SecondOwner => world.record(63, assigned(generation, &name, end)),
        Then::CommitBeyond => {
            world.send_whole(91, 1, 0);
            accept_commit(world, 62, generation, end + 1);
        }
        Then::DeliverCommitted => {
            world.generation += 1;
            world.record(63, assigned(generation + 1, &name, end));
            deliver(world, 63, end - 1, 1);
        }
    }
}

fn deliver(world: &mut World, proc: u32, from: u64, most: u64) {
    let (records, _) = world.records(0, from, most);
    let op = world.op();
    let poll = world.group_poll(op, "t/0".into(), records);
    world.record(proc, Action::Poll(poll));
}

fn accept_commit(world: &mut World, proc: u32, generation: i32, offset: u64) {
    let op = world.op();
    world.record(proc, commit(op, generation, &"t/0".into(), offset));
    let outcome = Outcome::Ok;
    world.record(proc, Action::CommitEnd(CommitEnd { op, outcome }));
}

fn alter_digest(events: &mut Vec<Event>, rng: &mut Dice) -> bool {
    let digests = events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match &event.action {
            Action::LogDigest(digest) if digest.node == 2 => Some(at),
            _ => None,
        });
    let digests: Vec<usize> = digests.collect();
    let Some(at) = pick(rng, &digests) else {
        return false;
    };
    if let Action::LogDigest(digest) = &mut events[at].action {
        digest.digests[0].1 ^= 1;
    }
    true
}

fn panics(world: &mut World) {
    let invariant = Invariant {
        node: Some(2),
        kind: "panic".to_owned(),
        text: "base_offset == leo".to_owned(),
    };
    world.record(0, Action::Invariant(invariant));
}
