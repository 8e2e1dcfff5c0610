//! The list of what must be undone by hand: written and flushed before each fault that no namespace contains.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::cgroup;

const FILE: &str = "undo.list";

/// The journal of one run.
#[derive(Clone, Debug)]
pub(crate) struct UndoLog {
    path: PathBuf,
}

impl UndoLog {
    pub(crate) fn of(run_dir: &Path) -> UndoLog {
        UndoLog {
            path: run_dir.join(FILE),
        }
    }

    /// Promises to remove a control group; returns once the promise is on the disk.
    pub(crate) fn promise(&self, group: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        writeln!(file, "{}", group.display())?;
        file.sync_data()?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    /// The groups that are still to be removed.
    pub(crate) fn promised(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(PathBuf::from).collect()
    }

    /// Keeps every promise; what was undone, and the list is gone. Doing it twice does no harm.
    pub(crate) fn finish(&self) -> io::Result<Vec<PathBuf>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut undone = Vec::new();
        for group in text
            .lines()
            .map(PathBuf::from)
            .filter(|group| group.is_dir())
        {
            cgroup::remove(&group)?;
            undone.push(group);
        }
        fs::remove_file(&self.path)?;
        Ok(undone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let log = UndoLog::of(dir.path());
        assert!(log.finish().unwrap().is_empty());
        log.promise(Path::new("/nowhere/chronik-chaos-x")).unwrap();
        assert!(log.finish().unwrap().is_empty());
        assert!(!dir.path().join(FILE).exists());
    }
}
