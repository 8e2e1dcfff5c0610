//! Faults of a node's wall clock: it jumps, jumps to and fro, or goes too fast. The machine's clock stays as it is.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chronik_local::probe;
use rustix::time::{ClockId, clock_gettime};

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::scenario::Parameters;
use crate::target::CLOCK_OFFSET;
use crate::workload::{rest, spawn};

/// An hour: more than any timeout.
const OFFSET_MS: i64 = 3_600_000;
/// How often a clock that drifts is set.
const DRIFT_STEP: Duration = Duration::from_millis(50);
/// What lies between a node's look at its clock and ours, on a busy machine.
const TOLERANCE_MS: i64 = 1_500;

/// A clock that is set again and again, and the file that says by how much it is wrong.
#[derive(Debug)]
pub(super) struct Moving {
    file: PathBuf,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Jump(i64),
    Strobe(i64, Duration),
    /// Millionths by which it is too fast.
    Drift(i64),
}

impl Course {
    fn of(with: &Parameters) -> Course {
        let offset_ms = with.offset_ms.unwrap_or(OFFSET_MS);
        match (with.drift_ppm, with.period) {
            (Some(ppm), _) => Course::Drift(ppm),
            (None, Some(period)) => Course::Strobe(offset_ms, period.0),
            (None, None) => Course::Jump(offset_ms),
        }
    }

    /// By how much the clock is wrong after a while, and when that changes.
    fn at(self, elapsed: Duration) -> (i64, Option<Duration>) {
        match self {
            Course::Jump(offset_ms) => (offset_ms, None),
            Course::Strobe(offset_ms, period) => {
                let turn = elapsed.as_nanos() / period.as_nanos().max(1);
                let offset_ms = if turn.is_multiple_of(2) { offset_ms } else { 0 };
                (offset_ms, Some(period))
            }
            Course::Drift(ppm) => {
                let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
                (
                    elapsed_us.saturating_mul(ppm) / 1_000_000_000,
                    Some(DRIFT_STEP),
                )
            }
        }
    }
}

pub(super) fn set(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let course = Course::of(&active.with);
    let mut moving = Vec::new();
    let mut proofs = Vec::new();
    for number in active.victims.nodes.clone() {
        let node = world.target.node(number);
        let (dir, admin) = (node.dir().unwrap_or(Path::new("")), node.admin);
        let file = dir.join(CLOCK_OFFSET);
        let clock = Moving::start(file, course).map_err(Active::node_fault("the clock", number))?;
        moving.push((number, clock));
        // A clock that drifts is hardly wrong yet: the end of the fault shows it.
        if let Course::Jump(offset_ms) | Course::Strobe(offset_ms, _) = course {
            proofs.push(prove(world, number, admin, offset_ms));
        }
    }
    active.hold = Hold::Clocks(moving);
    if !proofs.is_empty() {
        let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
        active.proof = Some(proofs.map(|proofs| proofs.join(", ")));
    }
    Ok(())
}

pub(super) fn set_right(world: &mut World, active: Active) -> Result<Option<Proof>, NemesisFault> {
    let is_proven = active.proof.is_some();
    let Hold::Clocks(moving) = active.hold else {
        return Ok(None);
    };
    let mut proofs = Vec::new();
    for (number, clock) in moving {
        if !is_proven {
            let admin = world.target.node(number).admin;
            let expected_ms = clock.reads();
            proofs.push(prove(world, number, admin, expected_ms));
        }
        clock
            .stop()
            .map_err(Active::node_fault("the clock", number))?;
    }
    if proofs.is_empty() {
        return Ok(None);
    }
    let proofs: Result<Vec<String>, String> = proofs.into_iter().collect();
    Ok(Some(proofs.map(|proofs| proofs.join(", "))))
}

impl Moving {
    fn start(file: PathBuf, course: Course) -> io::Result<Moving> {
        let begun = Instant::now();
        let (offset_ms, changes) = course.at(Duration::ZERO);
        write(&file, offset_ms)?;
        let ends = Arc::new(AtomicBool::new(false));
        let mut moving = Moving {
            file: file.clone(),
            ends: Arc::clone(&ends),
            thread: None,
        };
        let Some(every) = changes else {
            return Ok(moving);
        };
        let turn = move || {
            while !ends.load(Ordering::Relaxed) {
                rest(every);
                // A missed turn is made up for by the next one.
                let _ = write(&file, course.at(begun.elapsed()).0);
            }
        };
        moving.thread = Some(spawn("clock", None, turn)?);
        Ok(moving)
    }

    fn reads(&self) -> i64 {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn stop(self) -> io::Result<()> {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
        write(&self.file, 0)
    }
}

/// A reader sees the old number or the new one, never half of it.
fn write(file: &Path, offset_ms: i64) -> io::Result<()> {
    let draft = file.with_extension("draft");
    fs::write(&draft, offset_ms.to_string())?;
    fs::rename(&draft, file)
}

/// What the node itself takes for the time.
fn prove(world: &World, number: u32, admin: SocketAddr, expected_ms: i64) -> Proof {
    let Some(told_ms) = world.at_clients(|_| ask(admin)) else {
        return Err(format!("n{number} does not tell its time"));
    };
    let wrong_ms = told_ms - now_ms();
    if (wrong_ms - expected_ms).abs() > TOLERANCE_MS {
        return Err(format!(
            "n{number} is wrong by {wrong_ms} ms and should be by {expected_ms}; only a server with the feature `chaos` has a clock that can be set"
        ));
    }
    Ok(format!(
        "n{number} tells a time that is wrong by {wrong_ms} ms"
    ))
}

fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// The node's status, of which only the time is read. Numbers of that size are text in JSON.
fn ask(admin: SocketAddr) -> Option<i64> {
    let body = probe::http_ok(admin, "/v1/node/status")?;
    let status: serde_json::Value = serde_json::from_str(&body).ok()?;
    let now_ms = &status["now_ms"];
    now_ms.as_i64().or_else(|| now_ms.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    #[test]
    fn clocks_jump_strobe_and_drift() {
        let ms = Duration::from_millis;
        assert_eq!(Course::of(&Parameters::default()), Course::Jump(OFFSET_MS));
        let strobe = Course::of(&Parameters {
            offset_ms: Some(-500),
            period: Some(Span::from_ms(100)),
            ..Parameters::default()
        });
        let offsets = [0, 99, 100, 200].map(|at| strobe.at(ms(at)).0);
        assert_eq!(offsets, [-500, -500, 0, -500]);
        let drift = Course::Drift(100_000);
        assert_eq!(drift.at(ms(0)).0, 0);
        assert_eq!(drift.at(ms(10_000)).0, 1_000);
    }
}
