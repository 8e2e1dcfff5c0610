//! `drill`: puts a cluster into the situation of a runbook and holds it there until told.

use super::launch::{launch, plan, show};
use super::{CommandFault, Done};
use crate::cli::Place;
use crate::output;
use crate::run::{NetChoice, Plan};
use crate::scenario::{BUILTIN, Scenario};

/// How the scenarios of drills are named.
const PREFIX: &str = "drill-";

pub(crate) fn drill(name: Option<&str>, place: &Place) -> Done {
    let Some(name) = name else {
        return list();
    };
    let known = format!("{PREFIX}{name}");
    if !BUILTIN.iter().any(|builtin| builtin.name == known) {
        return Err(CommandFault::Usage(format!(
            "there is no drill `{name}`; `chronik-chaos drill` lists them"
        )));
    }
    let scenario = Scenario::find(&known)?;
    output::line(format!("situation: {}", scenario.summary));
    output::line("`heal` on standard input ends it, the end of standard input ends everything");
    let place = Place {
        net: NetChoice::Outside,
        ..place.clone()
    };
    let plan = Plan {
        holds: true,
        ..plan(&scenario, None, None, &place)?
    };
    let (verdict, run_dir) = launch(&plan, &place.out)?;
    show(&verdict, &run_dir);
    Ok(verdict.outcome.exit_code())
}

fn list() -> Done {
    for builtin in BUILTIN {
        if let Some(name) = builtin.name.strip_prefix(PREFIX) {
            let scenario = Scenario::find(builtin.name)?;
            output::line(format!("{name:<18} {}", scenario.summary));
        }
    }
    Ok(0)
}
