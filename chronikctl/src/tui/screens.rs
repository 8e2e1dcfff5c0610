//! What each screen shows: from what is known to rows.

use std::collections::BTreeMap;

use chronik_admin::v1::{ClusterEvent, MoveState, NodeRow, RaftGroup, RaftView, TopicSummary};
use compact_str::{CompactString, ToCompactString};

use super::data::{Data, GroupRow};
use super::grid::{Cell, Grid, Row};
use super::metrics;
use super::state::{Scope, State};
use crate::clock;
use crate::commands::events;
use crate::commands::raft::leader;
use crate::output::{Tone, bytes, duration_ms};

/// One kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Screen {
    Overview,
    Raft,
    Partitions,
    Topics,
    Groups,
    Moves,
    Events,
    Metrics,
    /// One node; reached from a row.
    #[value(skip)]
    Node,
    /// One Raft group with its replicas; reached from a row.
    #[value(skip)]
    Group,
    /// One consumer group with its positions; reached from a row.
    #[value(skip)]
    Consumer,
}

impl Screen {
    /// The screens that a number leads to.
    pub(crate) const NUMBERED: [Screen; 8] = [
        Screen::Overview,
        Screen::Raft,
        Screen::Partitions,
        Screen::Topics,
        Screen::Groups,
        Screen::Moves,
        Screen::Events,
        Screen::Metrics,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Screen::Overview => "Overview",
            Screen::Raft => "Raft",
            Screen::Partitions => "Partitions",
            Screen::Topics => "Topics",
            Screen::Groups => "Groups",
            Screen::Moves => "Moves",
            Screen::Events => "Events",
            Screen::Metrics => "Metrics",
            Screen::Node => "Node",
            Screen::Group => "Partition",
            Screen::Consumer => "Group",
        }
    }
}

/// The rows of a screen, before any filter.
pub(crate) fn grid(state: &State, screen: Screen, scope: Option<&Scope>) -> Grid {
    let data = state.data();
    match screen {
        Screen::Overview => nodes(state, data),
        Screen::Raft => raft(data),
        Screen::Partitions => partitions(data, scope),
        Screen::Topics => topics(data),
        Screen::Groups => groups(state),
        Screen::Moves => moves(data),
        Screen::Events => happened(state, scope),
        Screen::Metrics => metrics::grid(state),
        Screen::Node => scope.map(|scope| node(data, scope)).unwrap_or_default(),
        Screen::Group => scope.map(|scope| replicas(data, scope)).unwrap_or_default(),
        Screen::Consumer => scope
            .map(|scope| positions(state, scope))
            .unwrap_or_default(),
    }
}

fn nodes(state: &State, data: &Data) -> Grid {
    let mut grid = Grid::new(&[
        "node#",
        "state",
        "leads#",
        "follows#",
        "leaderless#",
        "disk#",
        "memory#",
        "uptime#",
        "kafka",
    ]);
    for row in &data.cluster.nodes {
        grid.rows.push(node_row(state, row));
    }
    let is_listed = |id: &u64| data.cluster.nodes.iter().any(|row| row.node_id == *id);
    for (id, seen_ms) in state.seen.iter().filter(|(id, _)| !is_listed(id)) {
        let since = duration_ms(state.shown_ms().saturating_sub(*seen_ms));
        let mut cells = vec![
            Cell::number(*id),
            Cell::text(format!("gone, last seen {since} ago")).toned(Tone::Dim),
        ];
        cells.resize_with(grid.columns.len(), Cell::none);
        grid.rows.push(Row {
            is_gone: true,
            ..Row::new(format!("node {id}"), cells)
        });
    }
    grid
}

fn node_row(state: &State, row: &NodeRow) -> Row {
    let id = format!("node {}", row.node_id);
    let Some(status) = &row.status else {
        let seen = state.seen.get(&row.node_id);
        let told = seen.map(|seen| {
            let since = duration_ms(state.shown_ms().saturating_sub(*seen));
            format!("{}, last seen {since} ago", row.kafka_address)
        });
        let state = Cell::text("UNREACHABLE").toned(Tone::Bad);
        let mut cells = vec![Cell::number(row.node_id), state];
        cells.resize_with(8, Cell::none);
        cells.push(Cell::text(told.as_ref().unwrap_or(&row.kafka_address)));
        return Row {
            is_problem: true,
            ..Row::new(id, cells)
        };
    };
    let disk = status.disk.as_ref();
    let full = disk.map_or(0, |disk| disk.used_percent);
    let cells = vec![
        Cell::number(row.node_id),
        match (status.ready, row.drained) {
            (true, false) => Cell::text("ready").toned(Tone::Good),
            (true, true) => Cell::text("DRAINED").toned(Tone::Warn),
            (false, _) => Cell::text("NOT READY").toned(Tone::Warn),
        },
        Cell::number(status.leaders),
        Cell::number(status.followers),
        alarming(status.leaderless),
        Cell::measured(f64::from(full), format!("{full} %")).toned(if full > 90 {
            Tone::Bad
        } else {
            Tone::Plain
        }),
        Cell::measured(status.resident_bytes as f64, bytes(status.resident_bytes)),
        Cell::measured(status.uptime_ms as f64, duration_ms(status.uptime_ms)),
        Cell::text(&status.kafka_address),
    ];
    Row {
        is_problem: !status.ready || status.leaderless > 0 || full > 90,
        ..Row::new(id, cells)
    }
}

/// Groups by nodes: a letter for what the node is in the group, and what it lacks.
fn raft(data: &Data) -> Grid {
    let mut columns = vec!["group".to_owned(), "term#".to_owned()];
    let ids: Vec<u64> = data.raft.nodes.iter().map(|node| node.node_id).collect();
    columns.extend(ids.iter().map(|id| format!("n{id}")));
    columns.extend([
        "lag#".to_owned(),
        "since#".to_owned(),
        "problems".to_owned(),
    ]);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut grid = Grid::new(&columns);
    for group in &data.raft.groups {
        let mut cells = vec![Cell::text(&group.name), Cell::number(group.term)];
        cells.extend(ids.iter().map(|id| place(group, *id)));
        cells.extend([lag(group), since(group), problems(group)]);
        grid.rows.push(group_row(group, cells));
    }
    grid
}

/// What a node is in a group: `L`eader, `f`ollower with what it lacks, `l`earner, `c`andidate, `x` for no answer.
fn place(group: &RaftGroup, node: u64) -> Cell {
    let Some(view) = group.views.iter().find(|view| view.node_id == node) else {
        return Cell::text(".").toned(Tone::Dim);
    };
    if !view.reachable {
        return Cell::text("x").toned(Tone::Bad);
    }
    let progress = leader(group).into_iter().flat_map(|view| &view.progress);
    let progress = progress.into_iter().find(|peer| peer.node_id == node);
    let lack = progress.map_or(0, |peer| peer.lag_entries);
    let behind = match lack {
        0 => String::new(),
        entries => format!("-{entries}"),
    };
    let is_slow = progress.is_some_and(|peer| !peer.in_sync);
    match view.role.as_str() {
        "leader" => Cell::text("L").toned(Tone::Good),
        "follower" if is_slow => Cell::text(format!("f!{behind}")).toned(Tone::Warn),
        "follower" => Cell::text(format!("f{behind}")),
        "learner" => Cell::text(format!("l{behind}")).toned(Tone::Warn),
        "candidate" => Cell::text("c?").toned(Tone::Bad),
        _ => Cell::text("-").toned(Tone::Dim),
    }
}

fn partitions(data: &Data, scope: Option<&Scope>) -> Grid {
    // What matters comes first: narrow screens cut the rest.
    let mut grid = Grid::new(&[
        "partition",
        "leader#",
        "replicas",
        "in sync",
        "lag#",
        "since#",
        "problems",
        "term#",
        "committed#",
    ]);
    let prefix = match scope {
        Some(Scope::Topic(topic)) => format!("{topic}/"),
        _ => String::new(),
    };
    let is_wanted = |group: &&RaftGroup| group.name != "meta" && group.name.starts_with(&prefix);
    grid.rows.reserve(data.raft.groups.len());
    for group in data.raft.groups.iter().filter(is_wanted) {
        grid.rows.push(group_row(group, partition_cells(group)));
    }
    grid
}

fn partition_cells(group: &RaftGroup) -> Vec<Cell> {
    let view = leader(group);
    // Without a leader, any replica knows who votes.
    let knows = |view: &&RaftView| view.reachable && !view.voters.is_empty();
    let voters = view.or_else(|| group.views.iter().find(knows));
    let (replicas, count) = match voters {
        Some(view) => (listed(view.voters.iter().copied()), view.voters.len()),
        None => {
            let held = group.views.iter().map(|view| view.node_id);
            (listed(held), group.views.len())
        }
    };
    let progress = view.map_or(&[][..], |view| &view.progress);
    let in_sync = progress.iter().filter(|peer| peer.in_sync);
    let is_whole = in_sync.clone().count() >= count;
    let in_sync = listed(in_sync.map(|peer| peer.node_id));
    vec![
        Cell::text(&group.name),
        match group.leader {
            Some(node) => Cell::number(node),
            None => Cell::text("NONE").toned(Tone::Bad),
        },
        Cell::text(replicas),
        match (view, is_whole) {
            (None, _) => Cell::none(),
            (_, true) => Cell::text(in_sync),
            (_, false) => Cell::text(in_sync).toned(Tone::Warn),
        },
        lag(group),
        since(group),
        problems(group),
        Cell::number(group.term),
        view.map_or_else(Cell::none, |view| Cell::number(view.commit)),
    ]
}

/// Topics, with what is wrong with their partitions in the eyes of all nodes.
fn topics(data: &Data) -> Grid {
    let mut wrong: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for group in &data.raft.groups {
        let has = |code: &str| u64::from(group.problems.iter().any(|known| known == code));
        if let Some((topic, _)) = group.name.rsplit_once('/') {
            let (leaderless, thin) = wrong.entry(topic).or_default();
            *leaderless += has("LEADERLESS");
            *thin += has("UNDER_REPLICATED");
        }
    }
    let mut grid = Grid::new(&[
        "topic",
        "partitions#",
        "replicas#",
        "leaderless#",
        "under replicated#",
        "kept by",
    ]);
    let row = |topic: &TopicSummary| {
        let (leaderless, thin) = wrong.get(topic.name.as_str()).copied().unwrap_or_default();
        let cells = vec![
            Cell::text(&topic.name),
            Cell::number(topic.partitions.into()),
            Cell::number(topic.replication_factor.into()),
            alarming(leaderless),
            alarming(thin),
            match topic.internal {
                true => Cell::text("the cluster").toned(Tone::Dim),
                false => Cell::text("users"),
            },
        ];
        Row {
            is_problem: leaderless + thin > 0,
            ..Row::new(&topic.name, cells)
        }
    };
    grid.rows.extend(data.topics.topics.iter().map(row));
    grid
}

fn groups(state: &State) -> Grid {
    let mut grid = Grid::new(&[
        "group",
        "state",
        "members#",
        "lag#",
        "consumed/s#",
        "trend",
        "left#",
        "coordinator#",
    ]);
    for group in state.groups() {
        let pace = state.pace(&group.group);
        let growth = pace.map_or(0.0, |pace| pace.growth_per_s);
        let consumed = pace.map_or(0.0, |pace| pace.consumed_per_s);
        let left = (growth < 0.0 && group.lag > 0).then(|| group.lag as f64 / -growth);
        let is_stalled = group.lag > 0 && pace.is_some_and(|pace| pace.is_stalled());
        let cells = vec![
            Cell::text(&group.group),
            Cell::text(&group.state).toned(if is_stalled { Tone::Warn } else { Tone::Plain }),
            Cell::number(group.members),
            Cell::measured(group.lag as f64, group.lag),
            Cell::measured(consumed, format!("{consumed:.0}")),
            match (is_stalled, growth) {
                (true, _) => Cell::text("STALLED").toned(Tone::Bad),
                (_, growth) if growth > 0.5 => {
                    Cell::text(format!("+{growth:.0}/s")).toned(Tone::Warn)
                }
                (_, growth) if growth < -0.5 => {
                    Cell::text(format!("{growth:.0}/s")).toned(Tone::Good)
                }
                _ => Cell::text("steady").toned(Tone::Dim),
            },
            left.map_or_else(Cell::none, |seconds| {
                Cell::measured(seconds, duration_ms((seconds * 1000.0) as u64))
            }),
            Cell::text(group.coordinator),
        ];
        grid.rows.push(Row {
            is_problem: is_stalled,
            ..Row::new(&group.group, cells)
        });
    }
    grid
}

fn positions(state: &State, scope: &Scope) -> Grid {
    let mut grid = Grid::new(&["partition", "committed#", "end#", "lag#", "note"]);
    let Scope::Consumer(name) = scope else {
        return grid;
    };
    let group: Option<&GroupRow> = state.groups().iter().find(|group| group.group == *name);
    for position in group.into_iter().flat_map(|group| &group.partitions) {
        let figure = |figure: Option<i64>| {
            figure.map_or_else(Cell::none, |figure| Cell::measured(figure as f64, figure))
        };
        let cells = vec![
            Cell::text(&position.partition),
            figure(Some(position.committed)),
            figure(position.end),
            figure(position.lag),
            match position.below_start {
                true => Cell::text("records are gone that were not consumed").toned(Tone::Bad),
                false => Cell::none(),
            },
        ];
        grid.rows.push(Row {
            is_problem: position.below_start,
            ..Row::new(&position.partition, cells)
        });
    }
    grid
}

fn moves(data: &Data) -> Grid {
    let mut grid = Grid::new(&[
        "operation#",
        "partition",
        "from",
        "to",
        "copied#",
        "entries#",
        "waits for",
    ]);
    for operation in &data.operations.operations {
        for one in &operation.moves {
            grid.rows.push(move_row(operation.operation_id, one));
        }
    }
    grid
}

fn move_row(operation: u64, one: &MoveState) -> Row {
    let share = match one.entries_total {
        0 => 0.0,
        total => one.entries_done as f64 / total as f64,
    };
    let cells = vec![
        Cell::number(operation),
        Cell::text(&one.group),
        Cell::text(listed(one.from.iter().copied())),
        Cell::text(listed(one.to.iter().copied())),
        Cell::measured(share, bar(share)),
        Cell::measured(
            one.entries_done as f64,
            format!("{}/{}", one.entries_done, one.entries_total),
        ),
        match one.waits_for.as_str() {
            "" => Cell::none(),
            why => Cell::text(why).toned(Tone::Warn),
        },
    ];
    Row {
        is_problem: !one.waits_for.is_empty(),
        ..Row::new(&one.group, cells)
    }
}

fn happened(state: &State, scope: Option<&Scope>) -> Grid {
    let mut grid = Grid::new(&["time", "kind", "what"]);
    let is_wanted = |event: &&ClusterEvent| match scope {
        Some(Scope::Group(name)) => event.group.as_deref() == Some(name),
        Some(Scope::Node(node)) => event.node_id == Some(*node),
        _ => true,
    };
    // The newest is what somebody looks for.
    let newest = state.events().enumerate();
    let newest = newest.filter(|(_, event)| is_wanted(event));
    for (number, event) in newest.collect::<Vec<_>>().into_iter().rev() {
        let time = clock::rfc3339(event.at_ms);
        let tone = events::tone(&event.kind);
        let cells = vec![
            Cell::measured(event.at_ms as f64, &time[11..23]),
            Cell::text(&event.kind).toned(tone),
            Cell::text(&event.message),
        ];
        grid.rows.push(Row {
            is_problem: matches!(tone, Tone::Bad | Tone::Warn),
            ..Row::new(format!("{} {number}", event.at_ms), cells)
        });
    }
    grid
}

fn node(data: &Data, scope: &Scope) -> Grid {
    let mut grid = Grid::new(&["what", "value"]);
    let Scope::Node(id) = scope else { return grid };
    let mut tell = |name: &str, value: String| {
        let cells = vec![Cell::text(name).toned(Tone::Dim), Cell::text(value)];
        grid.rows.push(Row::new(name, cells));
    };
    let Some(row) = data.node(*id) else {
        tell("state", "gone: it is no member any more".to_owned());
        return grid;
    };
    let Some(status) = &row.status else {
        tell("state", "UNREACHABLE".to_owned());
        tell("why", row.error.clone().unwrap_or_default());
        tell(
            "silent for",
            row.silent_ms.map_or_else(|| "-".to_owned(), duration_ms),
        );
        tell("kafka", row.kafka_address.clone());
        tell("peer", row.peer_address.clone());
        return grid;
    };
    let ready = if status.ready { "ready" } else { "NOT READY" };
    tell(
        "state",
        [&[ready.to_owned()], &status.reasons[..]]
            .concat()
            .join("; "),
    );
    if row.drained {
        tell("replicas", "it gets none: it is drained".to_owned());
    }
    tell("answered in", duration_ms(row.answered_in_ms));
    tell("life", status.incarnation.to_string());
    tell("version", status.version.clone());
    tell("uptime", duration_ms(status.uptime_ms));
    tell("catalog version", status.catalog_version.to_string());
    tell("leads", status.leaders.to_string());
    tell("follows", status.followers.to_string());
    tell("leaderless", status.leaderless.to_string());
    tell("memory", bytes(status.resident_bytes));
    if let Some(disk) = &status.disk {
        let free = bytes(disk.available_bytes);
        let line = format!("{} % used, {free} free, {}", disk.used_percent, disk.path);
        tell("disk", line);
    }
    tell(
        "rack",
        status.rack.clone().unwrap_or_else(|| "-".to_owned()),
    );
    tell("kafka", status.kafka_address.clone());
    tell("peer", status.peer_address.clone());
    tell("admin", status.admin_address.clone());
    tell("logs", status.log_level.clone());
    for sight in &status.sees {
        let alive = if sight.alive { "alive" } else { "SILENT" };
        let since = sight.since_ms.map(duration_ms).unwrap_or_default();
        tell(
            &format!("sees node {}", sight.node_id),
            format!("{alive} for {since}"),
        );
    }
    grid
}

/// A Raft group as each of its nodes sees it.
fn replicas(data: &Data, scope: &Scope) -> Grid {
    let mut grid = Grid::new(&[
        "node#",
        "role",
        "term#",
        "leader#",
        "first#",
        "last#",
        "committed#",
        "lag#",
        "behind#",
        "in sync",
        "since#",
    ]);
    let Scope::Group(name) = scope else {
        return grid;
    };
    let Some(group) = data.group(name) else {
        return grid;
    };
    let led = leader(group);
    for view in &group.views {
        let progress = led.into_iter().flat_map(|view| &view.progress);
        let progress = progress
            .into_iter()
            .find(|peer| peer.node_id == view.node_id);
        let known = |number: u64| match view.reachable {
            true => Cell::number(number),
            false => Cell::none(),
        };
        let cells = vec![
            Cell::number(view.node_id),
            match (view.reachable, view.role.as_str()) {
                (false, _) => Cell::text("UNREACHABLE").toned(Tone::Bad),
                (true, "leader") => Cell::text("leader").toned(Tone::Good),
                (true, role) => Cell::text(role),
            },
            known(view.term),
            view.leader.map_or_else(Cell::none, Cell::number),
            known(view.first),
            known(view.last),
            known(view.commit),
            progress.map_or_else(Cell::none, |peer| Cell::number(peer.lag_entries)),
            progress.map_or_else(Cell::none, |peer| {
                Cell::measured(peer.lag_ms as f64, duration_ms(peer.lag_ms))
            }),
            match progress.map(|peer| peer.in_sync) {
                Some(true) => Cell::text("yes"),
                Some(false) => Cell::text("NO").toned(Tone::Warn),
                None => Cell::none(),
            },
            match view.reachable {
                true => Cell::measured(view.since_ms as f64, duration_ms(view.since_ms)),
                false => Cell::none(),
            },
        ];
        grid.rows.push(Row {
            is_problem: !view.reachable,
            ..Row::new(format!("node {}", view.node_id), cells)
        });
    }
    grid
}

fn group_row(group: &RaftGroup, cells: Vec<Cell>) -> Row {
    Row {
        is_problem: !group.problems.is_empty(),
        ..Row::new(&group.name, cells)
    }
}

fn lag(group: &RaftGroup) -> Cell {
    let progress = leader(group).map(|view| &view.progress);
    let most = progress.and_then(|peers| peers.iter().map(|peer| peer.lag_entries).max());
    most.map_or_else(Cell::none, Cell::number)
}

fn since(group: &RaftGroup) -> Cell {
    leader(group).map_or_else(Cell::none, |view| {
        Cell::measured(view.since_ms as f64, duration_ms(view.since_ms))
    })
}

fn problems(group: &RaftGroup) -> Cell {
    match group.problems.is_empty() {
        true => Cell::default(),
        false => Cell::text(group.problems.join(" ")).toned(Tone::Bad),
    }
}

fn alarming(count: u64) -> Cell {
    let tone = if count > 0 { Tone::Bad } else { Tone::Plain };
    Cell::number(count).toned(tone)
}

fn bar(share: f64) -> String {
    const WIDTH: usize = 10;
    let full = ((share * WIDTH as f64) as usize).min(WIDTH);
    let percent = (share * 100.0) as u64;
    format!(
        "{}{} {percent:>3} %",
        "#".repeat(full),
        ".".repeat(WIDTH - full)
    )
}

fn listed(nodes: impl Iterator<Item = u64>) -> CompactString {
    let mut text = CompactString::default();
    for node in nodes {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&node.to_compact_string());
    }
    text
}
