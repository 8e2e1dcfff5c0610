//! `list`: what is built in.

use super::Done;
use super::selftest::HUNTS;
use crate::output;
use crate::scenario::{BUILTIN, Fault, Scenario};

pub(crate) fn list(tag: Option<&str>) -> Done {
    output::line("scenarios");
    for builtin in BUILTIN {
        let scenario = Scenario::find(builtin.name)?;
        if tag.is_some_and(|tag| !scenario.tags.iter().any(|known| known == tag)) {
            continue;
        }
        output::line(format!(
            "  {:<22} {:>5}  {} nodes  [{}] {}",
            scenario.name,
            scenario.duration.to_string(),
            scenario.cluster.nodes,
            scenario.tags.join(" "),
            scenario.summary
        ));
    }
    if tag.is_none() {
        output::line("faults");
        for fault in Fault::ALL {
            output::line(format!("  {:<22} {}", fault.name(), fault.says()));
        }
    }
    Ok(0)
}

/// The mistakes that can be planted, and who hunts them.
pub(crate) fn mutants() -> Done {
    for hunt in HUNTS {
        output::line(format!(
            "{:<4} {:<26} {:<20} {}",
            hunt.number,
            hunt.mutant.to_string(),
            hunt.scenarios.join(" "),
            hunt.mutant.says()
        ));
    }
    Ok(0)
}
