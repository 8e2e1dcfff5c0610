//! The lock of a data directory. The system releases it when its owner dies, however that happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::DataDirError;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Self, DataDirError> {
        let path = directory.join(FILE);
        let failed = |action| {
            let path = path.clone();
            move |source: io::Error| DataDirError::Io {
                action,
                path,
                source,
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(DataDirError::InUse {
                    path: directory.to_owned(),
                    pid: pid_in(&mut file),
                });
            }
            Err(errno) => return Err(failed("lock")(errno.into())),
        }
        // Only a help for people: the lock itself is the system's.
        leave_pid(&mut file).map_err(failed("write the process number to"))?;
        Ok(Self { _file: file })
    }
}

pub(super) const FILE: &str = "lock";

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn leave_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}
