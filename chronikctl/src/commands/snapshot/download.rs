//! `chronikctl snapshot download`: a copy of the file here, compared with what the node says of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chronik_admin::Code;
use chronik_admin::v1::SnapshotDownloadRequest;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::name::{self, Kept, Name};
use crate::exit::Failure;
use crate::output::{Answer, Tone, bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// NODE/NUMBER as in `snapshot list`
    #[arg(value_parser = name::parse_kept)]
    snapshot: Name,
    /// Where to, instead of a file in this folder that is named after the snapshot
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A copy of a snapshot.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Downloaded {
    node_id: u64,
    snapshot_id: u64,
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let Name::Kept { node, id } = args.snapshot else {
        unreachable!("a file is refused when the line is read")
    };
    let kept = name::find(session, node, id).await?;
    let own_name = || PathBuf::from(format!("chronik-{}-{id}.snap", kept.node));
    let path = args.to.clone().unwrap_or_else(own_name);
    if path.exists() {
        let message = format!("{} is there already", path.display());
        return Err(
            Failure::new(Code::AlreadyExists, message).hint("choose another file with --to")
        );
    }
    let unfinished = path.with_added_extension("part");
    let copied = copy(session, &kept, &unfinished).await;
    let copied = copied.and_then(|copied| {
        publish(&unfinished, &path).map_err(|error| failed(&path, &error))?;
        Ok(copied)
    });
    let (length, sha256) = copied.inspect_err(|_| {
        // What is half a copy is none.
        _ = fs::remove_file(&unfinished);
    })?;
    let downloaded = Downloaded {
        node_id: kept.node,
        snapshot_id: id,
        bytes: length,
        sha256,
        path,
    };
    let mut answer = Answer::of("SnapshotDownloaded", &kept.cluster_id, &downloaded);
    let line = format!(
        "{}: {}, sha256 {}",
        downloaded.path.display(),
        bytes(length),
        downloaded.sha256
    );
    answer.headlines.push((Tone::Good, line));
    Ok(answer)
}

/// Its length and its checksum, which is the one that the node told.
async fn copy(session: &Session, kept: &Kept, to: &Path) -> Result<(u64, String), Failure> {
    let request = SnapshotDownloadRequest {
        node_id: kept.node,
        snapshot_id: kept.file.snapshot_id,
    };
    let mut snapshots = kept.client.snapshots();
    let mut chunks = kept.client.bounded(snapshots.download(request)).await?;
    let bound = session.settings.bounds.call;
    let mut file = File::create(to).map_err(|error| failed(to, &error))?;
    let (mut length, mut hash) = (0, Sha256::new());
    loop {
        let chunk = timeout(bound, chunks.message()).await.map_err(|_| {
            let message = format!("nothing more came within {bound:?}");
            Failure::new(Code::Deadline, message)
        })?;
        let Some(chunk) = chunk.map_err(chronik_admin::AdminError::from)? else {
            break;
        };
        file.write_all(&chunk.data)
            .map_err(|error| failed(to, &error))?;
        hash.update(&chunk.data);
        length += chunk.data.len() as u64;
    }
    file.sync_all().map_err(|error| failed(to, &error))?;
    let sha256 = hex(&hash.finalize());
    if !kept.file.sha256.is_empty() && sha256 != kept.file.sha256 {
        let message = format!(
            "the copy of {} differs from what its node says",
            kept.name()
        );
        return Err(Failure::new(Code::Internal, message)
            .hint(format!("chronikctl snapshot verify {}", kept.name())));
    }
    Ok((length, sha256))
}

fn publish(unfinished: &Path, path: &Path) -> io::Result<()> {
    fs::rename(unfinished, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::Internal,
        format!("cannot write {}: {error}", path.display()),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
