//! Whose data it is: a small file that is written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use toml::de::{DeTable, DeValue};
use uuid::Uuid;

use super::{DataDirError, sync_directory};
use crate::config::Config;

/// The file in the data directory.
pub(super) const FILE: &str = "meta.toml";

/// Whose data it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, for ever; empty until this node has heard of one.
    pub cluster_id: String,
    /// The node's number.
    pub node_id: u32,
    /// Random, and different after the directory was wiped: it tells old segment files from new ones.
    pub node_uuid: [u8; 16],
    /// How many lives this node has had in its cluster, from 1; 0 until it belongs to one.
    pub incarnation: u64,
    /// Who founded the cluster, if this node was one of them.
    pub founders: Vec<u32>,
    /// The SHA-256 of the snapshot that the directory was restored from, if it was.
    pub restored: Option<String>,
    /// Nodes that were empty when this one founded, by the number of their directories.
    pub seen: Vec<(u32, [u8; 16])>,
}

impl Identity {
    /// A new node. Alone it is a cluster; among others it has to find out what it belongs to.
    pub(super) fn born(config: &Config) -> Self {
        let cluster_id = config.cluster.id.clone();
        match config.cluster.nodes() {
            1 => Self {
                cluster_id: cluster_id.unwrap_or_else(|| Uuid::new_v4().to_string()),
                incarnation: 1,
                founders: vec![config.node.id],
                ..Self::nobody(config)
            },
            _ => Self::nobody(config),
        }
    }

    /// A new directory of a node that belongs to nothing yet.
    pub(crate) fn nobody(config: &Config) -> Self {
        Self {
            cluster_id: String::new(),
            node_id: config.node.id,
            node_uuid: Uuid::new_v4().into_bytes(),
            incarnation: 0,
            founders: Vec::new(),
            restored: None,
            seen: Vec::new(),
        }
    }

    /// It was restored for a cluster that has not let it in yet.
    pub(crate) fn is_expected(&self) -> bool {
        self.incarnation == 0 && !self.cluster_id.is_empty()
    }

    /// Reads the identity of a directory that has one.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, DataDirError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(DataDirError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let damaged = |reason| DataDirError::Damaged {
            path: path.clone(),
            reason,
        };
        let fields = Fields::parse(&text).map_err(damaged)?;
        // The format comes first: a newer one may mean anything by the other fields.
        let format = fields.number("format").map_err(damaged)?;
        if format > FORMAT {
            return Err(DataDirError::NewerFormat {
                path: directory.to_owned(),
                found: format,
                known: FORMAT,
            });
        }
        Self::from_fields(&fields).map(Some).map_err(damaged)
    }

    /// Writes the identity so that it is there whole after a power cut, or not at all.
    pub(super) fn write(&self, directory: &Path) -> Result<(), DataDirError> {
        let path = directory.join(FILE);
        let unfinished_path = directory.join("meta.toml.tmp");
        let write = || -> io::Result<()> {
            let mut unfinished = File::create(&unfinished_path)?;
            unfinished.write_all(self.text().as_bytes())?;
            unfinished.sync_all()?;
            fs::rename(&unfinished_path, &path)
        };
        write().map_err(|source| DataDirError::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        sync_directory(directory)
    }

    fn text(&self) -> String {
        format!(
            "# Whose data this is. Do not edit it or copy it to another node.\n\
             format = {FORMAT}\n\
             cluster_id = \"{}\"\n\
             node_id = {}\n\
             node_uuid = \"{}\"\n\
             incarnation = {}\n\
             founders = {:?}\n\
             restored = \"{}\"\n\
             seen = {:?}\n",
            self.cluster_id.replace('\\', "\\\\").replace('"', "\\\""),
            self.node_id,
            Uuid::from_bytes(self.node_uuid),
            self.incarnation,
            self.founders,
            self.restored.as_deref().unwrap_or_default(),
            self.seen.iter().map(seen_text).collect::<Vec<_>>(),
        )
    }

    fn from_fields(fields: &Fields<'_>) -> Result<Self, String> {
        let node_id = fields.number("node_id")?;
        let node_uuid = fields.text("node_uuid")?;
        Ok(Self {
            cluster_id: fields.text("cluster_id")?.to_owned(),
            node_id: u32::try_from(node_id).map_err(|_| "`node_id` is too large".to_owned())?,
            node_uuid: Uuid::parse_str(node_uuid)
                .map_err(|error| format!("`node_uuid`: {error}"))?
                .into_bytes(),
            incarnation: fields.number("incarnation")?,
            founders: fields.numbers("founders")?,
            restored: fields.maybe_text("restored"),
            seen: fields
                .texts("seen")?
                .into_iter()
                .map(seen_of)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The format of everything in the data directory. A version reads its own and every earlier one.
const FORMAT: u64 = 1;

/// `2@5f0c...`: a node and the number of its directory.
fn seen_text((node, directory): &(u32, [u8; 16])) -> String {
    format!("{node}@{}", Uuid::from_bytes(*directory))
}

fn seen_of(text: &str) -> Result<(u32, [u8; 16]), String> {
    let parts = text.split_once('@');
    let parsed = parts.and_then(|(node, directory)| {
        let directory = Uuid::parse_str(directory).ok()?;
        Some((node.parse().ok()?, directory.into_bytes()))
    });
    parsed.ok_or_else(|| format!("`seen` has {text:?}"))
}

/// The fields of the file, by name.
struct Fields<'text>(DeTable<'text>);

impl<'text> Fields<'text> {
    fn parse(text: &'text str) -> Result<Self, String> {
        DeTable::parse(text)
            .map(|table| Self(table.into_inner()))
            .map_err(|error| error.message().to_owned())
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        match self.0.get(name).map(|value| value.get_ref()) {
            Some(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|error| format!("`{name}`: {error}")),
            _ => Err(format!("the number `{name}` is missing")),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<&str>, String> {
        let Some(DeValue::Array(list)) = self.0.get(name).map(|value| value.get_ref()) else {
            return Err(format!("the list `{name}` is missing"));
        };
        list.iter()
            .map(|value| match value.get_ref() {
                DeValue::String(text) => Ok(&**text),
                _ => Err(format!("`{name}` holds no texts")),
            })
            .collect()
    }

    fn numbers(&self, name: &str) -> Result<Vec<u32>, String> {
        let Some(DeValue::Array(list)) = self.0.get(name).map(|value| value.get_ref()) else {
            return Err(format!("the list `{name}` is missing"));
        };
        let number = |value: &DeValue<'_>| match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        list.iter()
            .map(|value| number(value.get_ref()).ok_or(format!("`{name}` holds no numbers")))
            .collect()
    }

    /// What earlier versions did not write, or what is empty.
    fn maybe_text(&self, name: &str) -> Option<String> {
        let text = self.text(name).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        match self.0.get(name).map(|value| value.get_ref()) {
            Some(DeValue::String(text)) => Ok(text),
            _ => Err(format!("the text `{name}` is missing")),
        }
    }
}
