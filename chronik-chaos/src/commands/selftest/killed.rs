//! Kills the tool in the middle of each fault, and looks whether anything of the run is left on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chronik_local::wait;

use crate::cli::Place;
use crate::commands::CommandFault;
use crate::contain::Footprint;
use crate::output;
use crate::scenario::{ClusterSpec, Expect, Fault, Parameters, Scenario, Step, Workload};
use crate::span::Span;

/// Three nodes start and the fault is brought; a node on a slow disk takes its time.
const INJECTED_BOUND: Duration = Duration::from_secs(120);
/// The janitor lifts limits, kills and waits.
const CLEAN_BOUND: Duration = Duration::from_secs(60);

/// Whether nothing was left behind after any of these faults; `all` stands for every one.
pub(super) fn leave_nothing(wanted: &[String], place: &Place) -> Result<bool, CommandFault> {
    let mut is_good = true;
    for fault in chosen(wanted)? {
        let found = kill_during(fault, place)?;
        let mark = if found.is_ok() { "ok " } else { "BAD" };
        let says = match &found {
            Ok(()) => "nothing was left behind".to_owned(),
            Err(left) => left.join("; "),
        };
        output::line(format!("{mark} killed during {fault:<16} {says}"));
        is_good &= found.is_ok();
    }
    Ok(is_good)
}

fn chosen(wanted: &[String]) -> Result<Vec<Fault>, CommandFault> {
    if wanted.iter().any(|name| name == "all") {
        return Ok(Fault::ALL.to_vec());
    }
    let find = |name: &String| {
        let known = Fault::ALL.iter().find(|fault| fault.name() == name);
        known.copied().ok_or_else(|| {
            CommandFault::Usage(format!(
                "`{name}` is no fault; `chronik-chaos list` shows them"
            ))
        })
    };
    wanted.iter().map(find).collect()
}

/// `Err` says what is left, or why the fault never came.
fn kill_during(fault: Fault, place: &Place) -> Result<Result<(), Vec<String>>, CommandFault> {
    let dir = place.out.join(format!("killed-{fault}"));
    // A folder of an earlier attempt would be taken for this one's.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(CommandFault::file("make", &dir))?;
    let dir = fs::canonicalize(&dir).map_err(CommandFault::file("find", &dir))?;
    let file = dir.join("scenario.toml");
    fs::write(&file, scenario(fault).to_toml()).map_err(CommandFault::file("write", &file))?;
    let mut front = start(&file, &dir, place)?;
    let Some(run_dir) = await_injection(&mut front, &dir) else {
        let ended = front.kill().and_then(|()| front.wait());
        return Ok(Err(vec![format!("the fault never came: {ended:?}")]));
    };
    let footprint = Footprint::of(&run_dir);
    front.kill().map_err(CommandFault::Processes)?;
    front.wait().map_err(CommandFault::Processes)?;
    let mut left = vec!["the run had no namespaces of its own".to_owned()];
    let cleaned = wait::until("an empty machine", CLEAN_BOUND, || {
        left = footprint.left();
        left.is_empty().then_some(())
    });
    if cleaned.is_ok() && footprint.is_contained() {
        let _ = fs::remove_dir_all(&dir);
        return Ok(Ok(()));
    }
    Ok(Err(left))
}

fn start(scenario: &Path, dir: &Path, place: &Place) -> Result<Child, CommandFault> {
    let myself = std::env::current_exe().map_err(CommandFault::Processes)?;
    let mut command = Command::new(myself);
    command.arg("run").arg(scenario).arg("--quiet");
    command.arg("--out").arg(dir.join("runs"));
    if let Some(server) = &place.server {
        command.arg("--server").arg(server);
    }
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().map_err(CommandFault::Processes)
}

/// The run's folder once its fault lasts; nothing if the run ended before.
fn await_injection(front: &mut Child, dir: &Path) -> Option<PathBuf> {
    let injected = || {
        let runs = fs::read_dir(dir.join("runs")).ok()?.flatten();
        let mut runs = runs.map(|run| run.path());
        runs.find(|run| run.join("schedule.jsonl").is_file())
    };
    let found = wait::until("the fault", INJECTED_BOUND, || {
        let has_ended = front.try_wait().ok().flatten().is_some();
        match injected() {
            None if !has_ended => None,
            found => Some(found),
        }
    });
    found.ok().flatten()
}

/// One fault at once that is never healed, on one node.
fn scenario(fault: Fault) -> Scenario {
    let target = if fault.is_between_hosts() {
        "clients(n1)"
    } else {
        "n1"
    };
    Scenario {
        name: format!("killed-{fault}"),
        summary: String::new(),
        tags: Vec::new(),
        seed: 0,
        duration: Span::from_ms(600_000),
        cluster: ClusterSpec {
            nodes: 1,
            partitions: 2,
            rf: 1,
            min_isr: 1,
            ..ClusterSpec::default()
        },
        workload: Workload::default(),
        step: vec![Step {
            id: None,
            at: Some(Span::from_ms(500)),
            after: None,
            fault,
            target: target.to_owned(),
            lasts: None,
            repeat: None,
            every: None,
            with: Parameters::default(),
        }],
        random: Vec::new(),
        expect: Expect::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_scenario_that_can_be_read() {
        for fault in Fault::ALL {
            let text = scenario(*fault).to_toml();
            assert_eq!(Scenario::parse("killed", &text).unwrap(), scenario(*fault));
        }
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }
}
