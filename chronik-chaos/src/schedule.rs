//! From a scenario and its seed to a list of faults with their times: pure, so that the same seed gives the same list.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::{Choice, Fault, Parameters, RandomSteps, Scenario};
use crate::seed::Stream;
use crate::span::Span;

/// A fault that is going to come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) id: String,
    pub(crate) when: When,
    pub(crate) fault: Fault,
    pub(crate) whom: Whom,
    pub(crate) lasts: Option<Span>,
    pub(crate) with: Parameters,
    /// Chance may hit a node that is down already; that says nothing against the run.
    pub(crate) may_miss: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(Duration),
    After {
        id: String,
        edge: Edge,
        plus: Duration,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Started,
    Healed,
}

/// Whom it hits: still an expression, or resolved by an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Expression(String),
    Resolved {
        nodes: Vec<u32>,
        links: Vec<(u32, u32)>,
    },
}

/// A fault that came: a line of `schedule.jsonl`, and what a replay repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Injection {
    pub(crate) id: String,
    pub(crate) fault: Fault,
    pub(crate) target: String,
    pub(crate) nodes: Vec<u32>,
    pub(crate) links: Vec<(u32, u32)>,
    pub(crate) at_ns: u64,
    #[serde(default)]
    pub(crate) healed_ns: Option<u64>,
    #[serde(default)]
    pub(crate) lasts: Option<Span>,
    #[serde(default)]
    pub(crate) with: Parameters,
    /// What shows that it had an effect.
    #[serde(default)]
    pub(crate) proof: Option<String>,
    /// What shows that it had none.
    #[serde(default)]
    pub(crate) doubt: Option<String>,
    #[serde(default)]
    pub(crate) may_miss: bool,
    /// Batches acknowledged before it was at work, and until it was healed.
    #[serde(default)]
    pub(crate) acked_before: u64,
    #[serde(default)]
    pub(crate) acked_at_heal: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`after = \"{0}\"` is not `ID.started + 2s` or `ID.healed + 2s` with an ID of an earlier step"
)]
pub(crate) struct NoSuchStep(String);

/// Everything that is known before the run begins, in the order of the file and of time.
pub(crate) fn plan(scenario: &Scenario, seed: u64) -> Result<Vec<Planned>, NoSuchStep> {
    let mut planned = Vec::new();
    let mut ids = BTreeSet::new();
    for (place, step) in scenario.step.iter().enumerate() {
        let id = step
            .id
            .clone()
            .unwrap_or_else(|| format!("{}{}", step.fault, place + 1));
        let first = match (&step.at, &step.after) {
            (Some(at), _) => When::At(at.0),
            (None, Some(after)) => parse_after(after, &ids)?,
            (None, None) => When::At(Duration::ZERO),
        };
        let every = step.every.map_or(Duration::ZERO, |every| every.0);
        for round in 0..step.repeat.unwrap_or(1) {
            planned.push(Planned {
                id: if round == 0 {
                    id.clone()
                } else {
                    format!("{id}.{}", round + 1)
                },
                when: first.later(every * round),
                fault: step.fault,
                whom: Whom::Expression(step.target.clone()),
                lasts: step.lasts,
                with: step.with.clone(),
                may_miss: false,
            });
        }
        ids.insert(id);
    }
    for (place, random) in scenario.random.iter().enumerate() {
        let chance = Stream::new(seed, &format!("schedule {place}"));
        let end = scenario.duration.0.as_secs_f64();
        add_random(&mut planned, random, chance, end);
    }
    Ok(planned)
}

/// Draws times, kinds and lengths of chance faults until the end.
fn add_random(planned: &mut Vec<Planned>, random: &RandomSteps, mut chance: Stream, end: f64) {
    let weights: u32 = random.pick.iter().map(|choice| choice.w).sum();
    let mut at = random.from.0.as_secs_f64();
    loop {
        at += chance.exponential(random.every.0.as_secs_f64());
        if at >= end || weights == 0 {
            return;
        }
        let drawn = chance.below(u64::from(weights)) as u32;
        let stretch = 1.0 + chance.fraction();
        let Some(choice) = weighted(&random.pick, drawn) else {
            return;
        };
        let lasts = choice.lasts.0.mul_f64(stretch);
        planned.push(Planned {
            id: format!("{}-r{}", choice.fault, planned.len() + 1),
            when: When::At(Duration::from_millis((at * 1e3) as u64)),
            fault: choice.fault,
            whom: Whom::Expression(choice.target.clone()),
            lasts: Some(Span(Duration::from_millis(lasts.as_millis() as u64))),
            with: choice.with.clone(),
            may_miss: true,
        });
    }
}

/// The choice in whose share of all weights a number falls.
fn weighted(choices: &[Choice], mut drawn: u32) -> Option<&Choice> {
    choices.iter().find(|choice| {
        let is_it = drawn < choice.w;
        drawn = drawn.saturating_sub(choice.w);
        is_it
    })
}

/// The same faults again, at the same times and places.
pub(crate) fn repeat(injections: &[Injection]) -> Vec<Planned> {
    let again = |injection: &Injection| Planned {
        id: injection.id.clone(),
        when: When::At(Duration::from_nanos(injection.at_ns)),
        fault: injection.fault,
        whom: Whom::Resolved {
            nodes: injection.nodes.clone(),
            links: injection.links.clone(),
        },
        lasts: injection.lasts,
        with: injection.with.clone(),
        may_miss: true,
    };
    injections.iter().map(again).collect()
}

fn parse_after(text: &str, known: &BTreeSet<String>) -> Result<When, NoSuchStep> {
    let refused = || NoSuchStep(text.to_owned());
    let (event, plus) = match text.split_once('+') {
        Some((event, plus)) => (
            event.trim(),
            plus.trim().parse::<Span>().map_err(|_| refused())?,
        ),
        None => (text.trim(), Span::default()),
    };
    let (id, edge) = event.rsplit_once('.').ok_or_else(refused)?;
    let edge = match edge {
        "started" => Edge::Started,
        "healed" => Edge::Healed,
        _ => return Err(refused()),
    };
    if !known.contains(id) {
        return Err(refused());
    }
    Ok(When::After {
        id: id.to_owned(),
        edge,
        plus: plus.0,
    })
}

impl When {
    fn later(&self, by: Duration) -> When {
        match self {
            When::At(at) => When::At(*at + by),
            When::After { id, edge, plus } => When::After {
                id: id.clone(),
                edge: *edge,
                plus: *plus + by,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
name = "x"
duration = "60s"
step = [
  { id = "cut", at = "5s", fault = "partition", target = "isolate(n1)", for = "5s" },
  { after = "cut.healed + 2s", fault = "kill", target = "one", for = "1s", repeat = 3, every = "4s" },
]
random = [ { from = "10s", every = "2s", pick = [
  { fault = "pause", target = "one", for = "1s", w = 3 }, { fault = "kill", target = "all", for = "2s" } ] } ]
"#;

    fn planned(seed: u64) -> Vec<Planned> {
        plan(&Scenario::parse("x", TEXT).unwrap(), seed).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        assert_eq!(planned(7), planned(7));
        assert_ne!(planned(7), planned(8));
        assert_eq!(planned(7)[..4], planned(8)[..4]);
    }

    #[test]
    fn steps_repeat_and_refer_to_earlier_ones() {
        let planned = planned(1);
        assert_eq!(planned[3].id, "kill2.3");
        let expected = When::After {
            id: "cut".into(),
            edge: Edge::Healed,
            plus: Duration::from_secs(10),
        };
        assert_eq!(planned[3].when, expected);
        assert!(planned.len() > 10);
        for text in ["gone.healed", "cut.over", "cut.healed + 5", "cut"] {
            assert!(
                parse_after(text, &BTreeSet::from(["cut".to_owned()])).is_err(),
                "{text}"
            );
        }
    }
}
