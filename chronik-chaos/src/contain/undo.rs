//! The list of what must be undone by hand: written and flushed before each fault that no namespace contains.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::cgroup;

const FILE: &str = "undo.list";

/// The journal of one run.
#[derive(Clone, Debug)]
pub(crate) struct UndoLog {
    path: PathBuf,
}

/// What takes something back that outlives its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Promise {
    /// Removes a control group.
    RemoveGroup(PathBuf),
    /// Lets somebody else's process go on.
    Resume(u32),
    /// Starts somebody else's node by the command that its owner gave.
    Run(String),
}

/// A line of the list.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Promised(Promise),
    Kept(Promise),
}

impl UndoLog {
    pub(crate) fn of(run_dir: &Path) -> UndoLog {
        UndoLog {
            path: run_dir.join(FILE),
        }
    }

    /// Returns once the promise is on the disk.
    pub(crate) fn promise(&self, promise: Promise) -> io::Result<()> {
        self.append(&Line::Promised(promise))
    }

    /// It was done, and nobody needs to do it later.
    pub(crate) fn keep(&self, promise: Promise) -> io::Result<()> {
        self.append(&Line::Kept(promise))
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        let text = serde_json::to_string(line).expect("a promise is made of plain values");
        // Whatever was cut off before it keeps a line of its own.
        file.write_all(format!("\n{text}\n").as_bytes())?;
        file.sync_data()?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    /// What is still to be done, in the order in which it was promised.
    pub(crate) fn promised(&self) -> io::Result<Vec<Promise>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut open = Vec::new();
        // A line that was cut off was never relied on.
        for line in text.lines().flat_map(serde_json::from_str) {
            match line {
                Line::Promised(promise) => open.push(promise),
                Line::Kept(promise) => {
                    if let Some(place) = open.iter().position(|known| *known == promise) {
                        open.remove(place);
                    }
                }
            }
        }
        Ok(open)
    }

    /// The control groups among that.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let promised = self.promised().unwrap_or_default().into_iter();
        let group = |promise| match promise {
            Promise::RemoveGroup(path) => Some(path),
            Promise::Resume(_) | Promise::Run(_) => None,
        };
        promised.filter_map(group).collect()
    }

    /// Keeps every promise, the latest first; what was undone, and the list is gone. Doing it twice does no harm.
    pub(crate) fn finish(&self) -> io::Result<Vec<String>> {
        let (mut undone, mut failed) = (Vec::new(), None);
        for promise in self.promised()?.into_iter().rev() {
            match promise.come_true() {
                Ok(done) => undone.extend(done),
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            }
            self.keep(promise)?;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(undone),
        }
    }
}

impl Promise {
    /// What was done, in words, if anything was left to do.
    fn come_true(&self) -> io::Result<Option<String>> {
        match self {
            Promise::RemoveGroup(group) => {
                if !group.is_dir() {
                    return Ok(None);
                }
                cgroup::remove(group)?;
                Ok(Some(format!("removed {}", group.display())))
            }
            Promise::Resume(pid) => {
                let process = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                match process.map(|process| kill_process(process, Signal::CONT)) {
                    Some(Ok(())) => Ok(Some(format!("process {pid} goes on"))),
                    // It is gone, or somebody else has its number by now.
                    Some(Err(Errno::SRCH | Errno::PERM)) | None => Ok(None),
                    Some(Err(error)) => Err(error.into()),
                }
            }
            Promise::Run(command) => {
                let status = Command::new("sh").args(["-c", command]).status()?;
                match status.success() {
                    true => Ok(Some(format!("ran `{command}`"))),
                    false => Err(io::Error::other(format!("`{command}` ended with {status}"))),
                }
            }
        }
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
        let group = PathBuf::from("/nowhere/chronik-chaos-x");
        log.promise(Promise::RemoveGroup(group.clone())).unwrap();
        assert_eq!(log.groups(), [group]);
        let trace = dir.path().join("trace");
        let start = |word: &str| Promise::Run(format!("echo {word} >> {}", trace.display()));
        for word in ["first", "healed", "second"] {
            log.promise(start(word)).unwrap();
        }
        log.keep(start("healed")).unwrap();
        let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
        file.write_all(b"{\"promised\":{\"run\":\"echo cut")
            .unwrap();
        assert_eq!(log.finish().unwrap().len(), 2);
        assert!(log.finish().unwrap().is_empty());
        assert_eq!(fs::read_to_string(trace).unwrap(), "second\nfirst\n");
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn one_that_cannot_be_kept_is_no_excuse_for_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let log = UndoLog::of(dir.path());
        let trace = dir.path().join("trace");
        let good = format!("echo done >> {}", trace.display());
        log.promise(Promise::Run(good)).unwrap();
        log.promise(Promise::Run("exit 3".into())).unwrap();
        for _ in 0..2 {
            assert!(log.finish().is_err());
            assert_eq!(fs::read_to_string(&trace).unwrap(), "done\n");
        }
    }
}
