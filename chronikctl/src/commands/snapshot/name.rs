//! What snapshots are called: `NODE/NUMBER`, a number that only one node has, or a file on this machine.

use std::path::PathBuf;

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::SnapshotFile;

use super::list;
use crate::exit::Failure;
use crate::session::Session;

/// A snapshot, or something like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Kept { node: Option<u64>, id: u64 },
    File(PathBuf),
}

/// A snapshot on a node, and the way to it.
pub(super) struct Kept {
    pub(super) client: Client,
    pub(super) cluster_id: String,
    pub(super) node: u64,
    pub(super) file: SnapshotFile,
}

/// For clap: any text is a name.
pub(super) fn parse(text: &str) -> Result<Name, String> {
    let (node, id) = match text.split_once('/') {
        Some((node, id)) => (node.parse().map(Some), id),
        None => (Ok(None), text),
    };
    Ok(match (node, id.parse()) {
        (Ok(node), Ok(id)) => Name::Kept { node, id },
        _ => Name::File(text.into()),
    })
}

/// For commands that have nothing to do with files here.
pub(super) fn parse_kept(text: &str) -> Result<Name, String> {
    match parse(text)? {
        Name::File(_) => Err(format!(
            "{text:?} is no snapshot of a node; they are called NODE/NUMBER, as in `snapshot list`"
        )),
        kept => Ok(kept),
    }
}

/// Finds the snapshot that somebody means.
pub(super) async fn find(session: &Session, node: Option<u64>, id: u64) -> Result<Kept, Failure> {
    let (client, list) = list::ask(session, node).await?;
    let look = "chronikctl snapshot list";
    let mut found = Vec::new();
    for row in &list.nodes {
        let file = row.snapshots.iter().find(|file| file.snapshot_id == id);
        found.extend(file.map(|file| (row.node_id, file)));
    }
    match found.as_slice() {
        [(node, file)] => Ok(Kept {
            client,
            cluster_id: list.cluster_id.clone(),
            node: *node,
            file: (*file).clone(),
        }),
        [(one, _), ..] => {
            let message =
                format!("several nodes have a snapshot {id}: say which, as in {one}/{id}");
            Err(Failure::usage(message).hint(look))
        }
        [] => match list.nodes.iter().find(|row| !row.reachable) {
            Some(silent) if node.is_none_or(|node| node == silent.node_id) => {
                let message = format!(
                    "node {} does not answer, and no other node has a snapshot {id}",
                    silent.node_id
                );
                Err(Failure::new(Code::Unreachable, message).hint(look))
            }
            _ => Err(Failure::new(Code::NotFound, format!("there is no snapshot {id}")).hint(look)),
        },
    }
}

impl Kept {
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.node, self.file.snapshot_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_snapshots_of_nodes_and_everything_else_is_a_file() {
        let kept = |node, id| Ok(Name::Kept { node, id });
        assert_eq!(parse("2/1795287340123"), kept(Some(2), 1_795_287_340_123));
        assert_eq!(parse("1795287340123"), kept(None, 1_795_287_340_123));
        for file in ["backup.snap", "./2/17", "2/x", "a/7", "/7"] {
            assert_eq!(parse(file), Ok(Name::File(file.into())));
        }
        assert!(
            parse_kept("backup.snap")
                .unwrap_err()
                .contains("NODE/NUMBER")
        );
    }
}
