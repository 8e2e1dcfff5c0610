//! `chronikctl raft member`: who takes part in a group, with the quorum before and after.

use std::time::{Duration, Instant};

use chronik_admin::Code;
use chronik_admin::client::Client;
use chronik_admin::v1::{self, ChangeMemberRequest, Expect, Quorum, RaftGroup};
use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::sleep;

use super::{leader, status};
use crate::cli::Consent;
use crate::commands::rebalance::{Patience, carry, listed};
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, Tone, note};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Gives a group another replica, which votes once it has caught up
    #[command(
        after_help = "Examples:\n  chronikctl raft member add 4 --group orders/3 --dry-run\n  chronikctl raft member add 4 --group orders/3 --yes"
    )]
    Add(Args),
    /// Gives a vote to a node that only learns, as nodes do that joined the metadata group later
    #[command(after_help = "Examples:\n  chronikctl raft member promote 4 --group meta --yes")]
    Promote(Args),
    /// Takes a replica away from a group; of the metadata group, the vote
    #[command(after_help = "Examples:\n  chronikctl raft member remove 2 --group orders/3 --yes")]
    Remove(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's number
    node: u64,
    /// The group: meta, TOPIC/PARTITION, or its number
    #[arg(short, long, value_name = "G")]
    group: String,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    consent: Consent,
}

/// Other members of a group, as it turned out.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemberChange {
    #[serde(flatten)]
    change: v1::MemberChange,
    /// Every node that answers says that exactly these vote.
    verified: bool,
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(session: &Session, member: &Member) -> Result<Answer, Failure> {
    match member {
        Member::Add(args) => change(session, "add", args).await,
        Member::Promote(args) => change(session, "promote", args).await,
        Member::Remove(args) => change(session, "remove", args).await,
    }
}

async fn change(session: &Session, word: &str, args: &Args) -> Result<Answer, Failure> {
    let (client, status) = status::ask(session, &args.group, true).await?;
    session.check_cluster(&status.cluster_id)?;
    let mut request = ChangeMemberRequest {
        group: args.group.clone(),
        node_id: args.node,
        change: word.to_owned(),
        expect: Some(Expect {
            cluster_id: Some(status.cluster_id.clone()),
            term: None,
        }),
        dry_run: true,
        request_id: String::new(),
    };
    let planned = send(&client, request.clone()).await?;
    let before = planned.before.clone().unwrap_or_default();
    let after = planned.after.clone().unwrap_or_default();
    let action = format!("{word} node {} in {}", args.node, planned.group);
    let mut plan = Plan::new(session, &status.cluster_id, action);
    plan.look_with = format!("chronikctl raft status --group {}", planned.group);
    let quorum = format!(
        "{} of {} voters answer, {} are needed",
        after.alive,
        after.voters.len(),
        after.needed
    );
    plan.check("QUORUM", after.alive >= after.needed, quorum);
    plan.change(arithmetic(&before, &after));
    plan.change(format!(
        "voters of {}: nodes {} -> {}",
        planned.group,
        listed(&before.voters),
        listed(&after.voters)
    ));
    request.dry_run = false;
    request.request_id.clone_from(&plan.request_id);
    let act = act(session, &client, request, &args.patience);
    mutate::carry_out(session, &args.consent, plan, act).await
}

async fn send(client: &Client, request: ChangeMemberRequest) -> Result<v1::MemberChange, Failure> {
    let mut raft = client.raft();
    Ok(client.bounded(raft.change_member(request)).await?)
}

async fn act(
    session: &Session,
    client: &Client,
    request: ChangeMemberRequest,
    patience: &Patience,
) -> Result<Answer, Failure> {
    let cluster_id = request.expect.clone().and_then(|expect| expect.cluster_id);
    let cluster_id = cluster_id.unwrap_or_default();
    let change = send(client, request).await?;
    let look = format!("chronikctl raft status --group {}", change.group);
    if patience.no_wait {
        note(&look);
        return Ok(told(&cluster_id, change, Outcome::NotAwaited));
    }
    let wanted = change.after.clone().unwrap_or_default().voters;
    let deadline = Instant::now() + patience.within;
    loop {
        let is_so = match is_over(session, &change, &wanted).await {
            Ok(is_over) => is_over,
            // Nodes that do not answer for a while are waited for.
            Err(failure) if failure.error.retryable => false,
            Err(failure) => return Err(failure),
        };
        match (is_so, Instant::now() >= deadline) {
            (true, _) => return Ok(told(&cluster_id, change, Outcome::Verified)),
            (false, true) => return Ok(told(&cluster_id, change, Outcome::Late)),
            (false, false) => sleep(LOOK_EVERY).await,
        }
    }
}

/// What became of an order.
enum Outcome {
    Verified,
    Late,
    NotAwaited,
}

/// Whether a change is done, and the cluster takes another one.
async fn is_over(
    session: &Session,
    change: &v1::MemberChange,
    wanted: &[u64],
) -> Result<bool, Failure> {
    let group = look_at(session, &change.group).await?;
    match (consists_of(&group, wanted), change.operation_id) {
        // The catalog hears of it last.
        (true, Some(id)) => Ok(carry::look(session, id).await?.moves.is_empty()),
        (is_so, _) => Ok(is_so),
    }
}

async fn look_at(session: &Session, group: &str) -> Result<RaftGroup, Failure> {
    let (_, mut status) = status::ask(session, group, true).await?;
    let missing = || Failure::new(Code::NotFound, format!("no node knows {group}"));
    status.groups.pop().ok_or_else(missing)
}

/// Whether exactly these vote, in the words of the leader and of everybody who answers.
fn consists_of(group: &RaftGroup, wanted: &[u64]) -> bool {
    let is_same = |voters: &[u64]| {
        voters.len() == wanted.len() && voters.iter().all(|voter| wanted.contains(voter))
    };
    let takes_part = |node: u64| wanted.contains(&node);
    let mut views = group.views.iter();
    let agree = views.all(|view| {
        !view.reachable
            || !takes_part(view.node_id)
            || (view.outgoing.is_empty() && is_same(&view.voters))
    });
    agree && leader(group).is_some_and(|leader| takes_part(leader.node_id))
}

fn arithmetic(before: &Quorum, after: &Quorum) -> String {
    let failures = |quorum: &Quorum| match quorum.tolerates {
        1 => "1 failure".to_owned(),
        count => format!("{count} failures"),
    };
    format!(
        "voters {} -> {}, needed {} -> {}, tolerates {} -> {}",
        before.voters.len(),
        after.voters.len(),
        before.needed,
        after.needed,
        before.tolerates,
        failures(after)
    )
}

fn told(cluster_id: &str, change: v1::MemberChange, outcome: Outcome) -> Answer {
    let after = change.after.clone().unwrap_or_default();
    let before = change.before.clone().unwrap_or_default();
    let group = &change.group;
    let voters = listed(&after.voters);
    let (tone, line) = match outcome {
        Outcome::Verified => (
            Tone::Good,
            format!("{group}: nodes {voters} vote, and no others"),
        ),
        Outcome::Late => (
            Tone::Bad,
            format!("NOT VERIFIED: {group} is on its way to nodes {voters} still"),
        ),
        Outcome::NotAwaited => (
            Tone::Plain,
            format!("{group} is on its way to nodes {voters}"),
        ),
    };
    let changed = MemberChange {
        verified: matches!(outcome, Outcome::Verified),
        change: change.clone(),
    };
    let mut answer = Answer::of("MemberChange", cluster_id, &changed);
    answer.headlines.push((tone, line));
    answer
        .footers
        .push((Tone::Plain, arithmetic(&before, &after)));
    if matches!(outcome, Outcome::Late) {
        answer.verdict = Verdict::No;
    }
    answer
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::RaftView;

    use super::*;

    #[test]
    fn a_change_is_over_once_everybody_says_so() {
        let view = |node_id, role: &str, voters: &[u64]| RaftView {
            node_id,
            reachable: true,
            role: role.to_owned(),
            voters: voters.to_vec(),
            ..RaftView::default()
        };
        let mut group = RaftGroup {
            views: vec![
                view(1, "leader", &[1, 2, 4]),
                view(2, "follower", &[1, 2, 4]),
                view(4, "follower", &[1, 2, 4]),
                // Who left says what it heard last.
                view(3, "absent", &[1, 2, 3]),
            ],
            ..RaftGroup::default()
        };
        assert!(consists_of(&group, &[4, 1, 2]));
        group.views[1].voters = vec![1, 2, 3];
        assert!(!consists_of(&group, &[1, 2, 4]));
        group.views[1].reachable = false;
        assert!(consists_of(&group, &[1, 2, 4]));
        group.views[0].outgoing = vec![3];
        assert!(!consists_of(&group, &[1, 2, 4]));
    }
}
