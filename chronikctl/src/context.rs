//! Named clusters: where they are, what they are, and how careful to be with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The file of contexts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ContextFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
