//! Where results are kept, each in a file of its own, so that a measurement that was cut short can go on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LocalError;

/// A folder `<name>-<commit>`: results of one command at one commit.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    commit: String,
}

impl Store {
    /// Empties the folder, unless what was begun earlier is to be resumed.
    pub fn open(
        parent: &Path,
        name: &str,
        commit: String,
        is_resumed: bool,
    ) -> Result<Self, LocalError> {
        let dir = parent.join(format!("{name}-{commit}"));
        Self::open_at(dir, commit, is_resumed)
    }

    fn open_at(dir: PathBuf, commit: String, is_resumed: bool) -> Result<Self, LocalError> {
        if !is_resumed && dir.exists() {
            fs::remove_dir_all(&dir).map_err(LocalError::file("remove", &dir))?;
        }
        fs::create_dir_all(&dir).map_err(LocalError::file("create", &dir))?;
        Ok(Self { dir, commit })
    }

    /// What was measured, with a mark if the checkout had changes.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, LocalError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LocalError::file("read", path)(error)),
        };
        match serde_json::from_str(&text) {
            Ok(found) => Ok(Some(found)),
            Err(source) => Err(LocalError::Unreadable { path, source }),
        }
    }

    /// All of it or nothing: a file is renamed into its place.
    pub fn write<T: Serialize>(&self, name: &str, result: &T) -> Result<(), LocalError> {
        let text = serde_json::to_string_pretty(result).expect("results are plain data");
        let path = self.path(name);
        let draft = path.with_extension("draft");
        fs::write(&draft, format!("{text}\n")).map_err(LocalError::file("write", &draft))?;
        fs::rename(&draft, &path).map_err(LocalError::file("rename", &draft))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_again_only_when_resuming() {
        let dir = tempfile::tempdir().unwrap();
        let open = |is_resumed| {
            Store::open_at(dir.path().join("store"), "abc".to_owned(), is_resumed).unwrap()
        };
        let store = open(false);
        assert_eq!(store.read::<Vec<u32>>("one").unwrap(), None);
        store.write("one", &vec![1_u32, 2]).unwrap();
        assert_eq!(open(true).read("one").unwrap(), Some(vec![1_u32, 2]));
        assert_eq!(open(false).read::<Vec<u32>>("one").unwrap(), None);
    }

    #[test]
    fn a_torn_result_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_at(dir.path().into(), "abc".to_owned(), true).unwrap();
        fs::write(dir.path().join("one.json"), "[1,").unwrap();
        let refused = store.read::<Vec<u32>>("one").unwrap_err().to_string();
        assert!(refused.contains("one.json"));
    }
}
