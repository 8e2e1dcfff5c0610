//! What a node runs on: the machine, and the process's part of it.

use std::fs;

use chronik_admin::AdminError;
use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{System, SystemRequest};
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;

use super::desk::{Desk, ask_there};

impl Desk {
    pub(super) async fn system(&self, request: SystemRequest) -> Result<System, AdminError> {
        let Some(node) = self.other(request.node_id)? else {
            return Ok(self.system_here().await);
        };
        ask_there!(self, node, System(request) -> System)
    }

    pub(super) async fn system_here(&self) -> System {
        let process = self.metrics.process_now().await;
        let machine = uname();
        let words = [machine.sysname(), machine.release(), machine.machine()];
        let words = words.map(|word| word.to_string_lossy().into_owned());
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = memory();
        System {
            node_id: self.about.node.0,
            kernel: words.join(" "),
            cpus: cpus as u32,
            memory_total_bytes: memory.total,
            memory_available_bytes: memory.available,
            open_files: process.open_files,
            open_files_limit: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            threads: process.threads,
            cpu_ms: process.cpu.as_millis() as u64,
            pid: std::process::id().into(),
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
}

fn memory() -> Memory {
    read(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

/// What cannot be read is nothing.
fn read(text: &str) -> Memory {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        number
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or_default()
            << 10
    };
    Memory {
        total: bytes("MemTotal:"),
        available: bytes("MemAvailable:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_systems_words() {
        let text = "MemTotal:       16 kB\nMemFree: 1 kB\nMemAvailable:    8 kB\n";
        let expected = Memory {
            total: 16 << 10,
            available: 8 << 10,
        };
        assert_eq!(read(text), expected);
        assert_eq!(read("nothing of this kind"), Memory::default());
    }
}
