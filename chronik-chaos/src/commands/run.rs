//! `run`: scenarios one after another, each in namespaces of its own.

use super::launch::{launch, plan, show, worst};
use super::{CommandFault, Done};
use crate::cli::RunArguments;
use crate::output;
use crate::scenario::{BUILTIN, Scenario};

pub(crate) fn run(arguments: &RunArguments) -> Done {
    let mut outcomes = Vec::new();
    for scenario in chosen(arguments)? {
        for _ in 0..arguments.times {
            let plan = plan(&scenario, arguments.seed, None, &arguments.place)?;
            if !arguments.place.quiet {
                output::complain(format!(
                    "{} on {}, seed {}",
                    scenario.name,
                    plan.target.name(),
                    plan.seed
                ));
            }
            let (verdict, run_dir) = launch(&plan, &arguments.place.out)?;
            if arguments.json {
                output::line(
                    serde_json::to_string(&verdict).expect("a verdict is made of plain values"),
                );
            } else {
                show(&verdict, &run_dir);
            }
            outcomes.push(verdict.outcome);
        }
    }
    Ok(worst(outcomes))
}

/// The scenarios, with what the command line overrides.
fn chosen(arguments: &RunArguments) -> Result<Vec<Scenario>, CommandFault> {
    let names: Vec<String> = match &arguments.suite {
        Some(tag) => suite(tag)?,
        None => arguments.scenarios.clone(),
    };
    let mut scenarios = Vec::new();
    for name in names {
        let mut scenario = Scenario::find(&name)?;
        if let Some(nodes) = arguments.nodes {
            scenario.cluster.nodes = nodes;
            scenario.cluster.rf = scenario.cluster.rf.min(nodes);
            scenario.cluster.min_isr = scenario.cluster.min_isr.min(scenario.cluster.rf);
        }
        if let Some(duration) = arguments.duration {
            scenario.duration = duration;
        }
        scenarios.push(scenario);
    }
    Ok(scenarios)
}

/// The names of all built-in scenarios with a tag.
pub(crate) fn suite(tag: &str) -> Result<Vec<String>, CommandFault> {
    let mut names = Vec::new();
    for builtin in BUILTIN {
        if Scenario::find(builtin.name)?
            .tags
            .iter()
            .any(|known| known == tag)
        {
            names.push(builtin.name.to_owned());
        }
    }
    if names.is_empty() {
        return Err(CommandFault::Usage(format!(
            "no built-in scenario has the tag `{tag}`"
        )));
    }
    Ok(names)
}
