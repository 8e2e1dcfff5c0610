//! Suspicion, the breaker and the pauses, without a network and without a clock.

use std::time::{Duration, Instant};

use chronik_core::ids::NodeId;

use crate::peer::backoff::Backoff;
use crate::peer::breaker::{Breaker, State};
use crate::peer::limits::FAILED_DIALS;
use crate::peer::liveness::{Doubt, Liveness, Sign, Watch};

const NODE: NodeId = NodeId(2);
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
const WELL: Sign = Sign::Pulse {
    boot: 7,
    wal_ok: true,
};
const ALIVE: Liveness = Liveness::Alive {
    node: NODE,
    boot: 7,
};

fn suspect(why: Doubt) -> Liveness {
    Liveness::Suspect { node: NODE, why }
}

#[test]
fn silence_is_suspicion_and_a_pulse_ends_it() {
    let start = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, start);
    assert_eq!(watch.sign(WELL, start), Some(ALIVE));
    assert_eq!(watch.sign(WELL, start + SUSPECT_AFTER / 2), None);
    let deadline = start + SUSPECT_AFTER * 3 / 2;
    assert_eq!(watch.deadline(), Some(deadline));
    assert_eq!(watch.passed(start + SUSPECT_AFTER), None);
    assert_eq!(watch.passed(deadline), Some(suspect(Doubt::Silent)));
    assert_eq!(watch.deadline(), None);
    assert_eq!(watch.passed(deadline + SUSPECT_AFTER), None);
    assert_eq!(watch.sign(WELL, deadline), Some(ALIVE));
}

#[test]
fn whoever_was_away_itself_listens_before_it_suspects() {
    let start = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, start);
    watch.sign(WELL, start);
    let woken = start + SUSPECT_AFTER * 5;
    assert_eq!(watch.passed(woken), None);
    let deadline = watch.deadline().expect("it is not suspected yet");
    assert!(deadline > woken && deadline < woken + SUSPECT_AFTER);
    assert_eq!(watch.passed(deadline), Some(suspect(Doubt::Silent)));
}

#[test]
fn a_stalled_node_that_falls_silent_or_dies_is_doubted_anew() {
    let start = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, start);
    watch.sign(WELL, start);
    let later = start + SUSPECT_AFTER / 2;
    let stalled = watch.sign(Sign::Stalled, later);
    assert_eq!(stalled, Some(suspect(Doubt::Stalled)));
    assert_eq!(watch.sign(Sign::Stalled, later), None);
    let deadline = later + SUSPECT_AFTER;
    assert_eq!(watch.deadline(), Some(deadline));
    assert_eq!(watch.passed(deadline), Some(suspect(Doubt::Silent)));
    assert_eq!(watch.deadline(), None);
    let refused = (0..FAILED_DIALS).find_map(|_| watch.sign(Sign::DialFailed, deadline));
    assert_eq!(refused, Some(suspect(Doubt::Refused)));
}

#[test]
fn a_node_that_was_never_heard_of_is_suspected_too() {
    let start = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, start);
    let change = watch.passed(start + SUSPECT_AFTER);
    assert_eq!(change, Some(suspect(Doubt::Silent)));
}

#[test]
fn a_broken_connection_and_two_failed_attempts_are_suspicion_at_once() {
    let now = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, now);
    watch.sign(WELL, now);
    assert_eq!(watch.sign(Sign::Broken, now), None);
    assert_eq!(watch.sign(Sign::DialFailed, now), None);
    let change = watch.sign(Sign::DialFailed, now);
    assert_eq!(change, Some(suspect(Doubt::Refused)));
}

#[test]
fn a_node_that_answers_is_not_suspected_for_a_door_that_is_shut() {
    let now = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, now);
    for _ in 0..10 {
        watch.sign(WELL, now);
        assert_eq!(watch.sign(Sign::DialFailed, now), None);
    }
}

#[test]
fn a_log_that_stalls_is_suspicion_although_the_node_speaks() {
    let now = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, now);
    watch.sign(WELL, now);
    let stalled = Sign::Pulse {
        boot: 7,
        wal_ok: false,
    };
    assert_eq!(watch.sign(stalled, now), Some(suspect(Doubt::Stalled)));
    assert_eq!(watch.sign(stalled, now), None);
    assert_eq!(watch.sign(WELL, now), Some(ALIVE));
}

#[test]
fn a_new_process_is_told() {
    let now = Instant::now();
    let mut watch = Watch::new(NODE, SUSPECT_AFTER, now);
    watch.sign(WELL, now);
    let reborn = Sign::Pulse {
        boot: 8,
        wal_ok: true,
    };
    let change = watch.sign(reborn, now);
    assert_eq!(
        change,
        Some(Liveness::Alive {
            node: NODE,
            boot: 8
        })
    );
}

#[test]
fn the_breaker_opens_after_two_failures_and_closes_with_an_answer() {
    let mut breaker = Breaker::new();
    breaker.attempt();
    breaker.failed();
    assert_eq!(breaker.state(), State::Closed);
    breaker.attempt();
    breaker.failed();
    assert_eq!(breaker.state(), State::Open);
    breaker.attempt();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.failed();
    assert_eq!(breaker.state(), State::Open);
    breaker.attempt();
    breaker.answered();
    assert_eq!(breaker.state(), State::Closed);
    breaker.failed();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn silence_opens_the_breaker() {
    let mut breaker = Breaker::new();
    breaker.silent();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn pauses_grow_to_their_bound_and_begin_again_after_a_success() {
    let longest = Duration::from_secs(1);
    let mut backoff = Backoff::new(longest);
    let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
    assert!(pauses[0] <= Duration::from_millis(50));
    assert!(pauses.iter().all(|pause| *pause <= longest));
    assert!(pauses[20..].iter().all(|pause| *pause >= longest * 3 / 4));
    backoff.reset();
    assert!(backoff.next() <= Duration::from_millis(50));
}
