//! What the evidence shows. Nothing here asks or waits.

use std::collections::{BTreeMap, BTreeSet};

use chronik_admin::v1::{RaftGroup, RaftView};

use super::evidence::{Evidence, OfNode};
use crate::clock;
use crate::commands::check;
use crate::commands::explain::{self, Cause};
use crate::commands::raft::{evidence, leader};
use crate::output::{bytes, duration_ms, plural};

/// Things that are named, of many.
const MOST_EXAMPLES: usize = 5;
/// A term that others have not heard of for so long is not on its way to them any more.
const TERM_SPREADS_WITHIN_MS: u64 = 10_000;
/// So many changes of leaders in the window are more than people and restarts make.
const MANY_ELECTIONS: usize = 5;
const ELECTIONS_WITHIN_MS: u64 = 10 * 60 * 1000;
/// Clocks that are farther apart confuse whoever compares logs, and retention by time.
const CLOCKS_APART_MS: u64 = 500;
/// A disk that is fuller is worth a thought.
const DISK_FILLS_PERCENT: u32 = 80;
const FILES_NEAR_LIMIT_PERCENT: u64 = 80;
const MEMORY_LOW_PERCENT: u64 = 5;

/// Everything that is wrong, or good to know.
pub(super) fn examine(evidence: &Evidence) -> Vec<Cause> {
    let looks: [fn(&Evidence) -> Vec<Cause>; 10] = [
        about_nodes,
        about_groups,
        contradictions,
        about_elections,
        about_clocks,
        about_configs,
        about_versions,
        about_moves,
        about_consumers,
        about_processes,
    ];
    looks.iter().flat_map(|look| look(evidence)).collect()
}

/// In the words of `explain node`, without what the groups say themselves.
fn about_nodes(evidence: &Evidence) -> Vec<Cause> {
    let view = &evidence.view;
    let mut causes = Vec::new();
    if view.cluster_id.is_empty() {
        let cause = Cause::new(
            "NO_CLUSTER",
            "the node that was asked belongs to no cluster",
        );
        causes.push(cause.next("chronikctl status"));
    }
    for row in &view.nodes {
        let own = explain::node_causes(row, view);
        let named = own.into_iter().map(|cause| Cause {
            message: match cause.message.strip_prefix("it ") {
                Some(rest) => format!("node {} {rest}", row.node_id),
                None => format!("node {}: {}", row.node_id, cause.message),
            },
            ..cause
        });
        causes.extend(named.filter(|cause| cause.code != "LEADERLESS"));
        let disk = row.status.as_ref().and_then(|status| status.disk.as_ref());
        let fills = disk.filter(|disk| {
            (DISK_FILLS_PERCENT + 1..=explain::DISK_FULL_PERCENT).contains(&disk.used_percent)
        });
        causes.extend(fills.map(|disk| {
            let free = bytes(disk.available_bytes);
            let message = format!(
                "node {}: {} % of its disk are used",
                row.node_id, disk.used_percent
            );
            Cause::new("DISK_FILLS", message)
                .with([format!("{free} are free in {}", disk.path)])
                .next("shorten retention.ms of large topics, or add room")
        }));
    }
    let ids = view.nodes.iter().filter_map(|row| row.status.as_ref());
    let strangers =
        ids.filter(|status| !status.cluster_id.is_empty() && status.cluster_id != view.cluster_id);
    causes.extend(strangers.map(|status| {
        let message = format!(
            "node {} says that it belongs to another cluster",
            status.node_id
        );
        Cause::new("OTHER_CLUSTER", message)
            .with([format!("{}, not {}", status.cluster_id, view.cluster_id)])
            .next("look at its node.data_dir")
    }));
    causes
}

/// One finding for each kind of problem, whatever the number of groups.
fn about_groups(of: &Evidence) -> Vec<Cause> {
    let mut by_problem: BTreeMap<&str, Vec<&RaftGroup>> = BTreeMap::new();
    for group in &of.raft.groups {
        for problem in &group.problems {
            by_problem.entry(problem).or_default().push(group);
        }
    }
    let cause = |(problem, groups): (&str, Vec<&RaftGroup>)| {
        let what = match problem {
            "LEADERLESS" => "led by no node that answers",
            "UNDER_REPLICATED" => "with a replica that does not keep up",
            "LAGGING" => "with a replica that lacks something for long",
            "TWO_LEADERS" => "with two leaders in one term, which must never be",
            _ => "with a problem",
        };
        let count = plural(groups.len() as u64, "group");
        let shown = groups.iter().take(MOST_EXAMPLES).flat_map(|group| {
            let lines = evidence(problem, group).into_iter();
            lines.map(move |line| format!("{}: {line}", group.name))
        });
        let first = &groups[0].name;
        Cause::new(problem, format!("{count} {what}"))
            .with(shown)
            .next(format!("chronikctl explain partition {first}"))
    };
    by_problem.into_iter().map(cause).collect()
}

/// What cannot be, whichever node is right.
fn contradictions(of: &Evidence) -> Vec<Cause> {
    let later: BTreeMap<u64, &RaftGroup> = of
        .later
        .groups
        .iter()
        .map(|group| (group.group_id, group))
        .collect();
    let mut causes = Vec::new();
    for group in &of.raft.groups {
        let Some(view) = leader(group) else {
            continue;
        };
        causes.extend(terms_apart(group, view));
        causes.extend(
            later
                .get(&group.group_id)
                .and_then(|now| beyond(group, now)),
        );
        causes.extend(unknown_lives(of, group, view));
    }
    causes.truncate(MOST_EXAMPLES);
    causes
}

/// A replica that answers, and that has not heard of a term that began long ago.
fn terms_apart(group: &RaftGroup, leader: &RaftView) -> Option<Cause> {
    if leader.since_ms < TERM_SPREADS_WITHIN_MS {
        return None;
    }
    let is_behind = |view: &&RaftView| {
        let takes_part = view.reachable && view.role != "absent";
        takes_part && view.term < leader.term && leader.voters.contains(&view.node_id)
    };
    let behind = group.views.iter().find(is_behind)?;
    let (name, node) = (&group.name, behind.node_id);
    let message = format!("{name}: node {node} has not heard of the newest term");
    let known = format!("node {node} is in term {}", behind.term);
    let newest = format!(
        "node {} leads in term {} for {}",
        leader.node_id,
        leader.term,
        duration_ms(leader.since_ms)
    );
    let cause = Cause::new("TERMS_APART", message).with([newest, known]);
    Some(cause.next(format!("chronikctl raft status --group {name}")))
}

/// What was committed at the first look is in the leader's log at the second one, if it is the same leader.
fn beyond(before: &RaftGroup, now: &RaftGroup) -> Option<Cause> {
    let (old, new) = (leader(before)?, leader(now)?);
    if (old.node_id, old.term) != (new.node_id, new.term) {
        return None;
    }
    let views = before.views.iter();
    let beyond = views.filter(|view| view.reachable && view.commit > new.last);
    let view = beyond.max_by_key(|view| view.commit)?;
    let name = &before.name;
    let message = format!("{name}: a follower has committed what its leader does not have");
    let said = format!("node {} has committed up to {}", view.node_id, view.commit);
    let has = format!(
        "node {} leads in term {} and ends at {}",
        new.node_id, new.term, new.last
    );
    let cause = Cause::new("COMMIT_BEYOND_LEADER", message).with([said, has]);
    Some(cause.next("chronikctl bundle create, and tell the developers"))
}

/// A leader that counts on a life of a node that has ended.
fn unknown_lives(of: &Evidence, group: &RaftGroup, leader: &RaftView) -> Option<Cause> {
    let lives = of.view.nodes.iter().filter_map(|row| row.status.as_ref());
    let lives: BTreeMap<u64, u64> = lives
        .map(|status| (status.node_id, status.incarnation))
        .collect();
    let is_ended = |node: u64, life: u64| lives.get(&node).is_some_and(|now| life < *now);
    let mut peers = leader.progress.iter();
    let ended = peers.find(|peer| is_ended(peer.node_id, peer.incarnation))?;
    let (name, node) = (&group.name, ended.node_id);
    let message = format!("{name} still has a member that node {node} is not any more");
    let said = format!(
        "its life {}, and node {node} lives its {}.",
        ended.incarnation, lives[&node]
    );
    let cause = Cause::new("ENDED_LIFE", message).with([said]);
    Some(cause.next(format!("chronikctl wait caught-up {name}")))
}

fn about_elections(of: &Evidence) -> Vec<Cause> {
    let changes = &of.history.changes;
    let newest = changes.iter().map(|change| change.at_ms).max().unwrap_or(0);
    let since = newest.saturating_sub(ELECTIONS_WITHIN_MS);
    let mut by_group: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let lately = changes.iter().filter(|change| change.at_ms >= since);
    // What an operator ordered is no trouble.
    for change in lately.filter(|change| change.leader.is_some() && change.why != "operator") {
        by_group
            .entry(&change.group)
            .or_default()
            .push(change.at_ms);
    }
    by_group.retain(|_, times| times.len() >= MANY_ELECTIONS);
    let Some((first, times)) = by_group.iter().max_by_key(|(_, times)| times.len()) else {
        return Vec::new();
    };
    let count = plural(by_group.len() as u64, "group");
    let message = format!("{count} changed leaders again and again within ten minutes");
    let shown = by_group.iter().take(MOST_EXAMPLES).map(|(group, times)| {
        let last = times.iter().max().copied().unwrap_or_default();
        format!(
            "{group}: {} times, the last at {}",
            times.len(),
            clock::rfc3339(last)
        )
    });
    debug_assert!(!times.is_empty());
    let cause = Cause::new("ELECTION_STORM", message).with(shown);
    vec![cause.next(format!("chronikctl raft history --group {first}"))]
}

fn about_clocks(of: &Evidence) -> Vec<Cause> {
    let (apart_ms, message) = check::apart(&of.clocks);
    if apart_ms < CLOCKS_APART_MS {
        return Vec::new();
    }
    let cause = Cause::new("CLOCKS_APART", message);
    vec![cause.next("look at the time service of both machines; chronikctl check clock")]
}

fn about_configs(of: &Evidence) -> Vec<Cause> {
    let differs = of.configs.settings.iter().filter(|setting| setting.differs);
    let differs: Vec<_> = differs.collect();
    if differs.is_empty() {
        return Vec::new();
    }
    let count = plural(differs.len() as u64, "setting");
    let shown = differs.iter().take(MOST_EXAMPLES).map(|setting| {
        let values = setting.values.iter();
        let values: Vec<String> = values
            .map(|(node, value)| format!("{value:?} on node {node}"))
            .collect();
        format!("{}: {}", setting.name, values.join(", "))
    });
    let cause = Cause::new(
        "CONFIGS_DIFFER",
        format!("{count} should be the same on all nodes"),
    );
    vec![cause.with(shown).next("chronikctl config diff")]
}

fn about_versions(of: &Evidence) -> Vec<Cause> {
    let statuses = of.view.nodes.iter().filter_map(|row| row.status.as_ref());
    let versions: BTreeMap<u64, &str> = statuses
        .map(|status| (status.node_id, status.version.as_str()))
        .collect();
    let distinct: BTreeSet<&str> = versions.values().copied().collect();
    if distinct.len() < 2 {
        return Vec::new();
    }
    let shown = versions.iter();
    let shown = shown.map(|(node, version)| format!("node {node} runs {version}"));
    let cause = Cause::new("VERSIONS_DIFFER", "the nodes run different versions");
    vec![
        cause
            .with(shown)
            .next("end the upgrade: chronikctl version --nodes"),
    ]
}

fn about_moves(of: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for operation in &of.operations.operations {
        let id = operation.operation_id;
        let stuck = operation
            .moves
            .iter()
            .filter(|one| !one.waits_for.is_empty());
        let stuck: Vec<_> = stuck.collect();
        let (done, all) = (operation.done, operation.partitions);
        if stuck.is_empty() {
            let message = format!("operation {id} is under way: {done}/{all} partitions");
            let cause = Cause::new("MOVES", message);
            causes.push(cause.next(format!("chronikctl rebalance wait {id}")));
            continue;
        }
        let shown = stuck.iter().take(MOST_EXAMPLES);
        let shown = shown.map(|one| format!("{}: {}", one.group, one.waits_for));
        let message = format!(
            "{} of operation {id} held up",
            plural(stuck.len() as u64, "move")
        );
        let cause = Cause::new("MOVES_STALLED", message).with(shown);
        causes.push(cause.next(format!("chronikctl explain operation {id}")));
    }
    causes
}

fn about_consumers(of: &Evidence) -> Vec<Cause> {
    let mut causes = Vec::new();
    for group in &of.lags.groups {
        let name = &group.group;
        let next = format!("chronikctl explain group {name}");
        if group.below_start > 0 {
            let partitions = plural(group.below_start, "partition");
            let message =
                format!("group {name} did not read in time: records of {partitions} are gone");
            causes.push(Cause::new("RECORDS_LOST_TO_GROUP", message).next(next.clone()));
        }
        if group.members == 0 && group.lag > 0 {
            let message = format!(
                "group {name} has nobody who reads its {} records",
                group.lag
            );
            causes.push(Cause::new("NO_MEMBER", message).next(next));
        }
    }
    causes
}

/// The processes and their machines, by their own figures and logs.
fn about_processes(of: &Evidence) -> Vec<Cause> {
    let nodes = of.nodes.iter();
    nodes
        .flat_map(|(node, own)| about_process(*node, own))
        .collect()
}

fn about_process(node: u64, own: &OfNode) -> Vec<Cause> {
    let mut causes = Vec::new();
    let system = &own.system;
    if own.metric("chronik_wal_disk_full") > 0.0 {
        let message = format!("node {node} can have no further segment: its disk is full");
        let cause = Cause::new("DISK_FULL", message);
        causes.push(cause.next(format!("chronikctl node describe {node}")));
    }
    if percent(system.open_files, system.open_files_limit) >= FILES_NEAR_LIMIT_PERCENT {
        let message = format!(
            "node {node} has {} of {} files open",
            system.open_files, system.open_files_limit
        );
        let cause = Cause::new("FILES_NEAR_LIMIT", message);
        causes.push(cause.next("raise the limit (LimitNOFILE=), and start the node again"));
    }
    let free = percent(system.memory_available_bytes, system.memory_total_bytes);
    if system.memory_total_bytes > 0 && free < MEMORY_LOW_PERCENT {
        let left = bytes(system.memory_available_bytes);
        let message = format!("the machine of node {node} has {left} of memory left");
        causes.push(
            Cause::new("MEMORY_LOW", message).next(format!("chronikctl node describe {node}")),
        );
    }
    let timeouts = own.metric("chronik_io_timeouts_total");
    if timeouts > 0.0 {
        let message = format!("node {node} gave up {timeouts} waits for the disk or the network");
        let cause = Cause::new("IO_TIMEOUTS", message);
        causes.push(cause.next(format!("chronikctl api get node/log-digest node_id={node}")));
    }
    for (level, code) in [("ERROR", "LOG_ERRORS"), ("WARN", "LOG_WARNINGS")] {
        let complaints = own.digest.complaints.iter();
        let complaints: Vec<_> = complaints.filter(|one| one.level == level).collect();
        if complaints.is_empty() {
            continue;
        }
        let lines: u64 = complaints.iter().map(|one| one.count).sum();
        let places = plural(complaints.len() as u64, "kind");
        let message = format!("node {node} logged {lines} lines of {places}");
        let shown = complaints.iter().take(MOST_EXAMPLES).map(|one| {
            let last = clock::rfc3339(one.last_at_ms);
            format!(
                "{}x, last {last}: {} {}",
                one.count, one.message, one.last_fields
            )
        });
        let shown = shown.map(|line| line.trim_end().to_owned());
        let cause = Cause::new(code, message).with(shown);
        causes.push(cause.next(format!("look at the log of node {node}")));
    }
    causes
}

fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100)
        .checked_div(whole.into())
        .and_then(|percent| u64::try_from(percent).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chronik_admin::v1::{
        Clocks, Complaint, LeaderChanged, LogDigest, NodeClock, NodeRow, NodeStatus, Progress,
        SettingDiff, System,
    };

    use super::*;

    fn codes(evidence: &Evidence) -> Vec<String> {
        let causes = examine(evidence).into_iter();
        causes.map(|cause| cause.code).collect()
    }

    fn healthy() -> Evidence {
        let row = |node_id| NodeRow {
            node_id,
            reachable: true,
            status: Some(NodeStatus {
                node_id,
                ready: true,
                incarnation: 2,
                cluster_id: "c-1".to_owned(),
                version: "1.0.0".to_owned(),
                ..NodeStatus::default()
            }),
            ..NodeRow::default()
        };
        let mut evidence = Evidence::default();
        evidence.view.cluster_id = "c-1".to_owned();
        evidence.view.nodes = vec![row(1), row(2)];
        evidence
    }

    fn led(commit_of_follower: u64, last_of_leader: u64) -> RaftGroup {
        let view = |node_id, role: &str| RaftView {
            node_id,
            reachable: true,
            role: role.to_owned(),
            term: 7,
            since_ms: 60_000,
            voters: vec![1, 2],
            ..RaftView::default()
        };
        let leads = RaftView {
            last: last_of_leader,
            ..view(1, "leader")
        };
        let follows = RaftView {
            commit: commit_of_follower,
            ..view(2, "follower")
        };
        RaftGroup {
            group_id: 1024,
            name: "orders/0".to_owned(),
            leader: Some(1),
            term: 7,
            views: vec![leads, follows],
            ..RaftGroup::default()
        }
    }

    #[test]
    fn a_healthy_cluster_has_nothing() {
        let mut evidence = healthy();
        evidence.raft.groups = vec![led(90, 100)];
        evidence.later.groups = vec![led(120, 130)];
        assert_eq!(codes(&evidence), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_is_found() {
        let mut evidence = healthy();
        evidence.raft.groups = vec![led(150, 100)];
        // A leader that has it by the second look only answered earlier than its follower.
        evidence.later.groups = vec![led(150, 150)];
        assert_eq!(codes(&evidence), Vec::<String>::new());
        evidence.later.groups = vec![led(150, 140)];
        assert_eq!(codes(&evidence), ["COMMIT_BEYOND_LEADER"]);

        let mut apart = led(0, 0);
        apart.views[1].term = 6;
        apart.views[0].progress = vec![Progress {
            node_id: 2,
            incarnation: 1,
            ..Progress::default()
        }];
        evidence.raft.groups = vec![apart];
        evidence.view.nodes[1].status.as_mut().unwrap().cluster_id = "c-2".to_owned();
        assert_eq!(
            codes(&evidence),
            ["OTHER_CLUSTER", "TERMS_APART", "ENDED_LIFE"]
        );
    }

    #[test]
    fn elections_clocks_settings_and_logs_are_looked_at() {
        let mut evidence = healthy();
        let change = |at_ms, why: &str| LeaderChanged {
            at_ms,
            group: "orders/0".to_owned(),
            leader: Some(1),
            why: why.to_owned(),
            ..LeaderChanged::default()
        };
        evidence.history.changes = (1..=5).map(|at| change(at, "suspected")).collect();
        let clock = |node_id, ahead_ms| NodeClock {
            node_id,
            ahead_ms: Some(ahead_ms),
            uncertain_ms: Some(1),
            ..NodeClock::default()
        };
        evidence.clocks = Clocks {
            nodes: vec![clock(1, 0), clock(2, 900)],
            ..Clocks::default()
        };
        evidence.configs.settings = vec![SettingDiff {
            name: "raft.tick".to_owned(),
            differs: true,
            values: [(1, "250ms".to_owned()), (2, "1s".to_owned())].into(),
        }];
        evidence.view.nodes[1].status.as_mut().unwrap().version = "1.1.0".to_owned();
        let own = OfNode {
            system: System {
                open_files: 900,
                open_files_limit: 1024,
                ..System::default()
            },
            digest: LogDigest {
                complaints: vec![Complaint {
                    level: "ERROR".to_owned(),
                    message: "the log stalls".to_owned(),
                    count: 3,
                    ..Complaint::default()
                }],
                ..LogDigest::default()
            },
            metrics: "chronik_io_timeouts_total{operation=\"sync\"} 2\n\
                      chronik_io_timeouts_total{operation=\"peer\"} 1\n\
                      chronik_wal_disk_full 0\n"
                .to_owned(),
        };
        evidence.nodes.insert(2, own);
        let expected = [
            "ELECTION_STORM",
            "CLOCKS_APART",
            "CONFIGS_DIFFER",
            "VERSIONS_DIFFER",
            "FILES_NEAR_LIMIT",
            "IO_TIMEOUTS",
            "LOG_ERRORS",
        ];
        assert_eq!(codes(&evidence), expected);
        let causes = examine(&evidence);
        assert!(causes[5].message.contains("gave up 3 waits"), "{causes:?}");
        assert!(causes.iter().all(|cause| !cause.next.is_empty()));
        evidence.history.changes = (1..=5).map(|at| change(at, "operator")).collect();
        assert!(!codes(&evidence).contains(&"ELECTION_STORM".to_owned()));
    }
}
