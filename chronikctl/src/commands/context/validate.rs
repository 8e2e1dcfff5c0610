//! `chronikctl context validate`: whether everything that a context says is so.

use chronik_admin::client::Client;
use chronik_admin::v1::NodeStatusRequest;
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Kind;
use crate::exit::Verdict;
use crate::kafka::Kafka;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone};
use crate::session::Session;

/// Every address of a context, and what came of asking it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ContextCheck {
    context: String,
    /// Pinned, or else what the first address says.
    cluster_id: Option<String>,
    addresses: Vec<Address>,
}

#[derive(Serialize, JsonSchema)]
struct Address {
    /// admin or kafka.
    door: &'static str,
    address: String,
    /// The cluster that answers there.
    cluster_id: Option<String>,
    /// Why it is not what it should be.
    error: Option<String>,
}

pub(super) async fn run(session: &Session) -> Answer {
    let context = &session.settings.context;
    let admin = join_all(context.admin.iter().map(|address| admin(session, address))).await;
    let kafka = join_all(
        context
            .bootstrap
            .iter()
            .map(|address| kafka(session, address)),
    )
    .await;
    let mut addresses: Vec<Address> = admin.into_iter().chain(kafka).collect();
    let found = addresses.iter().find_map(|one| one.cluster_id.clone());
    let cluster_id = context.cluster_id.clone().or(found);
    for one in &mut addresses {
        if let (Some(expected), Some(present)) = (&cluster_id, &one.cluster_id)
            && expected != present
        {
            one.error = Some(format!("another cluster answers: {present}"));
        }
    }
    let checked = ContextCheck {
        context: context.name.clone(),
        cluster_id,
        addresses,
    };
    told(&checked, context.kind)
}

async fn admin(session: &Session, address: &str) -> Address {
    let ask = async {
        let client = Client::connect(address, session.settings.bounds).await?;
        client
            .bounded(client.node().status(NodeStatusRequest {}))
            .await
    };
    let (cluster_id, error) = match ask.await {
        Ok(status) if status.cluster_id.is_empty() => {
            (None, Some("it belongs to no cluster yet".to_owned()))
        }
        Ok(status) => (Some(status.cluster_id), None),
        Err(error) => (None, Some(error.message)),
    };
    Address {
        door: "admin",
        address: address.to_owned(),
        cluster_id,
        error,
    }
}

async fn kafka(session: &Session, address: &str) -> Address {
    let asked = [address.to_owned()];
    let (cluster_id, error) = match Kafka::connect(&asked, session.settings.bounds).await {
        Ok(kafka) => (Some(kafka.cluster_id), None),
        Err(failure) => (None, Some(failure.error.message)),
    };
    Address {
        door: "kafka",
        address: address.to_owned(),
        cluster_id,
        error,
    }
}

fn told(checked: &ContextCheck, kind: Kind) -> Answer {
    let columns = [
        Column::text("door"),
        Column::text("address"),
        Column::text("verdict"),
        Column::text("cluster").wide(),
    ];
    let mut table = Table::new(&columns);
    for one in &checked.addresses {
        let verdict = match &one.error {
            None => Cell::toned(Tone::Good, "ok"),
            Some(error) => Cell::toned(Tone::Bad, format!("WRONG: {error}")),
        };
        table.row(vec![
            one.door.into(),
            one.address.as_str().into(),
            verdict,
            Cell::maybe(one.cluster_id.as_ref()),
        ]);
    }
    let name = &checked.context;
    let wrong = checked.addresses.iter().filter(|one| one.error.is_some());
    let (tone, line) = match (wrong.count(), checked.addresses.len()) {
        (_, 0) => (Tone::Bad, format!("context {name} has NO ADDRESSES")),
        (0, count) => (
            Tone::Good,
            format!("context {name}: {count} addresses as they should be"),
        ),
        (wrong, count) => (
            Tone::Bad,
            format!("context {name}: {wrong} of {count} addresses are WRONG"),
        ),
    };
    let cluster_id = checked.cluster_id.as_deref().unwrap_or_default();
    let mut answer = Answer::of("ContextCheck", cluster_id, checked);
    answer.rows = Rows::Of("addresses");
    if tone == Tone::Bad {
        answer.verdict = Verdict::No;
    }
    answer.headlines.push((tone, line));
    if kind == Kind::Kafka {
        let line = "its type is kafka: only topic, group, produce and consume work".to_owned();
        answer.footers.push((Tone::Dim, line));
    }
    answer.tables.push(table);
    answer
}
