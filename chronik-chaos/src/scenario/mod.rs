//! What a run shall do: the cluster, the load, the faults and what is expected of them. Files are TOML.

mod builtin;
mod fault;
mod selector;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use builtin::BUILTIN;
pub(crate) use fault::{Fault, Parameters};
pub(crate) use selector::{Cluster, Cut, NodeSet};

use crate::span::Span;
use crate::workload::Library;

/// A whole scenario, as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// 0 asks for a fresh one, which is printed.
    #[serde(default)]
    pub(crate) seed: u64,
    pub(crate) duration: Span,
    #[serde(default)]
    pub(crate) cluster: ClusterSpec,
    #[serde(default)]
    pub(crate) workload: Workload,
    #[serde(default)]
    pub(crate) step: Vec<Step>,
    #[serde(default)]
    pub(crate) random: Vec<RandomSteps>,
    #[serde(default)]
    pub(crate) expect: Expect,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSpec {
    pub(crate) nodes: u32,
    pub(crate) partitions: u32,
    pub(crate) rf: u32,
    pub(crate) min_isr: u32,
    /// Keys of the server's configuration.
    pub(crate) settings: BTreeMap<String, String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            nodes: 3,
            partitions: 6,
            rf: 3,
            min_isr: 2,
            settings: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Workload {
    /// Producers of each partition, each with an identity and a connection of its own.
    pub(crate) producers: u32,
    /// Batches a second over all of them.
    pub(crate) rate: u32,
    /// Records of a batch: 1 to this.
    pub(crate) batch: u32,
    pub(crate) body_bytes: u32,
    pub(crate) idempotent: bool,
    pub(crate) acks: i16,
    /// Readers of each partition that follow its end.
    pub(crate) assign: u32,
    /// Readers of each partition that begin anew from the start whenever they meet the end.
    pub(crate) reread: u32,
    /// Members of one consumer group.
    pub(crate) group: u32,
    /// Further members that fall silent for longer than a session again and again, and then commit what they had.
    pub(crate) zombies: u32,
    /// How often a batch is sent at most before its producer gives it up; 0 leaves that to time.
    pub(crate) attempts: u32,
    /// Producers of other libraries, as processes of their own.
    pub(crate) black_box: Vec<Library>,
    /// Records a second of each of them.
    pub(crate) black_box_rate: u32,
    /// Whether every node is asked for the ends of all partitions all the time, whoever leads them.
    pub(crate) ask_everybody: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            producers: 1,
            rate: 300,
            batch: 5,
            body_bytes: 100,
            idempotent: true,
            acks: -1,
            assign: 1,
            reread: 0,
            group: 0,
            zombies: 0,
            attempts: 0,
            black_box: Vec::new(),
            black_box_rate: 100,
            ask_everybody: false,
        }
    }
}

/// One fault, at a time or after another one, once or several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Span>,
    /// `ID.started + 2s` or `ID.healed + 2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    pub(crate) fault: Fault,
    pub(crate) target: String,
    /// Without it the fault stays until the end.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub(crate) lasts: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repeat: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<Span>,
    #[serde(default, skip_serializing_if = "Parameters::is_default")]
    pub(crate) with: Parameters,
}

/// Faults that come by chance, in the mean `every` so often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RandomSteps {
    pub(crate) from: Span,
    pub(crate) every: Span,
    pub(crate) pick: Vec<Choice>,
}

/// One kind of chance fault with its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) fault: Fault,
    pub(crate) target: String,
    /// From one to two times this long.
    #[serde(rename = "for")]
    pub(crate) lasts: Span,
    #[serde(default = "one")]
    pub(crate) w: u32,
    #[serde(default, skip_serializing_if = "Parameters::is_default")]
    pub(crate) with: Parameters,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// After the last heal every partition takes writes again within this.
    pub(crate) recover_max: Span,
    /// No partition may refuse all writes for longer, faults included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap_max: Option<Span>,
    /// A partition whose leader was taken away has a new one within this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) elect_max: Option<Span>,
    /// Over all partitions together, leaders change at most so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leader_changes_max: Option<u64>,
    /// Acknowledged batches; fewer make a run say nothing.
    pub(crate) acked_min: u64,
    /// Readers may stay behind the final end for so long.
    pub(crate) final_max: Span,
    /// While a fault lasts, at least so many batches are acknowledged.
    pub(crate) progress_during: BTreeMap<String, u64>,
    /// While a fault lasts, at most so many batches are acknowledged: a minority must not promise anything.
    pub(crate) acked_max_during: BTreeMap<String, u64>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            recover_max: Span::from_ms(60_000),
            gap_max: None,
            elect_max: None,
            leader_changes_max: None,
            acked_min: 50,
            final_max: Span::from_ms(200_000),
            progress_during: BTreeMap::new(),
            acked_max_during: BTreeMap::new(),
        }
    }
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioFault {
    #[error(
        "`{0}` is neither a built-in scenario nor a file; `chronik-chaos list` shows the built-in ones"
    )]
    Unknown(String),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{name} is not a scenario")]
    Toml {
        name: String,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("{name}: {what}")]
    Wrong { name: String, what: String },
}

impl Scenario {
    /// A built-in scenario by its name, or a file.
    pub(crate) fn find(name: &str) -> Result<Scenario, ScenarioFault> {
        if let Some(builtin) = BUILTIN.iter().find(|builtin| builtin.name == name) {
            return Scenario::parse(name, builtin.text);
        }
        let path = Path::new(name);
        if !path.is_file() {
            return Err(ScenarioFault::Unknown(name.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioFault::Read {
            path: path.to_owned(),
            source,
        })?;
        Scenario::parse(name, &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioFault> {
        let scenario: Scenario = toml::from_str(text).map_err(|source| ScenarioFault::Toml {
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        scenario.validate().map_err(|what| ScenarioFault::Wrong {
            name: name.to_owned(),
            what,
        })?;
        Ok(scenario)
    }

    pub(crate) fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is made of what TOML can say")
    }

    /// What the types alone do not rule out.
    fn validate(&self) -> Result<(), String> {
        let cluster = &self.cluster;
        if cluster.nodes == 0 || cluster.nodes > 9 {
            return Err("a cluster here has 1 to 9 nodes".into());
        }
        if cluster.partitions == 0 || cluster.partitions > 64 {
            return Err("the topic has 1 to 64 partitions".into());
        }
        if cluster.rf == 0 || cluster.rf > cluster.nodes {
            return Err("rf is at least 1 and at most the number of nodes".into());
        }
        let workload = &self.workload;
        let numbers = [workload.producers, workload.rate, workload.batch];
        if numbers.contains(&0) || workload.black_box_rate == 0 {
            return Err("a run without load shows nothing".into());
        }
        for step in &self.step {
            let id = step.id.as_deref().unwrap_or("a step");
            if step.at.is_some() == step.after.is_some() {
                return Err(format!("{id} needs either `at` or `after`"));
            }
            step.fault
                .check_target(&step.target)
                .map_err(|fault| format!("{id}: {fault}"))?;
        }
        for choice in self.random.iter().flat_map(|random| &random.pick) {
            let fault = choice.fault;
            fault
                .check_target(&choice.target)
                .map_err(|wrong| format!("{fault}: {wrong}"))?;
        }
        Ok(())
    }

    /// Whether some fault needs a file system of its own under each node.
    pub(crate) fn faults(&self) -> impl Iterator<Item = Fault> + '_ {
        let steps = self.step.iter().map(|step| step.fault);
        steps.chain(
            self.random
                .iter()
                .flat_map(|random| &random.pick)
                .map(|choice| choice.fault),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_scenarios_are_valid_and_survive_being_written() {
        for builtin in BUILTIN {
            let scenario = Scenario::find(builtin.name).unwrap_or_else(|fault| panic!("{fault:?}"));
            assert_eq!(scenario.name, builtin.name);
            assert!(!scenario.tags.is_empty(), "{} has no tag", builtin.name);
            assert_eq!(
                Scenario::parse("again", &scenario.to_toml()).unwrap(),
                scenario
            );
        }
    }

    #[test]
    fn mistakes_are_named() {
        let minimal = "name = \"x\"\nduration = \"5s\"\n";
        assert!(Scenario::parse("x", minimal).is_ok());
        let rows = [
            ("[cluster]\nnodes = 0\n", "1 to 9 nodes"),
            (
                "[[step]]\nfault = \"kill\"\ntarget = \"one\"\n",
                "either `at` or `after`",
            ),
            (
                "[[step]]\nat = \"1s\"\nfault = \"kill\"\ntarget = \"ring\"\n",
                "`ring`",
            ),
            (
                "[[step]]\nat = \"1s\"\nfault = \"partition\"\ntarget = \"half\"\n",
                "`half`",
            ),
        ];
        for (addition, expected) in rows {
            let refused = Scenario::parse("x", &format!("{minimal}{addition}")).unwrap_err();
            assert!(refused.to_string().contains(expected), "{refused}");
        }
    }
}
