//! `run`: scenarios one after another, each in namespaces of its own.

use super::campaign::Campaign;
use super::launch::{plan, show, worst};
use super::{CommandFault, Done};
use crate::cli::RunArguments;
use crate::output;
use crate::run::Plan;
use crate::scenario::{BUILTIN, Scenario};

pub(crate) fn run(arguments: &RunArguments) -> Done {
    let place = &arguments.place;
    let scenarios = chosen(arguments)?;
    let campaign = Campaign::open(&name_of(arguments), place)?;
    let mut all = Vec::new();
    for round in 1..=arguments.times {
        for (scenario, position) in scenarios.iter().zip(1..) {
            // Two files may give their scenarios the same name.
            let key = format!("{position}-{}-{round}", scenario.name);
            let ended = campaign.run(&key, || {
                let plan = Plan {
                    keeps_going: arguments.keep_going,
                    ..plan(scenario, arguments.seed, None, place)?
                };
                if !place.quiet {
                    let (name, target) = (&scenario.name, plan.target.name());
                    output::complain(format!("{name} on {target}, seed {}", plan.seed));
                }
                Ok(plan)
            })?;
            if arguments.json {
                let verdict = serde_json::to_string(&ended.verdict);
                output::line(verdict.expect("a verdict is made of plain values"));
            } else {
                show(&ended.verdict, &ended.run_dir);
            }
            all.push(ended);
        }
    }
    if all.len() > 1 && !arguments.json {
        campaign.conclude(&all);
    }
    Ok(worst(all.iter().map(|ended| ended.verdict.outcome)))
}

/// What this command is, to find its stored runs again.
fn name_of(arguments: &RunArguments) -> String {
    let what = match (&arguments.suite, &arguments.scenarios[..]) {
        (Some(tag), _) => format!("suite-{tag}"),
        (None, [one]) => file_stem(one),
        (None, many) => format!("{}-scenarios", many.len()),
    };
    format!("run-{what}-on-{}", arguments.place.target)
}

fn file_stem(scenario: &str) -> String {
    let stem = std::path::Path::new(scenario).file_stem();
    stem.map_or_else(
        || scenario.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
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
