//! Faults between hosts: the switch is told, and its counters are the proof.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::net::{Counts, Link, Network};
use crate::scenario::{Fault, Parameters};

/// A packet that did not arrive within this was cut; the way there and back takes well under a millisecond.
const PROBE_BOUND: Duration = Duration::from_millis(300);
/// Probing every pair of a large cut would take longer than the fault.
const PROBES_MAX: usize = 3;
/// A shorter fault would be over before the probes, which would make it a longer one: the counters alone prove it.
const PROBED_FROM: Duration = Duration::from_secs(2);

const DELAY: Duration = Duration::from_millis(50);
const PERCENT: f64 = 5.0;
const BYTES_PER_SECOND: u64 = 256 << 10;

pub(super) fn change(
    world: &mut World,
    active: &mut Active,
    lasts: Option<Duration>,
) -> Result<(), NemesisFault> {
    let Some(network) = &world.network else {
        return Err(NemesisFault::Needs {
            fault: active.fault,
            what: "hosts of their own in network namespaces",
        });
    };
    let links = &active.victims.links;
    let before = links
        .iter()
        .map(|(from, to)| network.links.of(*from, *to).counts());
    active.hold = Hold::Links(before.collect());
    for (from, to) in links {
        turn(
            network.links.of(*from, *to),
            active.fault,
            &active.with,
            true,
        );
    }
    if lasts.is_some_and(|lasts| lasts < PROBED_FROM) {
        return Ok(());
    }
    active.proof = match active.fault {
        Fault::Partition => prove_cut(network, links),
        Fault::Delay => prove_delay(
            network,
            links,
            active.with.delay.map_or(DELAY, |delay| delay.0),
        ),
        _ => None,
    };
    Ok(())
}

pub(super) fn restore(world: &mut World, active: &Active) -> Option<Proof> {
    let network = world.network.as_ref()?;
    let Hold::Links(before) = &active.hold else {
        return None;
    };
    let mut sum = Counts::default();
    for ((from, to), before) in active.victims.links.iter().zip(before) {
        let link = network.links.of(*from, *to);
        turn(link, active.fault, &active.with, false);
        let after = link.counts();
        sum.passed += after.passed - before.passed;
        sum.cut += after.cut - before.cut;
        sum.lost += after.lost - before.lost;
        sum.duplicated += after.duplicated - before.duplicated;
        sum.reordered += after.reordered - before.reordered;
        sum.delayed += after.delayed - before.delayed;
    }
    let (count, what) = match active.fault {
        Fault::Partition => (sum.cut, "cut off"),
        Fault::Loss => (sum.lost, "lost"),
        Fault::Duplicate => (sum.duplicated, "delivered twice"),
        Fault::Reorder => (sum.reordered, "held back"),
        _ => (sum.delayed, "delayed"),
    };
    if count == 0 {
        return Some(Err(format!("no packet was {what}")));
    }
    Some(Ok(format!("{count} packets {what}, {} passed", sum.passed)))
}

/// Switches one fault of one link on or off. Cuts add up; of the others the last one counts.
fn turn(link: &Link, fault: Fault, with: &Parameters, is_on: bool) {
    let set =
        |value: &AtomicU64, on: u64| value.store(if is_on { on } else { 0 }, Ordering::Relaxed);
    let ppm = (with.percent.unwrap_or(PERCENT) * 1e4) as u64;
    match fault {
        Fault::Partition if is_on => link.cut(),
        Fault::Partition => link.join(),
        Fault::Delay => {
            set(
                &link.delay_ns,
                with.delay
                    .map_or(DELAY.as_nanos() as u64, |delay| delay.ns()),
            );
            set(&link.jitter_ns, with.jitter.map_or(0, |jitter| jitter.ns()));
        }
        Fault::Loss => set(&link.loss_ppm, ppm),
        Fault::Duplicate => set(&link.duplicate_ppm, ppm),
        Fault::Reorder => set(&link.reorder_ppm, ppm),
        Fault::Bandwidth => {
            set(
                &link.bytes_per_second,
                with.bytes_per_second.unwrap_or(BYTES_PER_SECOND),
            );
        }
        _ => {}
    }
}

fn prove_cut(network: &Network, links: &[(u32, u32)]) -> Option<Proof> {
    let mut failed = Vec::new();
    for (from, to) in links.iter().take(PROBES_MAX) {
        if network.reaches(*from, *to, PROBE_BOUND) {
            return Some(Err(format!("host {from} still reaches host {to}")));
        }
        failed.push(format!("{from}-{to}"));
    }
    Some(Ok(format!("no connection {}", failed.join(", "))))
}

fn prove_delay(network: &Network, links: &[(u32, u32)], delay: Duration) -> Option<Proof> {
    let (from, to) = links.first()?;
    let bound = delay * 4 + PROBE_BOUND;
    Some(match network.round_trip(*from, *to, bound) {
        Some(taken) if taken >= delay => Ok(format!(
            "a round trip {from}-{to} takes {} ms",
            taken.as_millis()
        )),
        Some(taken) => Err(format!(
            "a round trip {from}-{to} takes only {} us",
            taken.as_micros()
        )),
        // It may have hit a cut link; the counters tell at the end.
        None => return None,
    })
}
