//! What the operators' tool costs: its answers about many groups, its start, and its size.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chronik_local::{ChronikOptions, Cluster, foreign, probe};
use clap::Args;

use crate::error::XtaskError;
use crate::{Outcome, output, step};

const NODES: usize = 3;
const REPLICAS: i16 = 3;
const STATUS_BOUND: Duration = Duration::from_millis(50);
const GROUPS_BOUND: Duration = Duration::from_millis(200);
const SIZE_BOUND: u64 = 15_000_000;

#[derive(Args)]
pub(crate) struct Options {
    /// Partitions of one topic, each a group
    #[arg(long, default_value_t = 1500)]
    partitions: i32,
    /// How often each command is started
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// How long the new groups are left alone before anything is measured, in seconds
    #[arg(long, default_value_t = 20)]
    idle_s: u64,
    /// A server instead of this checkout's
    #[arg(long)]
    server: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let server = step::server(options.server.as_deref())?;
    let tool = step::release("chronikctl")?;
    let dir = step::temp_dir("bench")?;
    let mut cluster = ChronikOptions::new(server, dir.path()).cluster(NODES)?;
    cluster.start()?;
    let (address, count) = (cluster.node(1).kafka_address(), options.partitions);
    let created = probe::create_topic(address, "many", count, REPLICAS);
    if !matches!(created, Ok(0)) {
        return Err(XtaskError::Refused(format!(
            "{count} partitions were not created: {created:?}"
        )));
    }
    // What creation left behind is not the tool's cost.
    std::thread::sleep(Duration::from_secs(options.idle_s));
    output::heading(&format!(
        "chronikctl next to {NODES} nodes with {} groups, each time a new process",
        count + 1
    ));
    output::line("command                     runs   min ms  median ms   p95 ms   max ms   limit");
    let mut missed = Vec::new();
    let commands: [(&[&str], Duration); 3] = [
        (&["status"], STATUS_BOUND),
        (&["raft", "status"], GROUPS_BOUND),
        (&["raft", "status", "--all", "-o", "json"], GROUPS_BOUND),
    ];
    for (line, bound) in commands {
        missed.extend(measure(
            &tool,
            &cluster,
            dir.path(),
            (line, bound),
            options.runs,
        )?);
    }
    missed.extend(size(&tool, dir.path())?);
    match missed.is_empty() {
        true => Ok(()),
        false => Err(XtaskError::Refused(missed.join("; "))),
    }
}

/// How long a command takes from its start to its end.
fn measure(
    tool: &Path,
    cluster: &Cluster,
    home: &Path,
    (line, bound): (&[&str], Duration),
    runs: usize,
) -> Result<Option<String>, XtaskError> {
    let address = cluster
        .node(1)
        .admin_address()
        .expect("Chronik has an admin door");
    let mut took = Vec::with_capacity(runs);
    for _ in 0..runs {
        let mut command = Command::new(tool);
        command
            .env_clear()
            .env("HOME", home)
            .args(["--admin", &address.to_string()])
            .args(line)
            .stdin(Stdio::null());
        let begun = Instant::now();
        foreign::run(&line.join(" "), &mut command)?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    let ms = |span: Duration| span.as_secs_f64() * 1000.0;
    let name = line.join(" ");
    output::line(&format!(
        "{name:<26} {runs:>5} {:>8.1} {:>10.1} {:>8.1} {:>8.1} {:>7}",
        ms(at(0.0)),
        ms(at(0.5)),
        ms(at(0.95)),
        ms(at(1.0)),
        bound.as_millis()
    ));
    Ok((at(0.95) > bound).then(|| format!("`{name}` took {:?} at p95, not {bound:?}", at(0.95))))
}

/// The program as it would be handed out.
fn size(tool: &Path, dir: &Path) -> Result<Option<String>, XtaskError> {
    let stripped = dir.join("chronikctl");
    foreign::run(
        "strip",
        Command::new("strip").arg("-o").arg(&stripped).arg(tool),
    )?;
    let bytes = stripped
        .metadata()
        .map_err(XtaskError::file("look at", &stripped))?
        .len();
    let megabytes = bytes as f64 / 1e6;
    output::line(&format!(
        "stripped program: {megabytes:.1} MB, limit {} MB",
        SIZE_BOUND / 1_000_000
    ));
    Ok((bytes > SIZE_BOUND).then(|| format!("the program has {megabytes:.1} MB")))
}
