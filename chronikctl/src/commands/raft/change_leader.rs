//! `chronikctl raft step-down` and `transfer`: plans with the leader, acts, and believes only what every node then says.

use std::time::{Duration, Instant};

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{
    self, Expect, RaftGroup, RaftHistoryRequest, StepDownRequest, TransferRequest,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::status;
use crate::cli::{Consent, duration};
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Cell, Column, Table, Tone, duration_ms};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct StepDown {
    /// The group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: String,
    #[command(flatten)]
    watched: Watched,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Transfer {
    /// The group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: String,
    /// The node that shall lead
    #[arg(long, value_name = "NODE")]
    to: u64,
    #[command(flatten)]
    watched: Watched,
}

/// What both take.
#[derive(Debug, clap::Args)]
struct Watched {
    /// Refuse if the group is in another term
    #[arg(long, value_name = "TERM")]
    expect_term: Option<u64>,
    /// How long the new leader is watched afterwards
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    settle: Duration,
    /// How long the change may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    within: Duration,
    #[command(flatten)]
    consent: Consent,
}

/// A change of leaders, as it turned out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct LeaderChange {
    group: String,
    group_id: u64,
    from: u64,
    to: Option<u64>,
    old_term: u64,
    new_term: u64,
    /// From the order to the moment at which a node said that it leads.
    took_ms: u64,
    /// For how long nobody led, as far as a node knows.
    leaderless_ms: Option<u64>,
    /// Every node that answers says the same.
    verified: bool,
    /// Further changes of the term while the new leader was watched.
    further_elections: u64,
    /// The group as each node sees it now.
    views: Vec<View>,
}

/// What one node says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct View {
    node_id: u64,
    reachable: bool,
    role: String,
    term: u64,
    leader: Option<u64>,
}

/// The order itself, to be given as often as it takes.
struct Order {
    group: String,
    to: Option<u64>,
    expect: Expect,
    request_id: String,
}

/// Between two looks at the group.
const LOOK_EVERY: Duration = Duration::from_millis(10);

const COLUMNS: [Column; 4] = [
    Column::number("node"),
    Column::text("role"),
    Column::number("term"),
    Column::number("leader"),
];

pub(super) async fn step_down(session: &Session, args: &StepDown) -> Result<Answer, Failure> {
    change(session, &args.group, None, &args.watched).await
}

pub(super) async fn transfer(session: &Session, args: &Transfer) -> Result<Answer, Failure> {
    change(session, &args.group, Some(args.to), &args.watched).await
}

/// The same for another face of this program, with its defaults.
pub(crate) async fn hand_over(
    session: &Session,
    group: &str,
    to: Option<u64>,
    consent: Consent,
) -> Result<Answer, Failure> {
    let watched = Watched {
        expect_term: None,
        settle: Duration::from_secs(1),
        within: Duration::from_secs(30),
        consent,
    };
    change(session, group, to, &watched).await
}

async fn change(
    session: &Session,
    group: &str,
    to: Option<u64>,
    watched: &Watched,
) -> Result<Answer, Failure> {
    let (client, status) = status::ask(session, group, true).await?;
    session.check_cluster(&status.cluster_id)?;
    let now = only(&status.groups, group)?;
    let term = watched.expect_term.unwrap_or(now.term);
    let mut order = Order {
        group: group.to_owned(),
        to,
        expect: Expect {
            cluster_id: Some(status.cluster_id.clone()),
            term: Some(term),
        },
        request_id: String::new(),
    };
    let planned = send(&client, &order, true).await?;
    let action = format!(
        "move the leader of {} from node {} to node {}",
        planned.group, planned.from, planned.to
    );
    let mut plan = Plan::new(session, &status.cluster_id, action);
    plan.look_with = format!("chronikctl raft status --group {group}");
    order.request_id.clone_from(&plan.request_id);
    plan.check("TERM", true, format!("the group is in term {term}"));
    plan.check(
        "QUORUM",
        true,
        format!(
            "{} of {} voters are there",
            planned.voters_alive, planned.voters
        ),
    );
    plan.check(
        "TARGET_CAUGHT_UP",
        true,
        format!("node {} lacks {} entries", planned.to, planned.lag_entries),
    );
    plan.change(format!(
        "{}: leader node {} -> node {}, term {term} -> higher",
        planned.group, planned.from, planned.to
    ));
    let act = act(session, &client, &order, watched, &planned);
    mutate::carry_out(session, &watched.consent, plan, act).await
}

async fn act(
    session: &Session,
    client: &Client,
    order: &Order,
    watched: &Watched,
    planned: &v1::Transfer,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let sent = send(client, order, false).await?;
    let has_moved = |group: &RaftGroup| group.term > sent.term && group.leader.is_some();
    let deadline = begun + watched.within;
    let mut group = look(session, &order.group).await?;
    while !has_moved(&group) && Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
        group = look(session, &order.group).await?;
    }
    let took = begun.elapsed();
    // The followers of the new leader hear of it a moment later.
    while !agree(&group) && Instant::now() < deadline {
        sleep(LOOK_EVERY).await;
        group = look(session, &order.group).await?;
    }
    let settled_term = group.term;
    sleep(watched.settle).await;
    let after = look(session, &order.group).await?;
    let is_verified = has_moved(&after) && agree(&after);
    let leaderless_ms = leaderless(client, &order.group, after.term).await;
    let outcome = LeaderChange {
        group: after.name.clone(),
        group_id: after.group_id,
        from: sent.from,
        to: after.leader,
        old_term: sent.term,
        new_term: after.term,
        took_ms: took.as_millis() as u64,
        leaderless_ms,
        verified: is_verified,
        further_elections: after.term - settled_term,
        views: after.views.iter().map(view).collect(),
    };
    let mut answer = Answer::of(
        "LeaderChange",
        order.expect.cluster_id.as_deref().unwrap_or_default(),
        &outcome,
    );
    answer.headlines.push(headline(&outcome, planned.to));
    answer.tables.push(table(&outcome));
    let is_as_planned = match order.to {
        Some(to) => outcome.to == Some(to),
        None => outcome.to != Some(outcome.from),
    };
    if !is_verified || !is_as_planned {
        answer.verdict = Verdict::No;
    }
    Ok(answer)
}

/// What the nodes remember of the beginning of a term; whoever asks can do without.
async fn leaderless(client: &Client, group: &str, term: u64) -> Option<u64> {
    let request = RaftHistoryRequest {
        group: group.to_owned(),
        ..RaftHistoryRequest::default()
    };
    let mut raft = client.raft();
    let history = client.bounded(raft.history(request)).await.ok()?;
    let mut changes = history.changes.iter();
    let change = changes.find(|change| change.term == term && change.leader.is_some())?;
    change.leaderless_ms
}

/// Nobody who answers thinks otherwise.
fn agree(group: &RaftGroup) -> bool {
    let mut views = group
        .views
        .iter()
        .filter(|view| view.reachable && view.role != "absent");
    group.leader.is_some()
        && views.all(|view| view.leader == group.leader && view.term == group.term)
}

async fn look(session: &Session, group: &str) -> Result<RaftGroup, Failure> {
    let (_, status) = status::ask(session, group, true).await?;
    only(&status.groups, group).cloned()
}

async fn send(client: &Client, order: &Order, dry_run: bool) -> Result<v1::Transfer, Failure> {
    let mut raft = client.raft();
    let (group, request_id) = (order.group.clone(), order.request_id.clone());
    let expect = Some(order.expect.clone());
    let outcome = match order.to {
        None => {
            let request = StepDownRequest {
                group,
                expect,
                dry_run,
                request_id,
            };
            client.bounded(raft.step_down(request)).await
        }
        Some(to) => {
            let request = TransferRequest {
                group,
                to,
                expect,
                dry_run,
                request_id,
            };
            client.bounded(raft.transfer(request)).await
        }
    };
    Ok(outcome?)
}

fn only<'a>(groups: &'a [RaftGroup], name: &str) -> Result<&'a RaftGroup, Failure> {
    let missing = || Failure::new(Code::NotFound, format!("no node knows {name}"));
    groups.first().ok_or_else(missing)
}

fn view(view: &v1::RaftView) -> View {
    View {
        node_id: view.node_id,
        reachable: view.reachable,
        role: view.role.clone(),
        term: view.term,
        leader: view.leader,
    }
}

fn headline(outcome: &LeaderChange, planned: u64) -> (Tone, String) {
    let LeaderChange {
        group,
        from,
        old_term,
        new_term,
        ..
    } = outcome;
    let leaderless = outcome.leaderless_ms.map(duration_ms);
    let leaderless = leaderless.map_or_else(String::new, |span| format!(", leaderless for {span}"));
    let took = format!("{}{leaderless}", duration_ms(outcome.took_ms));
    match outcome.to {
        Some(to) if outcome.verified => {
            let other = match to == planned {
                true => String::new(),
                false => format!(" (node {planned} was planned)"),
            };
            let further = match outcome.further_elections {
                0 => String::new(),
                count => format!("; {count} further elections"),
            };
            (
                Tone::Good,
                format!(
                    "{group}: leader node {from} -> node {to}{other}, term {old_term} -> {new_term}, in {took}{further}"
                ),
            )
        }
        to => {
            let now = to.map_or("nobody".to_owned(), |to| format!("node {to}"));
            (
                Tone::Bad,
                format!(
                    "NOT VERIFIED: {group} was led by node {from} in term {old_term}, and is led by {now} in term {new_term}"
                ),
            )
        }
    }
}

fn table(outcome: &LeaderChange) -> Table {
    let mut table = Table::new(&COLUMNS);
    for view in &outcome.views {
        let figure = |value: u64| match view.reachable {
            true => Cell::from(value),
            false => Cell::none(),
        };
        let role = match view.reachable {
            true => Cell::from(&view.role),
            false => Cell::toned(Tone::Bad, "UNREACHABLE"),
        };
        table.row(vec![
            view.node_id.into(),
            role,
            figure(view.term),
            Cell::maybe(view.leader),
        ]);
    }
    table
}
