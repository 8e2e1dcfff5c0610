//! `chronikctl snapshot verify`: whether a snapshot can be trusted, on a node or in a file.

use chronik_admin::v1::{SnapshotVerification, SnapshotVerifyRequest};

use super::name::{self, Name};
use super::server::Anywhere;
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Table, Tone, bytes};
use crate::session::Session;

const COLUMNS: [Column; 3] = [
    Column::text("check"),
    Column::text("result"),
    Column::text("what"),
];

pub(super) async fn run(session: &Session, args: &Anywhere) -> Result<Answer, Failure> {
    match &args.snapshot {
        Name::File(file) => {
            let verification = args.program.verify(session, file).await?;
            Ok(told("", &file.display().to_string(), &verification))
        }
        Name::Kept { node, id } => {
            let kept = name::find(session, *node, *id).await?;
            let request = SnapshotVerifyRequest {
                node_id: kept.node,
                snapshot_id: *id,
            };
            let mut snapshots = kept.client.snapshots();
            let verification = kept.client.bounded(snapshots.verify(request)).await?;
            Ok(told(&kept.cluster_id, &kept.name(), &verification))
        }
    }
}

fn told(cluster_id: &str, name: &str, verification: &SnapshotVerification) -> Answer {
    let mut answer = Answer::of("SnapshotVerification", cluster_id, verification);
    let mut table = Table::new(&COLUMNS);
    for check in &verification.checks {
        let result = match check.passed {
            true => Cell::toned(Tone::Good, "ok"),
            false => Cell::toned(Tone::Bad, "FAILED"),
        };
        table.row(vec![
            check.name.as_str().into(),
            result,
            check.message.as_str().into(),
        ]);
    }
    answer.tables.push(table);
    let (tone, line) = match verification.sound {
        true => (
            Tone::Good,
            format!(
                "{name} is sound: {}, sha256 {}",
                bytes(verification.bytes),
                verification.sha256
            ),
        ),
        false => (Tone::Bad, format!("{name} cannot be trusted")),
    };
    answer.headlines.push((tone, line));
    if !verification.sound {
        answer.verdict = Verdict::No;
    }
    answer
}
