//! The way to the cluster: tasks that ask again and again, and hand on what they hear. The view never waits for them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use chronik_admin::client::Client;
use chronik_admin::v1::{
    ClusterView, ClusterViewRequest, EventsRequest, OperationsRequest, RaftStatusRequest,
    TopicListRequest,
};
use chronik_admin::{AdminError, Code};
use futures_util::StreamExt;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::action::Action;
use super::data::{Data, GroupRow, News, PositionRow};
use super::state::Event;
use crate::cli::Consent;
use crate::clock;
use crate::commands::group::{describe, list};
use crate::commands::snapshot::{self, Patience};
use crate::commands::{events, node, raft, rebalance};
use crate::exit::Failure;
use crate::mutate::CHANGE;
use crate::output::Tone;
use crate::session::Session;

/// What the view tells its tasks.
#[derive(Debug)]
pub(super) struct Wants {
    pub(super) interval: Cell<Duration>,
    /// Consumer groups cost many questions: they are asked for while somebody looks.
    pub(super) groups: Cell<bool>,
}

/// After a failure the pause grows up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const GROUPS_EVERY: Duration = Duration::from_secs(2);
/// Groups that are described; more would be asked for too long.
const MOST_GROUPS: usize = 100;
/// What happened before the view began.
pub(super) const EVENTS_WITHIN: Duration = Duration::from_secs(3600);
/// Events that come together are shown together.
const GATHER: Duration = Duration::from_millis(50);
const MOST_AT_ONCE: usize = 500;

/// Polls until the view has gone. There is never more than one poll under way.
pub(super) async fn poll_all(session: Rc<Session>, wants: Rc<Wants>, out: Sender<Event>) {
    let mut link = None;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let news = poll(&session, &mut link).await;
        let rest = match &news {
            News::Failed(_) => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                pause / 2
            }
            _ => {
                pause = SHORTEST_PAUSE;
                wants.interval.get()
            }
        };
        if out.send(Event::News(news)).await.is_err() {
            return;
        }
        sleep(rest).await;
    }
}

/// One look at everything; a connection that has served is used again.
pub(super) async fn poll(session: &Session, link: &mut Option<Client>) -> News {
    if let Some(client) = link.take()
        && let Ok(data) = ask(&client).await
    {
        *link = Some(client);
        return News::Polled(Box::new(data));
    }
    // The node may have closed it for its age: that is no news.
    match connect(session).await {
        Ok((client, data)) => {
            *link = Some(client);
            News::Polled(Box::new(data))
        }
        Err(failure) => News::Failed(failure.error.message),
    }
}

/// The first look, or why there is none.
pub(super) async fn connect(session: &Session) -> Result<(Client, Data), Failure> {
    let (client, data) = session
        .ask(|client| async move { ask(&client).await })
        .await?;
    session.check_cluster(&data.cluster.cluster_id)?;
    Ok((client, data))
}

async fn ask(client: &Client) -> Result<Data, AdminError> {
    let (mut cluster, mut raft) = (client.cluster(), client.raft());
    let (mut topics, mut placement) = (client.topics(), client.placement());
    let view = client.bounded(cluster.view(ClusterViewRequest {}));
    let status = client.bounded(raft.status(RaftStatusRequest {
        group: String::new(),
        all: true,
    }));
    let list = client.bounded(topics.list(TopicListRequest { internal: true }));
    let operations = client.bounded(placement.operations(OperationsRequest { operation_id: None }));
    let (view, status, list, operations) = tokio::join!(view, status, list, operations);
    let view: ClusterView = view?;
    Ok(Data {
        at_ms: clock::wall_ms(),
        cluster: view,
        raft: status?,
        topics: list?,
        operations: operations?,
    })
}

/// Consumer groups by Kafka's protocol, while somebody looks at them.
pub(super) async fn poll_groups(session: Rc<Session>, wants: Rc<Wants>, out: Sender<Event>) {
    loop {
        if wants.groups.get()
            && let Ok(groups) = groups(&session).await
            && out.send(Event::News(News::Groups(groups))).await.is_err()
        {
            return;
        }
        sleep(GROUPS_EVERY).await;
    }
}

pub(super) async fn groups(session: &Session) -> Result<Vec<GroupRow>, Failure> {
    let mut kafka = session.kafka().await?;
    let (known, _) = list::read(&mut kafka).await;
    let mut rows = Vec::new();
    for summary in known.iter().take(MOST_GROUPS) {
        // One that has gone meanwhile is missing, as it should be.
        let Ok(group) = describe::read(&mut kafka, &summary.group).await else {
            continue;
        };
        let positions = group.partitions.iter().map(|position| PositionRow {
            partition: format!("{}/{}", position.topic, position.partition),
            committed: position.committed,
            end: position.end,
            lag: position.lag,
            below_start: position.below_start,
        });
        rows.push(GroupRow {
            group: group.group.clone(),
            state: group.state.clone(),
            members: group.members.len() as u64,
            coordinator: group.coordinator,
            lag: group.total_lag,
            committed: group.partitions.iter().map(|one| one.committed).sum(),
            partitions: positions.collect(),
        });
    }
    Ok(rows)
}

/// Events, from a while ago on; another node goes on where one ends.
pub(super) async fn follow_events(session: Rc<Session>, out: Sender<Event>) {
    let within_ms = u64::try_from(EVENTS_WITHIN.as_millis()).unwrap_or(u64::MAX);
    let mut request = EventsRequest {
        within_ms,
        after_ms: 0,
    };
    loop {
        if let Ok(mut stream) = events::open(&session, request).await {
            while let Some(Ok(first)) = stream.next().await {
                let mut gathered = vec![first];
                while gathered.len() < MOST_AT_ONCE
                    && let Ok(Some(Ok(next))) = timeout(GATHER, stream.next()).await
                {
                    gathered.push(next);
                }
                let last = gathered.iter().map(|event| event.at_ms).max();
                request = EventsRequest {
                    within_ms: 0,
                    after_ms: last.unwrap_or(request.after_ms),
                };
                if out
                    .send(Event::News(News::Happened(gathered)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
        sleep(SHORTEST_PAUSE).await;
    }
}

/// What an action would do, by the path of the command that does the same.
pub(super) async fn plan(session: Rc<Session>, action: Action, out: Sender<Event>) {
    let lines = planned(&session, &action).await;
    let plan = lines.map_err(|failure| told(&failure));
    // The view may have been closed meanwhile.
    _ = out.send(Event::Planned(action, plan)).await;
}

async fn planned(session: &Session, action: &Action) -> Result<Vec<(Tone, String)>, Failure> {
    let consent = Consent {
        dry_run: true,
        ..Consent::default()
    };
    let answer = carry_out(session, action, consent).await?;
    Ok([answer.headlines, answer.footers].concat())
}

/// The cluster may have changed while somebody read: then the command would do something else than what was confirmed.
async fn check(
    session: &Session,
    action: &Action,
    confirmed: &[(Tone, String)],
) -> Result<(), Failure> {
    let now = planned(session, action).await?;
    let is_change = |(_, line): &&(Tone, String)| line.starts_with(CHANGE);
    match now
        .iter()
        .filter(is_change)
        .eq(confirmed.iter().filter(is_change))
    {
        true => Ok(()),
        false => Err(Failure::new(
            Code::Stale,
            "nothing was changed: the plan is another one now; A shows it",
        )),
    }
}

/// Does what was confirmed.
pub(super) async fn act(
    session: Rc<Session>,
    action: Action,
    confirmed: Vec<(Tone, String)>,
    out: Sender<Event>,
) {
    // The person has seen the plan, and typed the name where the context wants it.
    let consent = Consent {
        dry_run: false,
        yes: true,
        confirm: Some(session.settings.context.name.clone()),
        ..Consent::default()
    };
    let session = Session {
        settings: session.settings.clone(),
        instead: Some(action.command()),
    };
    let outcome = match check(&session, &action, &confirmed).await {
        Ok(()) => carry_out(&session, &action, consent).await,
        Err(failure) => Err(failure),
    };
    let done = match outcome {
        Ok(answer) => {
            let lines: Vec<&str> = answer
                .headlines
                .iter()
                .map(|(_, line)| line.as_str())
                .collect();
            match answer.verdict.code() {
                0 => Ok(lines.join("; ")),
                _ => Err(lines.join("; ")),
            }
        }
        Err(failure) => Err(told(&failure)),
    };
    _ = out.send(Event::Done(done)).await;
}

async fn carry_out(
    session: &Session,
    action: &Action,
    consent: Consent,
) -> Result<crate::output::Answer, Failure> {
    match action {
        Action::StepDown { group } => raft::hand_over(session, group, None, consent).await,
        Action::Transfer { group, to } => raft::hand_over(session, group, Some(*to), consent).await,
        Action::Drain { node } => node::drain_now(session, *node, consent).await,
        Action::Undrain { node } => node::fill_now(session, *node, consent).await,
        Action::SnapshotGroup { group } => {
            let patience = Patience::none(consent);
            snapshot::create(session, None, Some(group), &patience).await
        }
        Action::SnapshotNode { node } => {
            let patience = Patience::none(consent);
            snapshot::create(session, Some(*node), None, &patience).await
        }
        Action::Rebalance => rebalance::balance_now(session, consent).await,
        Action::Throttle { rate } => rebalance::throttle_now(session, *rate, consent).await,
        Action::Pause { operation } => rebalance::pause_now(session, *operation, consent).await,
        Action::Resume { operation } => rebalance::resume_now(session, *operation, consent).await,
        Action::Cancel { operation } => rebalance::cancel_now(session, *operation, consent).await,
        Action::RollBack { operation } => {
            rebalance::roll_back_now(session, *operation, consent).await
        }
    }
}

fn told(failure: &Failure) -> String {
    match failure.error.hint.as_str() {
        "" => failure.error.message.clone(),
        hint => format!("{}  (next: {hint})", failure.error.message),
    }
}
