//! `chronikctl cluster logs`: what the nodes of a cluster on this machine log, a line after the other.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use chronik_admin::Code;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::local::{self, LocalCluster, Place};
use crate::exit::{Failure, Verdict};
use crate::output::{Format, ReaderGone, print};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this node
    node: Option<usize>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// The newest so many lines of each node
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    count: usize,
    #[command(flatten)]
    place: Place,
}

/// One node's log, read up to a place.
struct Log {
    node: usize,
    path: PathBuf,
    read_bytes: u64,
    /// The beginning of a line whose end is not there yet.
    rest: String,
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of a log that is longer, only the end is looked at.
const MAX_TAIL_BYTES: u64 = 4 << 20;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Verdict, Failure> {
    let format = session.settings.printer.format;
    if matches!(format, Format::Json | Format::Yaml) {
        let message = "logs have no end, and -o json and yaml are one object";
        return Err(Failure::usage(message).hint("-o jsonl"));
    }
    let directory = args.place.directory(session);
    let cluster = LocalCluster::read(&directory).ok_or_else(|| local::missing(&directory))?;
    let nodes = cluster.nodes.iter();
    let wanted = nodes.filter(|node| args.node.is_none_or(|wanted| wanted == node.node_id));
    let mut logs: Vec<Log> = wanted
        .map(|node| Log {
            node: node.node_id,
            path: node.log.clone(),
            read_bytes: 0,
            rest: String::new(),
        })
        .collect();
    if let (Some(node), true) = (args.node, logs.is_empty()) {
        let message = format!("cluster {} has no node {node}", cluster.name);
        return Err(Failure::new(Code::NotFound, message).hint("chronikctl cluster up"));
    }
    for log in &mut logs {
        log.skip_to_tail().map_err(|error| log.unreadable(&error))?;
        let lines = log.lines().map_err(|error| log.unreadable(&error))?;
        let newest = &lines[lines.len().saturating_sub(args.count)..];
        if show(format, log.node, newest).is_err() {
            return Ok(Verdict::Yes);
        }
    }
    if !args.follow {
        return Ok(Verdict::Yes);
    }
    loop {
        sleep(LOOK_EVERY).await;
        for log in &mut logs {
            let lines = log.lines().map_err(|error| log.unreadable(&error))?;
            if show(format, log.node, &lines).is_err() {
                return Ok(Verdict::Yes);
            }
        }
    }
}

impl Log {
    fn skip_to_tail(&mut self) -> io::Result<()> {
        let len = File::open(&self.path)?.metadata()?.len();
        self.read_bytes = len.saturating_sub(MAX_TAIL_BYTES);
        Ok(())
    }

    /// The lines that are whole since the last look. A log that became shorter was begun anew.
    fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.read_bytes {
            self.read_bytes = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.read_bytes += bytes.len() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines = self.rest[..whole].lines().map(str::to_owned).collect();
        self.rest.drain(..whole);
        Ok(lines)
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let message = format!("cannot read {}: {error}", self.path.display());
        Failure::new(Code::NotFound, message).hint("chronikctl cluster up")
    }
}

fn show(format: Format, node: usize, lines: &[String]) -> Result<(), ReaderGone> {
    let line = |line: &String| match format {
        Format::Jsonl => {
            let said: Value = serde_json::from_str(line).unwrap_or_else(|_| line.as_str().into());
            format!("{}\n", json!({ "node": node, "line": said }))
        }
        Format::Tsv => format!("{node}\t{line}\n"),
        _ => format!("node {node} | {line}\n"),
    };
    print(&lines.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_once_and_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut log = Log {
            node: 1,
            path: file.path().to_owned(),
            read_bytes: 0,
            rest: String::new(),
        };
        write!(file, "one\ntw").unwrap();
        assert_eq!(log.lines().unwrap(), ["one"]);
        assert_eq!(log.lines().unwrap(), Vec::<String>::new());
        writeln!(file, "o").unwrap();
        assert_eq!(log.lines().unwrap(), ["two"]);
        file.as_file().set_len(0).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        writeln!(file, "3").unwrap();
        assert_eq!(log.lines().unwrap(), ["3"]);
    }
}
