//! `chronikctl snapshot inspect`: what is in a snapshot, on a node or in a file.

use chronik_admin::v1::{SnapshotContent, SnapshotInspectRequest};

use super::name::{self, Name};
use super::server::Anywhere;
use crate::clock;
use crate::exit::Failure;
use crate::output::{Answer, Column, Table, Tone, bytes, plural};
use crate::session::Session;

const COLUMNS: [Column; 9] = [
    Column::text("group"),
    Column::number("index"),
    Column::number("term"),
    Column::number("start"),
    Column::number("end"),
    Column::number("producers"),
    Column::number("consumers"),
    Column::number("size"),
    Column::number("id").wide(),
];

pub(super) async fn run(session: &Session, args: &Anywhere) -> Result<Answer, Failure> {
    let content = match &args.snapshot {
        Name::File(file) => args.program.inspect(session, file).await?,
        Name::Kept { node, id } => {
            let kept = name::find(session, *node, *id).await?;
            let request = SnapshotInspectRequest {
                node_id: kept.node,
                snapshot_id: *id,
            };
            let mut snapshots = kept.client.snapshots();
            kept.client.bounded(snapshots.inspect(request)).await?
        }
    };
    Ok(told(&content))
}

fn told(content: &SnapshotContent) -> Answer {
    let mut answer = Answer::of("SnapshotContent", &content.cluster_id, content);
    let file = content.file.clone().unwrap_or_default();
    let of = match &file.group {
        Some(group) => format!("group {group}"),
        None => format!(
            "{} with {}, {}, catalog version {}",
            plural(content.topics, "topic"),
            plural(content.partitions, "partition"),
            plural(content.consumer_groups, "consumer group"),
            content.catalog_version
        ),
    };
    answer.headlines.extend([
        (Tone::Strong, "state only: records are not in it".to_owned()),
        (Tone::Plain, of),
        (
            Tone::Plain,
            format!(
                "made {} by node {} (incarnation {}, version {}), {}",
                clock::rfc3339(file.snapshot_id),
                content.node_id,
                content.incarnation,
                content.version,
                bytes(file.bytes)
            ),
        ),
    ]);
    let mut table = Table::new(&COLUMNS);
    for group in &content.groups {
        table.row(vec![
            group.name.as_str().into(),
            group.index.into(),
            group.term.into(),
            group.start_offset.into(),
            group.end_offset.into(),
            group.producers.into(),
            group.consumer_groups.into(),
            bytes(group.bytes).into(),
            group.group_id.into(),
        ]);
    }
    answer.tables.push(table);
    answer
}
