//! Each entry of the audit is turned red on purpose, and nothing else turns with it.

use super::*;

/// A run about which everything is right.
fn sound() -> Facts {
    Facts {
        is_open_loop: true,
        is_complete: true,
        is_exclusive: true,
        is_idempotent: true,
        window_s: 10.0,
        window_name: "duration".into(),
        run_s: 16.0,
        acked: 100_000,
        rate: 10_000.0,
        service_mean_us: Some(2_000.0),
        service_count: 100_000,
        intended_acked: 99_990,
        censored: 10,
        gauge_mean: 20.3,
        gauge_error: 0.1,
        gauge_samples: 5_000,
        percentiles: vec![("ack-response".into(), vec![1.0, 2.0, 3.0], 2.0)],
        acked_in_all: 150_000,
        offset_growth: Some(150_004),
        maybe_stored: 10,
        lateness_p99_us: Some(400.0),
        achieved: Some(1.0),
        drift_us: 500.0,
        generator_cores: Some(0.5),
        cores: 2,
        batch_messages_mean: Some(40.0),
        ..Facts::default()
    }
}

fn reds(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = sound();
    change(&mut facts);
    judge(&facts)
        .red()
        .map(|entry| entry.name.clone())
        .collect()
}

fn ambers(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = sound();
    change(&mut facts);
    judge(&facts)
        .amber()
        .map(|entry| entry.name.clone())
        .collect()
}

#[test]
fn a_sound_run_is_green() {
    assert!(reds(|_| {}).is_empty());
    assert!(ambers(|_| {}).is_empty());
}

#[test]
fn a_late_divisor_is_caught_twice_over() {
    // The clock was read five seconds after the load had ended.
    assert_eq!(reds(|facts| facts.window_s = 15.0), ["divisor"]);
    assert_eq!(
        reds(|facts| {
            facts.window_s = 15.0;
            facts.rate = 100_000.0 / 15.0;
        }),
        ["little's law"]
    );
}

#[test]
fn lost_samples_are_caught() {
    assert_eq!(reds(|facts| facts.service_count -= 1), ["histogram count"]);
}

#[test]
fn percentiles_must_ascend() {
    let change = |facts: &mut Facts| facts.percentiles[0].1 = vec![3.0, 2.0, 4.0];
    assert_eq!(reds(change), ["percentiles ascend"]);
    let change = |facts: &mut Facts| facts.percentiles[0].2 = 9.0;
    assert_eq!(reds(change), ["percentiles ascend"]);
}

#[test]
fn acknowledgements_without_records_are_caught() {
    let name = "acknowledged against broker offsets";
    assert_eq!(reds(|facts| facts.offset_growth = Some(149_999)), [name]);
    assert_eq!(reds(|facts| facts.offset_growth = Some(150_011)), [name]);
    let change = |facts: &mut Facts| {
        facts.offset_growth = Some(150_011);
        facts.is_idempotent = false;
    };
    assert_eq!(ambers(change), [name]);
    let change = |facts: &mut Facts| {
        facts.offset_growth = Some(150_300);
        facts.markers = 300;
    };
    assert!(reds(change).is_empty());
}

#[test]
fn clamps_are_caught() {
    assert_eq!(reds(|facts| facts.clamped = 1), ["no clamps"]);
    assert_eq!(reds(|facts| facts.saturated = 1), ["no clamps"]);
}

#[test]
fn a_starved_generator_is_caught() {
    assert_eq!(
        reds(|facts| facts.lateness_p99_us = Some(1_001.0)),
        ["send lateness"]
    );
    assert_eq!(reds(|facts| facts.achieved = Some(0.98)), ["target rate"]);
    let change = |facts: &mut Facts| {
        facts.achieved = Some(0.5);
        facts.blocked = 7;
    };
    assert!(reds(change).is_empty(), "a full queue is the cluster's");
    assert_eq!(
        ambers(|facts| facts.generator_cores = Some(1.5)),
        ["generator has room"]
    );
}

#[test]
fn more_than_the_network_carries_is_caught() {
    let change = |facts: &mut Facts| {
        facts.network_mb_per_second = Some(125.0);
        facts.wire_mb_per_second = 251.0;
    };
    assert_eq!(reds(change), ["within the network's speed"]);
    let change = |facts: &mut Facts| {
        facts.network_mb_per_second = Some(125.0);
        facts.wire_mb_per_second = 251.0;
        facts.is_co_located = true;
    };
    assert!(reds(change).is_empty(), "loopback is not the network");
}

#[test]
fn a_generator_that_measures_itself_is_amber() {
    let change = |facts: &mut Facts| facts.ceiling_msgs_per_second = Some(12_000.0);
    assert_eq!(ambers(change), ["below the generator's ceiling"]);
    assert_eq!(
        ambers(|facts| facts.reply_queue_max = 1_001),
        ["acknowledgements are taken at once"]
    );
}

#[test]
fn a_stepped_clock_is_caught() {
    assert_eq!(reds(|facts| facts.drift_us = -1e6), ["clocks agree"]);
}

#[test]
fn a_maximum_on_a_shared_host_is_amber() {
    let change = |facts: &mut Facts| {
        facts.is_co_located = true;
        facts.seeks_maximum = true;
        facts.is_open_loop = false;
        facts.concurrency = Some(64);
    };
    assert_eq!(
        ambers(change),
        ["closed loop is full", "host is not shared"]
    );
}
