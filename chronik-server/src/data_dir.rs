//! The data directory: one process at a time, and only the node it belongs to.

mod identity;
mod lock;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;

pub use identity::Identity;
use lock::Lock;

/// A data directory that this process alone uses, as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: Lock,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error(
        "the data directory {} is in use by another process{}; stop it, or choose another directory with `node.data_dir`",
        path.display(), pid_in_brackets(*pid)
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, if it left its number.
        pid: Option<u32>,
    },
    /// A later version wrote it.
    #[error(
        "the data directory {} has format {found}, and this version knows formats up to {known}; \
         start the version that wrote it, or a later one", path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// The format written there.
        found: u64,
        /// The newest format this version knows.
        known: u64,
    },
    /// It belongs to another node.
    #[error(
        "the data directory {} belongs to node {found}, but `node.id` is {configured}; \
         set `node.id` to {found}, or choose another directory with `node.data_dir`", path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The node written there.
        found: u32,
        /// The node of the configuration.
        configured: u32,
    },
    /// It belongs to another cluster.
    #[error(
        "the data directory {} belongs to cluster {found}, but `cluster.id` is {configured}; \
         set `cluster.id` to {found} or remove it, or choose another directory with `node.data_dir`", path.display()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster written there.
        found: String,
        /// The cluster of the configuration.
        configured: String,
    },
    /// The file that says whose it is cannot be understood.
    #[error("{} is damaged ({reason}); restore it from a copy, because nothing else says whose data this is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a log, but the file that says whose it is has gone.
    #[error("{} is missing, but there is a log beside it; restore the file, or choose another directory with `node.data_dir`", path.display())]
    IdentityMissing {
        /// The file.
        path: PathBuf,
    },
    /// Something is in it already.
    #[error("the data directory {} is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// It was to be restored from a snapshot, and was not to the end.
    #[error("the data directory {} was only half restored; empty it, and restore it again", path.display())]
    HalfRestored {
        /// The directory.
        path: PathBuf,
    },
    /// The system says no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the directory if there is none, takes its lock, and reads or writes whose it is.
    pub fn open(config: &Config) -> Result<(Self, Identity), DataDirError> {
        let path = config.node.data_dir.clone();
        make(&path)?;
        let lock = Lock::take(&path)?;
        let identity = match Identity::read(&path)? {
            Some(identity) => identity,
            None => birth(&path, config)?,
        };
        check_owner(&path, &identity, config)?;
        Ok((Self { path, _lock: lock }, identity))
    }

    /// Refuses a directory that a node uses or that has anything in it, without touching it.
    pub fn check_vacant(path: &Path) -> Result<(), DataDirError> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(DataDirError::Io {
                    action: "list",
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let is_lock = |entry: &fs::DirEntry| entry.file_name() == lock::FILE;
        let has_more = entries.flatten().any(|entry| !is_lock(&entry));
        if has_more && path.join(lock::FILE).exists() {
            drop(Lock::take(path)?);
        }
        match has_more {
            true => Err(DataDirError::NotEmpty {
                path: path.to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Takes a directory that nobody uses and that has nothing in it, for a node that shall begin with something.
    pub fn take_vacant(path: &Path) -> Result<Self, DataDirError> {
        make(path)?;
        let lock = Lock::take(path)?;
        let others = fs::read_dir(path).map_or(0, |entries| entries.count());
        if others > 1 {
            return Err(DataDirError::NotEmpty {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Writes down what this node came to belong to.
    pub fn belongs(&self, identity: &Identity) -> Result<(), DataDirError> {
        identity.write(&self.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of the log inside the data directory.
const LOG_FOLDER: &str = "wal";
/// What a node begins with that was restored, until its log has it.
pub(crate) const RESTORED_FILE: &str = "restored.snap";

fn make(path: &Path) -> Result<(), DataDirError> {
    fs::create_dir_all(path).map_err(|source| DataDirError::Io {
        action: "make the data directory",
        path: path.to_owned(),
        source,
    })?;
    // The directory itself must survive a power cut, or the log in it would not.
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => sync_directory(parent),
        None => sync_directory(Path::new(".")),
    }
}

fn birth(path: &Path, config: &Config) -> Result<Identity, DataDirError> {
    let has_log =
        fs::read_dir(path.join(LOG_FOLDER)).is_ok_and(|mut entries| entries.next().is_some());
    if has_log {
        return Err(DataDirError::IdentityMissing {
            path: path.join(identity::FILE),
        });
    }
    // Whoever restores writes the identity last.
    if path.join(RESTORED_FILE).exists() {
        return Err(DataDirError::HalfRestored {
            path: path.to_owned(),
        });
    }
    let identity = Identity::born(config);
    identity.write(path)?;
    Ok(identity)
}

fn check_owner(path: &Path, identity: &Identity, config: &Config) -> Result<(), DataDirError> {
    let path = || path.to_owned();
    if identity.node_id != config.node.id {
        return Err(DataDirError::OtherNode {
            path: path(),
            found: identity.node_id,
            configured: config.node.id,
        });
    }
    match &config.cluster.id {
        Some(configured)
            if *configured != identity.cluster_id && !identity.cluster_id.is_empty() =>
        {
            Err(DataDirError::OtherCluster {
                path: path(),
                found: identity.cluster_id.clone(),
                configured: configured.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), DataDirError> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| DataDirError::Io {
            action: "sync the directory",
            path: path.to_owned(),
            source,
        })
}

fn pid_in_brackets(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
}

#[cfg(test)]
mod tests;
