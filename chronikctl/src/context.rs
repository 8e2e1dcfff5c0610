//! Named clusters: where they are, what they are, and how careful to be with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The file of contexts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContextFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    pub(crate) contexts: BTreeMap<String, Context>,
    /// What another version may know: it is told, and stays.
    #[serde(flatten)]
    unknown: toml::Table,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Context {
    #[serde(skip)]
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) admin: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bootstrap: Vec<String>,
    /// Pinned at first use: an answer of another cluster is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cluster_id: Option<String>,
    /// Changes want the context's name, not only a yes.
    pub(crate) protect: bool,
    /// Changes are refused.
    pub(crate) read_only: bool,
    /// Addresses came from flags or the environment: nothing of it is written down.
    #[serde(skip)]
    pub(crate) is_given: bool,
    /// What another version may know: it is told, and stays.
    #[serde(flatten)]
    #[schemars(skip)]
    pub(crate) unknown: toml::Table,
}

/// Where the values of a context come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Sources {
    /// What chose it.
    pub(crate) context: String,
    pub(crate) admin: String,
    pub(crate) bootstrap: String,
    /// Where contexts are kept.
    pub(crate) file: String,
}

/// What answers at the addresses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The admin API, and Kafka's protocol
    #[default]
    Chronik,
    /// Kafka's protocol alone
    Kafka,
}

impl Context {
    pub(crate) fn named(name: &str) -> Context {
        Context {
            name: name.to_owned(),
            ..Context::default()
        }
    }
}

impl ContextFile {
    /// Keys that this version does not know, with their contexts.
    pub(crate) fn unknown_keys(&self) -> Vec<String> {
        let own = self.unknown.keys().cloned();
        let contexts = self.contexts.iter().flat_map(|(name, context)| {
            let keys = context.unknown.keys();
            keys.map(move |key| format!("contexts.{name}.{key}"))
        });
        own.chain(contexts).collect()
    }

    /// Writes the file as a whole: a half-written one is never read.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("cannot write {}: {error}", file.display()))
        };
        let text = toml::to_string_pretty(self).map_err(|error| failed(&error))?;
        let directory = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let part = file.with_extension("part");
        fs::write(&part, text).map_err(|error| failed(&error))?;
        fs::rename(&part, file).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_version_wrote_is_told_and_stays() {
        let text = "colour = 1\n[contexts.local]\ntls = true\nadmin = [\"127.0.0.1:1\"]\n";
        let file: ContextFile = toml::from_str(text).unwrap();
        assert_eq!(file.unknown_keys(), ["colour", "contexts.local.tls"]);
        assert_eq!(file.contexts["local"].admin, ["127.0.0.1:1"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        file.write(&path).unwrap();
        let again: ContextFile = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(again.unknown_keys(), file.unknown_keys());
    }
}
