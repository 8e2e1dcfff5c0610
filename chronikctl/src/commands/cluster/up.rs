//! `chronikctl cluster up`: real nodes on this machine, which outlive the command; what runs already is left alone.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chronik_admin::Code;
use chronik_local::{ChronikOptions, Doors, Launch, LocalError, probe, process_exists};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::local::{self, LocalCluster, LocalNode, Place};
use crate::cli::duration;
use crate::config;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Tone, note, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many nodes
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    #[command(flatten)]
    place: Place,
    /// The server's program, instead of the one beside this program or on the PATH
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How long the nodes may take to be ready
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    within: Duration,
}

/// The first node's, as those of a server without arguments; each further node has the next ones.
const KAFKA_PORT: u16 = 9092;
const PEER_PORT: u16 = 9192;
const ADMIN_PORT: u16 = 9292;
/// Between two looks at a node that starts.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let directory = args.place.directory(session);
    let known = LocalCluster::read(&directory);
    let nodes = usize::from(args.nodes);
    if let Some(known) = known.as_ref().filter(|known| known.nodes.len() != nodes) {
        let (name, count) = (&args.place.name, known.nodes.len());
        let message =
            format!("cluster {name} has {count} nodes, and cannot be started with {nodes}");
        return Err(Failure::new(Code::AlreadyExists, message).hint(format!(
            "chronikctl cluster up --nodes {nodes} --name OTHER"
        )));
    }
    fs::create_dir_all(&directory)
        .map_err(|error| failed(format!("cannot make {}: {error}", directory.display())))?;
    // Processes get it as their working directory, from where a relative path would mean something else.
    let directory = fs::canonicalize(&directory)
        .map_err(|error| failed(format!("cannot find {}: {error}", directory.display())))?;
    let doors = match &known {
        Some(known) => known.nodes.iter().map(LocalNode::doors).collect(),
        None => free_doors(args.nodes)?,
    };
    let program = local::server_program(session, args.program.as_deref())?;
    let options = ChronikOptions::new(program, &directory);
    let launches = match doors.as_slice() {
        [one] => vec![options.launch(*one).map_err(unstarted)?],
        several => options.launches(several).map_err(unstarted)?,
    };
    let mut cluster = described(
        &args.place.name,
        &directory,
        &launches,
        &doors,
        known.as_ref(),
    );
    // From here on an interruption is awaited: none can fall between a start and the note of it.
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| failed(format!("interruptions cannot be awaited: {error}")))?;
    let mut started = Vec::new();
    for (node, launch) in launches.iter().enumerate() {
        if cluster.nodes[node].pid.is_none() {
            let pid = launch.spawn_detached().map_err(unstarted)?;
            cluster.nodes[node].pid = Some(pid);
            started.push(pid);
        }
        // Written at once, so that `down` finds also what another node's failure left behind.
        cluster.write()?;
    }
    tokio::select! {
        biased;
        _ = interrupts.recv() => return Err(give_up(&mut cluster, &started)?),
        ready = await_all(&cluster, &launches, args.within) => ready?,
    }
    remember(session, &cluster)?;
    Ok(told(&cluster, started.len()))
}

/// Whoever interrupts a start wants no cluster: what it started ends, and what ran before goes on.
fn give_up(cluster: &mut LocalCluster, started: &[u32]) -> Result<Failure, Failure> {
    note("interrupted: the nodes that were started are stopped again");
    local::stop(started)?;
    for node in &mut cluster.nodes {
        node.pid = node.pid.filter(|pid| !started.contains(pid));
    }
    cluster.write()?;
    let message = format!(
        "interrupted: {} stopped again; the data stays in {}",
        plural(started.len() as u64, "node"),
        cluster.directory.display()
    );
    Ok(Failure::interrupted(message).hint("chronikctl cluster up"))
}

async fn await_all(
    cluster: &LocalCluster,
    launches: &[Launch],
    within: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + within;
    for (node, launch) in cluster.nodes.iter().zip(launches) {
        await_ready(node, launch, deadline).await?;
    }
    Ok(())
}

fn described(
    name: &str,
    directory: &Path,
    launches: &[Launch],
    doors: &[Doors],
    known: Option<&LocalCluster>,
) -> LocalCluster {
    let nodes = launches.iter().zip(doors).enumerate();
    let nodes = nodes.map(|(place, (launch, doors))| LocalNode {
        node_id: place + 1,
        pid: known.and_then(|known| known.nodes[place].pid),
        kafka: doors.kafka,
        peer: doors.peer,
        admin: doors.admin,
        log: launch.log.clone(),
    });
    let bootstrap: Vec<String> = doors.iter().map(|doors| doors.kafka.to_string()).collect();
    LocalCluster {
        name: name.to_owned(),
        directory: directory.to_path_buf(),
        bootstrap: bootstrap.join(","),
        admin: doors.iter().map(|doors| doors.admin.to_string()).collect(),
        nodes: nodes.collect(),
    }
}

/// The usual ports where nobody listens, other ones where somebody does.
fn free_doors(nodes: u16) -> Result<Vec<Doors>, Failure> {
    let usual = |position: u16| {
        let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port + position));
        Doors {
            kafka: address(KAFKA_PORT),
            peer: address(PEER_PORT),
            admin: address(ADMIN_PORT),
        }
    };
    let usual: Vec<Doors> = (0..nodes).map(usual).collect();
    let is_free = |address: SocketAddr| TcpListener::bind(address).is_ok();
    let mut taken = usual.iter().flat_map(Doors::all);
    match taken.find(|address| !is_free(*address)) {
        None => Ok(usual),
        Some(address) => {
            note(&format!(
                "somebody listens on {address} already: this cluster gets other ports, which stay its own"
            ));
            (0..nodes)
                .map(|_| Doors::free().map_err(unstarted))
                .collect()
        }
    }
}

async fn await_ready(node: &LocalNode, launch: &Launch, until: Instant) -> Result<(), Failure> {
    let pid = node.pid.expect("every node was started");
    let name = &launch.name;
    let why = loop {
        if !process_exists(pid) {
            break format!("{name} ended at once");
        }
        if probe::serves_kafka(node.kafka) && probe::http_ok(node.admin, "/readyz").is_some() {
            return Ok(());
        }
        if Instant::now() >= until {
            break format!("{name} was not ready in time");
        }
        sleep(LOOK_EVERY).await;
    };
    Err(failed(format!("{why}; it said:\n{}", launch.log_tail())).hint("chronikctl cluster down"))
}

/// Makes a context for it; one that somebody wrote is left alone.
fn remember(session: &Session, cluster: &LocalCluster) -> Result<(), Failure> {
    let file = &session.settings.paths.contexts;
    let mut known = config::read_contexts(file)?;
    let context = Context {
        admin: cluster.admin.clone(),
        bootstrap: cluster.bootstrap.split(',').map(str::to_owned).collect(),
        ..Context::default()
    };
    let present = known.contexts.get(&cluster.name);
    if present.is_none_or(|present| present.admin != context.admin) {
        known.contexts.insert(cluster.name.clone(), context);
    }
    known.current.get_or_insert_with(|| cluster.name.clone());
    known.write(file)
}

fn told(cluster: &LocalCluster, started: usize) -> Answer {
    let name = &cluster.name;
    let headline = match started {
        0 => format!("cluster {name} is up already"),
        _ => format!(
            "cluster {name} is up: {started} of {} nodes were started",
            cluster.nodes.len()
        ),
    };
    let mut answer = cluster.answer();
    answer.headlines.push((Tone::Good, headline));
    let down = match name.as_str() {
        "local" => "chronikctl cluster down".to_owned(),
        name => format!("chronikctl cluster down --name {name}"),
    };
    let next = [
        format!("bootstrap.servers={}", cluster.bootstrap),
        format!("chronikctl -c {name} status"),
        format!("echo hello | chronikctl -c {name} produce greetings"),
        format!("chronikctl -c {name} consume greetings"),
        down,
    ];
    answer.footers = next.into_iter().map(|line| (Tone::Plain, line)).collect();
    answer
}

fn unstarted(error: LocalError) -> Failure {
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        text = format!("{text}: {cause}");
    }
    failed(text)
}

fn failed(message: String) -> Failure {
    Failure::new(Code::Internal, message)
}
