//! What the log costs next to plain files on the same disk: CPU seconds per GB, throughput
//! and sync latency, in interleaved rounds. It fails if the log costs more than it may.
//!
//! `cargo bench -p chronik-wal -- [--dir DIR] [--rounds N] [--mib N]`

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chronik_wal::{
    Index, Kind, Notice, Options, Record, Retention, Row, SegmentChange, Task, Trim, Visitor,
    Writer, flags,
};

/// What one GB through the log may cost, in CPU seconds.
const CPU_S_PER_GB_MAX: f64 = 0.4;
/// What the log may cost of what an append without any sync costs.
const UNSYNCED_SHARE_MAX: f64 = 0.5;

const COMMIT_BYTES: usize = 1 << 20;
const ENTRIES_PER_COMMIT: usize = 16;
/// What retention keeps, so that segments are used again as they are in a running node.
const KEPT_BYTES: u64 = 192 << 20;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let settings = Settings::from_arguments()?;
    std::fs::create_dir_all(&settings.dir)?;
    let scratch = tempfile::tempdir_in(&settings.dir)?;
    println!(
        "disk of {}, {} rounds of {} MiB per mode",
        settings.dir.display(),
        settings.rounds,
        settings.mib
    );
    let mut log = BenchLog::open(scratch.path())?;
    let mut results: Vec<Vec<Sample>> = vec![Vec::new(); Mode::ALL.len()];
    for _ in 0..settings.rounds {
        for (mode, samples) in Mode::ALL.iter().zip(&mut results) {
            samples.push(mode.measure(&mut log, scratch.path(), settings.mib << 20)?);
        }
    }
    let stats = log.writer.stats();
    log.writer.close();
    println!();
    println!(
        "{:<32} {:>9} {:>11} {:>8} {:>11} {:>11}",
        "mode (median of the rounds)",
        "CPU s/GB",
        "+ kernel*",
        "MB/s",
        "sync p50 ms",
        "sync p99 ms"
    );
    let medians: Vec<Sample> = results
        .iter()
        .map(|samples| Sample::median(samples))
        .collect();
    for (mode, median) in Mode::ALL.iter().zip(&medians) {
        println!("{:<32} {median}", mode.name());
    }
    println!();
    println!(
        "CPU: user and system time of this whole process, pre-writing, sealing and checkpoints included."
    );
    println!(
        "*    and that of all kernel threads until the data is on disk, so with write-back and journal,"
    );
    println!("     but also with what they did for others meanwhile.");
    println!(
        "log: direct I/O {}, {} rolls, {} segments recycled, {} checkpoints",
        stats.direct_io, stats.rolls, stats.recycled, stats.checkpoints
    );
    Ok(verdict(&medians))
}

fn verdict(medians: &[Sample]) -> ExitCode {
    let cost = medians[0].cpu_s_per_gb;
    // Whoever does not sync leaves the write to the kernel's threads: they count as well.
    let share = medians[0].with_kernel_s_per_gb / medians[Mode::UNSYNCED].with_kernel_s_per_gb;
    let cheap = cost <= CPU_S_PER_GB_MAX;
    let cheaper = share <= UNSYNCED_SHARE_MAX;
    let word = |met| if met { "met" } else { "NOT MET" };
    println!(
        "required: at most {CPU_S_PER_GB_MAX} CPU s/GB at 1 MiB commits: {cost:.3} ({})",
        word(cheap)
    );
    println!(
        "required: at most {UNSYNCED_SHARE_MAX} of the unsynced append's CPU: {share:.2} ({})",
        word(cheaper)
    );
    if cheap && cheaper {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Settings {
    dir: PathBuf,
    rounds: usize,
    mib: usize,
}

impl Settings {
    fn from_arguments() -> Result<Self, Failure> {
        // Next to the build's own files: /tmp may be memory.
        let target = std::env::current_exe()?;
        let target = target
            .ancestors()
            .nth(3)
            .ok_or("the bench is not in a target directory")?;
        let mut settings = Self {
            dir: target.join("bench-wal"),
            rounds: 5,
            mib: 512,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--dir" => settings.dir = value()?.into(),
                "--rounds" => settings.rounds = value()?.parse()?,
                "--mib" => settings.mib = value()?.parse()?,
                // Cargo says this to every bench.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        Ok(settings)
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Log,
    Synced,
    Unsynced(usize),
}

impl Mode {
    const ALL: [Mode; 4] = [
        Mode::Log,
        Mode::Synced,
        Mode::Unsynced(COMMIT_BYTES),
        Mode::Unsynced(64 << 10),
    ];
    const UNSYNCED: usize = 2;

    /// For people and for the name of the file.
    fn name(self) -> String {
        match self {
            Mode::Log => "log, group commits of 1024 KiB".to_owned(),
            Mode::Synced => "append + fdatasync, 1024 KiB".to_owned(),
            Mode::Unsynced(bytes) => format!("append, never synced, {} KiB", bytes >> 10),
        }
    }

    fn measure(self, log: &mut BenchLog, scratch: &Path, total: usize) -> Result<Sample, Failure> {
        // The files stay until the end, as those of a log do: pages that were just freed
        // would be cheaper than the ones a growing log gets.
        let path = scratch.join(format!("plain-{}-{}", self.name(), log.next_index));
        let before = Cpu::now()?;
        let started = Instant::now();
        let mut latencies = match self {
            Mode::Log => log.append(total)?,
            Mode::Synced => append_plainly(&path, total, COMMIT_BYTES, File::sync_data)?,
            Mode::Unsynced(bytes) => append_plainly(&path, total, bytes, |_| Ok(()))?,
        };
        let took = started.elapsed();
        let process = Cpu::now()?.process_s - before.process_s;
        if !matches!(self, Mode::Log) {
            File::open(&path)?.sync_data()?;
        }
        let kernel = Cpu::now()?.kernel_s - before.kernel_s;
        let gb = total as f64 / 1e9;
        latencies.sort();
        let quantile = |share: f64| {
            latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
        };
        Ok(Sample {
            cpu_s_per_gb: process / gb,
            with_kernel_s_per_gb: (process + kernel) / gb,
            mb_per_s: total as f64 / 1e6 / took.as_secs_f64(),
            sync_p50_ms: quantile(0.5),
            sync_p99_ms: quantile(0.99),
        })
    }
}

fn append_plainly(
    path: &Path,
    total: usize,
    bytes: usize,
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let chunk = vec![7; bytes];
    (0..total / bytes)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&chunk)?;
            sync(&file)?;
            Ok(started.elapsed())
        })
        .collect()
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    cpu_s_per_gb: f64,
    with_kernel_s_per_gb: f64,
    mb_per_s: f64,
    sync_p50_ms: f64,
    sync_p99_ms: f64,
}

impl Sample {
    fn median(samples: &[Sample]) -> Sample {
        let of = |column: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(column).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Sample {
            cpu_s_per_gb: of(|sample| sample.cpu_s_per_gb),
            with_kernel_s_per_gb: of(|sample| sample.with_kernel_s_per_gb),
            mb_per_s: of(|sample| sample.mb_per_s),
            sync_p50_ms: of(|sample| sample.sync_p50_ms),
            sync_p99_ms: of(|sample| sample.sync_p99_ms),
        }
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            cpu_s_per_gb,
            with_kernel_s_per_gb,
            mb_per_s,
            sync_p50_ms,
            sync_p99_ms,
        } = self;
        write!(
            out,
            "{cpu_s_per_gb:>9.3} {with_kernel_s_per_gb:>11.3} {mb_per_s:>8.0} {sync_p50_ms:>11.3} {sync_p99_ms:>11.3}"
        )
    }
}

/// CPU time used so far.
struct Cpu {
    process_s: f64,
    kernel_s: f64,
}

impl Cpu {
    fn now() -> Result<Self, Failure> {
        let mut process_ns = 0;
        for task in std::fs::read_dir("/proc/self/task")? {
            process_ns += ns_on_cpu(&task?.path()).unwrap_or(0);
        }
        let mut kernel_ns = 0;
        for process in std::fs::read_dir("/proc")? {
            let path = process?.path();
            // Kernel threads have no command line; one that ends meanwhile does not count.
            if std::fs::read(path.join("cmdline")).is_ok_and(|line| line.is_empty()) {
                kernel_ns += ns_on_cpu(&path).unwrap_or(0);
            }
        }
        Ok(Self {
            process_s: process_ns as f64 / 1e9,
            kernel_s: kernel_ns as f64 / 1e9,
        })
    }
}

fn ns_on_cpu(thread: &Path) -> Option<u64> {
    let line = std::fs::read_to_string(thread.join("schedstat")).ok()?;
    line.split(' ').next()?.parse().ok()
}

/// The real log, with an owner that trims and checkpoints as a node does.
struct BenchLog {
    writer: Writer<u64>,
    index: Index,
    notices: Receiver<Notice<u64>>,
    body: Bytes,
    next_index: u64,
    last_token: u64,
}

struct Nothing;

impl Visitor for Nothing {
    fn verify(&self, _: u64, _: &Row, _: &[u8]) -> bool {
        true
    }

    fn entry(&mut self, _: u64, _: &Row, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

const GROUP: u64 = 1;

impl BenchLog {
    fn open(dir: &Path) -> Result<Self, Failure> {
        let options = Options {
            pool_segments: 3,
            ..Options::new(dir, [0; 16])
        };
        let wanted = options.pool_segments as u64;
        let recovered = chronik_wal::open(options, &mut Nothing)?;
        let (sink, notices) = sync_channel(4096);
        let (writer, _reader, mut index) = recovered.start(move |notice| {
            // After the bench nobody listens.
            let _ = sink.send(notice);
        })?;
        index.reset(GROUP, Trim::default());
        let started = Instant::now();
        while writer.stats().pool < wanted {
            if started.elapsed() > Duration::from_secs(120) {
                return Err("no segment was pre-written in two minutes".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // A commit of exactly 1 MiB: its headers are part of it.
        let overhead = 32 + ENTRIES_PER_COMMIT * 64;
        let body = Bytes::from(vec![
            7;
            (COMMIT_BYTES - overhead) / ENTRIES_PER_COMMIT / 8 * 8
        ]);
        let mut log = Self {
            writer,
            index,
            notices,
            body,
            next_index: 1,
            last_token: 0,
        };
        log.commit(vec![Record::new(Kind::GroupCreate, GROUP, Bytes::new())])?;
        Ok(log)
    }

    fn append(&mut self, total: usize) -> Result<Vec<Duration>, Failure> {
        (0..total / COMMIT_BYTES)
            .map(|_| {
                let records = (0..ENTRIES_PER_COMMIT as u64)
                    .map(|nth| self.entry(self.next_index + nth))
                    .collect();
                self.next_index += ENTRIES_PER_COMMIT as u64;
                let started = Instant::now();
                self.commit(records)?;
                Ok(started.elapsed())
            })
            .collect()
    }

    fn entry(&self, index: u64) -> Record {
        let body = self.body.clone();
        Record {
            index,
            term: 1,
            base_offset: index - 1,
            record_count: 1,
            flags: flags::BODY_SELF_CHECKED,
            ..Record::new(Kind::Entry, GROUP, body)
        }
    }

    /// Hands one task over and waits until it is durable.
    fn commit(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        let token = self.submit(records)?;
        loop {
            match self.notices.recv()? {
                Notice::Durable(tasks) => {
                    let done = tasks.iter().any(|task| task.token == token);
                    for (group, row) in tasks.into_iter().flat_map(|task| task.rows) {
                        self.index.insert(group, row);
                    }
                    if done {
                        return Ok(());
                    }
                }
                Notice::Segment(change) => self.follow(change)?,
                Notice::Checkpointed { .. } | Notice::Rewritten { .. } => {}
                Notice::Failed(error) => return Err(error.into()),
            }
        }
    }

    fn submit(&mut self, records: Vec<Record>) -> Result<u64, Failure> {
        self.last_token += 1;
        let token = self.last_token;
        self.writer
            .submit(vec![Task { records, token }])
            .map_err(|refused| refused.reason)?;
        Ok(token)
    }

    /// At every roll old entries are trimmed, and a checkpoint lets their segments go.
    fn follow(&mut self, change: SegmentChange) -> Result<(), Failure> {
        let rolled = matches!(change, SegmentChange::Opened(_));
        self.index.apply(change);
        let retention = Retention {
            bytes: Some(KEPT_BYTES),
            limit_index: self.next_index - 1,
            ..Retention::default()
        };
        if let Some(trim) = self
            .index
            .offset_to_keep(GROUP, retention)
            .filter(|_| rolled)
        {
            let record = Record::new(Kind::TrimPrefix, GROUP, Bytes::new());
            let record = Record {
                index: trim.index,
                term: trim.term,
                base_offset: trim.offset,
                ..record
            };
            self.index.trim(GROUP, trim);
            self.submit(vec![record])?;
            self.writer
                .checkpoint(Vec::new())
                .map_err(|refused| refused.reason)?;
        }
        Ok(())
    }
}
