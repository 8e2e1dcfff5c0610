//! `chronikctl bundle create`: what somebody needs to look at a cluster from afar, and nothing that is not on the list.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::NodeRow;
use clap::Subcommand;
use flate2::Compression;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::status;
use crate::clock;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Table, Tone, bytes};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    /// Writes what is known of the cluster and its nodes into one file
    #[command(
        after_help = "Examples:\n  chronikctl bundle create\n  chronikctl bundle create --to /tmp/for-support.tar.gz"
    )]
    Create(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; one in this folder with the time in its name if not given
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A bundle that was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Written {
    path: PathBuf,
    bytes: u64,
    files: Vec<Entry>,
    /// What a bundle never has.
    withheld: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Entry {
    name: String,
    bytes: u64,
    /// Why it is missing.
    error: Option<String>,
}

/// What is collected of the cluster: the name of the file, and the route.
const OF_THE_CLUSTER: [(&str, &str); 5] = [
    ("cluster-view.json", "/v1/cluster/view"),
    ("cluster-health.json", "/v1/cluster/health"),
    ("raft-status.json", "/v1/raft/status?all=true"),
    ("raft-history.json", "/v1/raft/history"),
    ("topics.json", "/v1/topics?internal=true"),
];
/// What is collected of each node.
const OF_A_NODE: [(&str, &str); 3] = [
    ("status.json", "/v1/node/status"),
    ("metrics.txt", "/metrics"),
    ("readiness.json", "/readyz"),
];
/// A list of what may be collected cannot leak what it forgot; this only says so.
const WITHHELD: [&str; 4] = [
    "records",
    "keys and values of consumer groups",
    "the configuration files and the environment of the nodes",
    "log files",
];

const BLOCK: usize = 512;

pub(crate) async fn run(session: &Session, bundle: &Bundle) -> Result<Answer, Failure> {
    let Bundle::Create(args) = bundle;
    let (client, view) = super::node::view(session).await?;
    let mut collected = Vec::new();
    for (name, route) in OF_THE_CLUSTER {
        collected.push((name.to_owned(), fetch(&client, route).await));
    }
    for node in &view.nodes {
        for (name, route) in OF_A_NODE {
            let name = format!("node-{}/{name}", node.node_id);
            collected.push((name, of_node(session, node, route).await));
        }
    }
    let warnings = status::look_directly(session, &client, &view).await;
    let name = format!(
        "chronik-bundle-{}.tar.gz",
        clock::now().replace([':', '.'], "-")
    );
    let path = args.to.clone().unwrap_or_else(|| PathBuf::from(name));
    let files = collected.iter().map(|(name, content)| Entry {
        name: name.clone(),
        bytes: content.as_ref().map_or(0, |content| content.len() as u64),
        error: content.as_ref().err().cloned(),
    });
    let mut written = Written {
        files: files.collect(),
        withheld: WITHHELD.map(str::to_owned).to_vec(),
        bytes: 0,
        path: path.clone(),
    };
    let manifest = json!({
        "bundle": 1,
        "ts": clock::now(),
        "cluster_id": view.cluster_id,
        "chronikctl": env!("CARGO_PKG_VERSION"),
        "asked_node": view.asked_node,
        "files": written.files,
        "withheld": written.withheld,
    });
    let manifest = (
        "manifest.json".to_owned(),
        format!("{manifest:#}\n").into_bytes(),
    );
    let there = collected
        .into_iter()
        .filter_map(|(name, content)| Some((name, content.ok()?)));
    let contents: Vec<(String, Vec<u8>)> = std::iter::once(manifest).chain(there).collect();
    written.bytes = write(&path, &contents).map_err(|error| {
        Failure::new(
            Code::Internal,
            format!("cannot write {}: {error}", path.display()),
        )
    })?;
    let mut answer = told(&view.cluster_id, &written);
    answer.warnings = warnings;
    Ok(answer)
}

async fn of_node(session: &Session, node: &NodeRow, route: &str) -> Result<Vec<u8>, String> {
    let status = node.status.as_ref().ok_or("the node does not answer")?;
    let client = Client::connect(&status.admin_address, session.settings.bounds).await;
    fetch(&client.map_err(|error| error.message)?, route).await
}

async fn fetch(client: &Client, route: &str) -> Result<Vec<u8>, String> {
    let answer = client.http("GET", route, String::new()).await;
    let (_, body) = answer.map_err(|error| error.message)?;
    Ok(body.to_vec())
}

/// A gzipped tape archive under a temporary name, which gets its own once everything is on disk.
fn write(path: &std::path::Path, contents: &[(String, Vec<u8>)]) -> io::Result<u64> {
    let part = path.with_extension("part");
    let mut out = GzEncoder::new(File::create(&part)?, Compression::default());
    for (name, content) in contents {
        out.write_all(&header(name, content.len()))?;
        out.write_all(content)?;
        out.write_all(&vec![
            0;
            content.len().next_multiple_of(BLOCK) - content.len()
        ])?;
    }
    // Two empty blocks are the end.
    out.write_all(&[0; 2 * BLOCK])?;
    let file = out.finish()?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(file.metadata()?.len())
}

/// The block in front of a file, in the form that POSIX calls ustar.
fn header(name: &str, len: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    field(0, name.as_bytes());
    field(100, b"0000644\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{len:011o}\0").as_bytes());
    field(
        136,
        format!("{:011o}\0", clock::wall_ms() / 1000).as_bytes(),
    );
    // The sum is made with blanks in its own place.
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn told(cluster_id: &str, written: &Written) -> Answer {
    let columns = [
        Column::text("file"),
        Column::text("size"),
        Column::text("note"),
    ];
    let mut table = Table::new(&columns);
    for entry in &written.files {
        let (size, note) = match &entry.error {
            None => (bytes(entry.bytes).into(), Cell::default()),
            Some(error) => (
                Cell::none(),
                Cell::toned(Tone::Bad, format!("MISSING: {error}")),
            ),
        };
        table.row(vec![entry.name.as_str().into(), size, note]);
    }
    let mut answer = Answer::of("Bundle", cluster_id, written);
    answer.rows = answer.data["files"].as_array().cloned();
    let (path, size) = (written.path.display(), bytes(written.bytes));
    answer
        .headlines
        .push((Tone::Good, format!("wrote {path} ({size})")));
    answer.footers.push((
        Tone::Plain,
        format!("withheld: {}", written.withheld.join("; ")),
    ));
    answer.tables.push(table);
    let has_gap = written.files.iter().any(|entry| entry.error.is_some());
    if has_gap {
        answer.verdict = Verdict::SomeFailed;
    }
    answer
}
