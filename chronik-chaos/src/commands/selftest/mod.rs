//! `selftest`: would the tool notice? Anomalies are planted in a history, and on request mistakes in a real server.

mod anomalies;
mod hunts;
mod killed;
mod page;

use std::path::{Path, PathBuf};
use std::process::Command;

use chronik_local::{foreign, target_dir, workspace_dir};

use super::campaign::Campaign;
use super::launch::plan;
use super::{CommandFault, Done};
use crate::cli::{Place, SelftestArguments};
use crate::output;
use crate::run::Plan;
use crate::scenario::Scenario;
use crate::target::Mutant;

pub(crate) use hunts::{HUNTS, Hunt};

/// A scenario that depends on chance gets another one before its mutant counts as unnoticed by it.
const TRIES: u32 = 3;

pub(crate) fn selftest(arguments: &SelftestArguments, place: &Place) -> Done {
    let mut is_good = anomalies::are_found(arguments.run.as_deref())?;
    if let Some(faults) = &arguments.killed {
        is_good &= killed::leave_nothing(faults, place)?;
    }
    let Some(wanted) = &arguments.mutants else {
        return Ok(exit_code(is_good));
    };
    let hunts = chosen(wanted)?;
    let place = Place {
        server: Some(server(place)?),
        ..place.clone()
    };
    let campaign = Campaign::open("selftest", &place)?;
    let mut rows = Vec::new();
    for hunt in hunts {
        let row = hunted(&campaign, hunt, &place)?;
        output::line(row.says());
        is_good &= row.is_caught();
        rows.push(row);
    }
    let clean = clean_runs(&campaign, &rows, arguments.clean, &place)?;
    is_good &= clean.iter().all(page::Clean::is_good);
    if let Some(path) = &arguments.write {
        let text = page::page(campaign.commit(), &rows, &clean);
        std::fs::write(path, text).map_err(CommandFault::file("write", path))?;
    }
    Ok(exit_code(is_good))
}

fn exit_code(is_good: bool) -> u8 {
    if is_good { 0 } else { 5 }
}

/// The hunts for these mutants; `all` stands for every one.
fn chosen(wanted: &[String]) -> Result<Vec<&'static Hunt>, CommandFault> {
    if wanted.iter().any(|name| name == "all") {
        return Ok(HUNTS.iter().collect());
    }
    let find = |name: &String| {
        let is_it = |hunt: &&Hunt| hunt.mutant.to_string() == *name || hunt.number == name;
        HUNTS.iter().find(is_it).ok_or_else(|| {
            CommandFault::Usage(format!(
                "nobody hunts `{name}`; `chronik-chaos list --mutants` shows who is hunted"
            ))
        })
    };
    wanted.iter().map(find).collect()
}

/// Runs a mutant under its scenarios until one notices it.
fn hunted(
    campaign: &Campaign,
    hunt: &'static Hunt,
    place: &Place,
) -> Result<page::Row, CommandFault> {
    let mut runs = Vec::new();
    for scenario in hunt.scenarios {
        for number in 1..=TRIES {
            let key = format!("{}-{scenario}-{number}", hunt.mutant);
            let ended = campaign.run(&key, || planted(scenario, Some(hunt.mutant), place))?;
            let is_caught = ended.verdict.outcome.is_failure();
            runs.push(ended);
            if is_caught {
                return Ok(page::Row { hunt, runs });
            }
        }
    }
    Ok(page::Row { hunt, runs })
}

/// The scenarios that caught something, without anything planted: they must stay silent.
fn clean_runs(
    campaign: &Campaign,
    rows: &[page::Row],
    times: u32,
    place: &Place,
) -> Result<Vec<page::Clean>, CommandFault> {
    let mut all: Vec<page::Clean> = Vec::new();
    for scenario in rows.iter().filter_map(page::Row::scenario) {
        if times == 0 || all.iter().any(|clean| clean.scenario == scenario) {
            continue;
        }
        let runs = (1..=times).map(|number| {
            let key = format!("clean-{scenario}-{number}");
            campaign.run(&key, || planted(scenario, None, place))
        });
        let clean = page::Clean {
            scenario: scenario.to_owned(),
            runs: runs.collect::<Result<_, _>>()?,
        };
        output::line(clean.says());
        all.push(clean);
    }
    Ok(all)
}

fn planted(scenario: &str, mutant: Option<Mutant>, place: &Place) -> Result<Plan, CommandFault> {
    let place = Place {
        mutant,
        ..place.clone()
    };
    plan(&Scenario::find(scenario)?, None, None, &place)
}

/// A server that can be broken on purpose: the one that was named, or one that is built now.
fn server(place: &Place) -> Result<PathBuf, CommandFault> {
    if let Some(server) = &place.server {
        return Ok(server.clone());
    }
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace_dir())
        .env("CARGO_TARGET_DIR", target_dir())
        .args(["build", "--profile", "chaos", "-p", "chronik-server"])
        .args(["--features", "chronik-server/chaos"]);
    output::complain("a server is built that can be broken on purpose");
    foreign::run(
        "cargo build of chronik-server with the feature chaos",
        &mut cargo,
    )?;
    Ok(beside(&target_dir()))
}

fn beside(target: &Path) -> PathBuf {
    target.join("chaos/chronik-server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn every_hunt_has_scenarios_that_exist() {
        for hunt in HUNTS {
            assert!(!hunt.scenarios.is_empty(), "{}", hunt.mutant);
            for scenario in hunt.scenarios {
                Scenario::find(scenario).unwrap();
            }
        }
        assert_eq!(chosen(&["all".to_owned()]).unwrap().len(), HUNTS.len());
        assert_eq!(chosen(&["M4".to_owned()]).unwrap()[0].number, "M4");
        assert!(chosen(&["M99".to_owned()]).is_err());
    }
}
