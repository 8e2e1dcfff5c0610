//! One child process: its command line, its life and what `/proc` says about it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::error::LocalError;
use crate::wait;

/// After SIGKILL the kernel still has to tear down a gigabyte of pages.
const KILL_BOUND: Duration = Duration::from_secs(20);

/// A command line that can be started again and again.
#[derive(Clone, Debug)]
pub struct Launch {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub environment: Vec<(String, String)>,
    pub working_dir: PathBuf,
    /// Standard output and standard error are appended here.
    pub log: PathBuf,
}

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub resident_peak_bytes: u64,
    pub disk_written_bytes: u64,
    pub open_files: u64,
    pub threads: u64,
}

/// A running child; dropping it kills it, so a failing test leaves nothing behind.
#[derive(Debug)]
pub struct Process {
    child: Child,
    started: Instant,
}

impl Launch {
    /// Starts the program; it lives as long as the returned handle.
    pub fn spawn(&self) -> Result<Process, LocalError> {
        let mut command = self.command()?;
        let started = Instant::now();
        let child = command.spawn().map_err(|source| self.spawn_error(source))?;
        Ok(Process { child, started })
    }

    /// Starts the program in a process group of its own, to outlive this one; returns its pid.
    pub fn spawn_detached(&self) -> Result<u32, LocalError> {
        let child = self
            .command()?
            .process_group(0)
            .spawn()
            .map_err(|source| self.spawn_error(source))?;
        Ok(child.id())
    }

    /// The last lines of the log, for error messages.
    pub fn log_tail(&self) -> String {
        const LINES_MAX: usize = 30;
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }

    fn command(&self) -> Result<Command, LocalError> {
        let log = open_log(&self.log)?;
        let log_twin = log
            .try_clone()
            .map_err(LocalError::file("duplicate the handle of", &self.log))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.environment.iter().cloned())
            .current_dir(&self.working_dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_twin);
        Ok(command)
    }

    fn spawn_error(&self, source: io::Error) -> LocalError {
        LocalError::Spawn {
            program: self.program.clone(),
            source,
        }
    }
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The moment before `exec`.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The exit status, once there is one.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGTERM.
    pub fn ask_to_stop(&self) -> Result<(), LocalError> {
        self.signal(Signal::TERM)
    }

    /// SIGTERM, then a bounded wait for the end.
    pub fn stop(&mut self, bound: Duration) -> Result<ExitStatus, LocalError> {
        self.ask_to_stop()?;
        self.await_end(bound)
    }

    /// Waits for the end after [`Self::ask_to_stop`].
    pub fn await_end(&mut self, bound: Duration) -> Result<ExitStatus, LocalError> {
        let ended = wait::until("the end after SIGTERM", bound, || self.exit_status());
        Ok(ended?)
    }

    /// SIGKILL: the process gets no chance to write another byte.
    pub fn kill(&mut self) -> Result<ExitStatus, LocalError> {
        if let Some(status) = self.exit_status() {
            return Ok(status);
        }
        self.signal(Signal::KILL)?;
        let ended = wait::until("the end after SIGKILL", KILL_BOUND, || self.exit_status());
        Ok(ended?)
    }

    /// SIGSTOP: the process keeps its sockets but answers nothing.
    pub fn pause(&self) -> Result<(), LocalError> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: the end of [`Self::pause`].
    pub fn resume(&self) -> Result<(), LocalError> {
        self.signal(Signal::CONT)
    }

    pub fn sample(&self) -> Result<Sample, LocalError> {
        Sample::of(self.pid())
    }

    fn signal(&self, signal: Signal) -> Result<(), LocalError> {
        send(self.pid(), signal)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A handle may be dropped while a test unwinds: there is nobody left to tell.
        let _ = self.kill();
    }
}

impl Sample {
    /// Reads `/proc` of any process of this user.
    pub fn of(pid: u32) -> Result<Self, LocalError> {
        let read = || -> io::Result<Self> {
            let status = proc_file(pid, "status")?;
            Ok(Self {
                cpu_seconds: cpu_seconds(&proc_file(pid, "stat")?)?,
                resident_bytes: field(&status, "VmRSS:")? * 1024,
                resident_peak_bytes: field(&status, "VmHWM:")? * 1024,
                threads: field(&status, "Threads:")?,
                disk_written_bytes: field(&proc_file(pid, "io")?, "write_bytes:")?,
                open_files: u64::try_from(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
                    .expect("a count fits 64 bits"),
            })
        };
        read().map_err(|source| LocalError::Inspect { pid, source })
    }
}

/// Whether a process of this id exists; a zombie nobody waited for does not count.
pub fn process_exists(pid: u32) -> bool {
    let is_zombie = proc_file(pid, "stat").is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    });
    !is_zombie && raw_pid(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// SIGTERM to a process that is no child of ours (`xtask down`), then a bounded wait for its end.
pub fn terminate(pid: u32, bound: Duration) -> Result<(), LocalError> {
    send(pid, Signal::TERM)?;
    wait::until("the end after SIGTERM", bound, || {
        (!process_exists(pid)).then_some(())
    })?;
    Ok(())
}

fn send(pid: u32, signal: Signal) -> Result<(), LocalError> {
    let Some(target) = raw_pid(pid) else {
        return Ok(());
    };
    kill_process(target, signal).map_err(|source| LocalError::Signal {
        pid,
        source: source.into(),
    })
}

fn raw_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn open_log(path: &Path) -> Result<File, LocalError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(LocalError::file("open", path))
}

fn proc_file(pid: u32, name: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{name}"))
}

fn field(text: &str, key: &str) -> io::Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, key.to_owned()))
}

/// User plus system time; the command name may contain blanks, so counting starts behind its parenthesis.
fn cpu_seconds(stat: &str) -> io::Result<f64> {
    let ticks = || -> Option<u64> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    };
    let ticks = ticks().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "stat"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn sleeper(dir: &Path) -> Process {
        Launch {
            name: "sleeper".into(),
            program: "/bin/sleep".into(),
            args: vec!["1000".into()],
            environment: Vec::new(),
            working_dir: dir.to_path_buf(),
            log: dir.join("sleeper.log"),
        }
        .spawn()
        .unwrap()
    }

    #[test]
    fn a_process_is_sampled_paused_resumed_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = sleeper(dir.path());
        let sample = process.sample().unwrap();
        assert!(sample.resident_bytes > 0);
        assert_eq!(sample.threads, 1);
        process.pause().unwrap();
        process.resume().unwrap();
        let status = process.stop(Duration::from_secs(10)).unwrap();
        assert_eq!(status.signal(), Some(15));
    }

    #[test]
    fn dropping_a_process_kills_it() {
        let dir = tempfile::tempdir().unwrap();
        let process = sleeper(dir.path());
        let pid = process.pid();
        assert!(process_exists(pid));
        drop(process);
        assert!(!process_exists(pid));
    }

    #[test]
    fn cpu_time_survives_a_name_with_blanks_and_parentheses() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 100 50 0 0";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu_seconds(stat).unwrap(), 150.0 / ticks);
    }
}
