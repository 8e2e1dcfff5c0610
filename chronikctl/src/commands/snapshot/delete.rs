//! `chronikctl snapshot delete`: the file goes for good.

use chronik_admin::client::Client;
use chronik_admin::v1::{Expect, SnapshotDeleteRequest, SnapshotDeleted};

use super::name::{self, Name};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone, bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// NODE/NUMBER as in `snapshot list`
    #[arg(value_parser = name::parse_kept)]
    snapshot: Name,
    #[command(flatten)]
    consent: Consent,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let Name::Kept { node, id } = args.snapshot else {
        unreachable!("a file is refused when the line is read")
    };
    let kept = name::find(session, node, id).await?;
    let name = kept.name();
    let action = format!("delete snapshot {name}");
    let mut plan = Plan::new(session, &kept.cluster_id, action);
    plan.look_with = "chronikctl snapshot list".to_owned();
    plan.change(format!(
        "node {} has {} more",
        kept.node,
        bytes(kept.file.bytes)
    ));
    plan.change("what nobody downloaded cannot be brought back");
    let mut request = SnapshotDeleteRequest {
        node_id: kept.node,
        snapshot_id: id,
        expect: Some(Expect {
            cluster_id: Some(kept.cluster_id.clone()),
            term: None,
        }),
        dry_run: true,
        request_id: plan.request_id.clone(),
    };
    // One that is being made is refused before anybody is asked.
    order(&kept.client, &request).await?;
    request.dry_run = false;
    let act = async {
        let deleted = order(&kept.client, &request).await?;
        let mut answer = Answer::of("SnapshotDeleted", &kept.cluster_id, &deleted);
        let line = format!("{name} is gone, {} are free", bytes(deleted.freed_bytes));
        answer.headlines.push((Tone::Good, line));
        Ok(answer)
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn order(
    client: &Client,
    request: &SnapshotDeleteRequest,
) -> Result<SnapshotDeleted, Failure> {
    let mut snapshots = client.snapshots();
    Ok(client.bounded(snapshots.delete(request.clone())).await?)
}
