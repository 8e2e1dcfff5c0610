//! All that the view shows, as plain data, and the one function that changes it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chronik_admin::v1::ClusterEvent;
use ratatui::crossterm::event::KeyEvent;

use super::data::{Data, GroupRow, News};
use super::grid::{Filter, Grid};
use super::overlay::{Action, Overlay};
use super::screens::{self, Screen};
use super::trend::Trend;
use crate::commands::rebalance::pace::Pace;
use crate::output::Tone;

/// What does not change while the view runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) context: String,
    pub(crate) is_protected: bool,
    pub(crate) is_read_only: bool,
    /// What is shown comes from a file.
    pub(crate) is_replay: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) about: About,
    pub(crate) interval: Duration,
    pub(crate) now_ms: u64,
    live: Data,
    frozen: Option<Frozen>,
    events: VecDeque<ClusterEvent>,
    groups: Vec<GroupRow>,
    trends: BTreeMap<String, Trend>,
    /// How fast each operation goes.
    paces: BTreeMap<u64, Pace>,
    /// When each node answered last.
    pub(crate) seen: BTreeMap<u64, u64>,
    /// Why the newest poll failed.
    pub(crate) failure: Option<String>,
    pages: Vec<Page>,
    pub(crate) overlay: Option<Overlay>,
    /// What came of the last action.
    pub(crate) told: Option<(Tone, String)>,
    /// Whether an action is under way, whose end the journal waits for.
    pub(super) is_acting: bool,
    /// Which problem of the strip was visited last.
    problem: usize,
}

/// What is shown while newer things are collected.
#[derive(Debug)]
struct Frozen {
    data: Data,
    groups: Vec<GroupRow>,
    events: usize,
    since_ms: u64,
}

/// One screen with what a person chose on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) screen: Screen,
    pub(crate) scope: Option<Scope>,
    pub(crate) filter: String,
    pub(crate) only_problems: bool,
    pub(crate) order: Option<(usize, bool)>,
    /// The row's identity, and the place where it was.
    pub(crate) selected: Option<(String, usize)>,
}

/// What a page is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Topic(String),
    Group(String),
    Node(u64),
    Consumer(String),
}

/// Everything that changes the view.
#[derive(Debug)]
pub(crate) enum Event {
    News(News),
    Key(KeyEvent),
    /// The time goes on, or the screen has another size.
    Tick(u64),
    /// What an action would do.
    Planned(Action, Result<Vec<(Tone, String)>, String>),
    /// What came of one.
    Done(Result<String, String>),
}

/// What shall be done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Quit,
    Suspend,
    Interval(Duration),
    /// Say what an action would do.
    Plan(Action),
    Act(Action),
}

const MAX_EVENTS: usize = 10_000;
const INTERVALS_MS: [u64; 8] = [250, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000];

impl State {
    pub(crate) fn new(about: About, screen: Screen, interval: Duration) -> State {
        State {
            about,
            interval,
            pages: vec![Page::new(screen, None)],
            ..State::default()
        }
    }

    /// The one way to another state.
    pub(crate) fn update(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Tick(now_ms) => self.now_ms = now_ms,
            Event::News(news) => self.learn(news),
            Event::Key(key) => return self.press(key),
            Event::Planned(action, plan) => {
                self.overlay = Some(Overlay::planned(self, action, plan))
            }
            Event::Done(done) => {
                self.is_acting = false;
                self.told = Some(match done {
                    Ok(line) => (Tone::Good, line),
                    Err(line) => (Tone::Bad, line),
                });
            }
        }
        Vec::new()
    }

    fn learn(&mut self, news: News) {
        match news {
            News::Polled(data) => {
                let rows = data.cluster.nodes.iter().filter(|row| row.reachable);
                self.seen.extend(rows.map(|row| (row.node_id, data.at_ms)));
                self.now_ms = self.now_ms.max(data.at_ms);
                self.follow_operations(&data);
                self.live = *data;
                self.failure = None;
            }
            News::Failed(why) => self.failure = Some(why),
            News::Groups(groups) => {
                for group in &groups {
                    let trend = self.trends.entry(group.group.clone()).or_default();
                    trend.note(self.now_ms, group.committed, group.lag);
                }
                self.groups = groups;
            }
            News::Happened(events) => {
                self.events.extend(events);
                let surplus = self.events.len().saturating_sub(MAX_EVENTS);
                self.events.drain(..surplus);
            }
        }
        self.follow_selection();
    }

    fn follow_operations(&mut self, data: &Data) {
        let operations = &data.operations.operations;
        let is_there = |id: &u64| operations.iter().any(|known| known.operation_id == *id);
        self.paces.retain(|id, _| is_there(id));
        for operation in operations {
            let pace = self.paces.entry(operation.operation_id).or_default();
            pace.note(Duration::from_millis(data.at_ms), operation);
        }
    }

    /// A line for each operation: how far, how fast, how long, and what is in the way.
    pub(crate) fn operations(&self) -> impl Iterator<Item = String> {
        let operations = self.data().operations.operations.iter();
        operations.filter_map(|operation| {
            let pace = self.paces.get(&operation.operation_id)?;
            Some(pace.line(operation))
        })
    }

    /// What is shown: the newest, or what was there when it froze.
    pub(crate) fn data(&self) -> &Data {
        self.frozen
            .as_ref()
            .map_or(&self.live, |frozen| &frozen.data)
    }

    /// The time of what is shown.
    pub(crate) fn shown_ms(&self) -> u64 {
        self.frozen
            .as_ref()
            .map_or(self.now_ms, |frozen| frozen.since_ms)
    }

    pub(crate) fn groups(&self) -> &[GroupRow] {
        self.frozen
            .as_ref()
            .map_or(&self.groups, |frozen| &frozen.groups)
    }

    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &ClusterEvent> {
        let shown = self
            .frozen
            .as_ref()
            .map_or(usize::MAX, |frozen| frozen.events);
        self.events.iter().take(shown)
    }

    pub(crate) fn pace(&self, group: &str) -> Option<&Trend> {
        self.trends.get(group)
    }

    pub(crate) fn frozen_for(&self) -> Option<Duration> {
        let frozen = self.frozen.as_ref()?;
        Some(Duration::from_millis(
            self.now_ms.saturating_sub(frozen.since_ms),
        ))
    }

    pub(crate) fn page(&self) -> &Page {
        self.pages.last().expect("the first page is never left")
    }

    pub(super) fn page_mut(&mut self) -> &mut Page {
        self.pages.last_mut().expect("the first page is never left")
    }

    pub(crate) fn depth(&self) -> usize {
        self.pages.len()
    }

    /// The rows of the page, and which of them are shown in what order.
    pub(crate) fn rows(&self) -> (Grid, Vec<usize>) {
        let page = self.page();
        let grid = screens::grid(self, page.screen, page.scope.as_ref());
        let filter = Filter::parse(&page.filter);
        let places = grid.arranged(&filter, page.only_problems, page.order);
        (grid, places)
    }

    /// Where the selection is among the rows that are shown.
    pub(crate) fn selected(&self, grid: &Grid, places: &[usize]) -> Option<usize> {
        let last = places.len().checked_sub(1)?;
        let Some((id, was)) = &self.page().selected else {
            return Some(0);
        };
        let found = places.iter().position(|place| grid.rows[*place].id == *id);
        Some(found.unwrap_or(*was).min(last))
    }

    /// The selected row's identity.
    pub(crate) fn selected_id(&self) -> Option<String> {
        let (grid, places) = self.rows();
        let at = self.selected(&grid, &places)?;
        Some(grid.rows[places[at]].id.clone())
    }

    pub(super) fn select(&mut self, choose: impl Fn(usize, usize) -> usize) {
        let (grid, places) = self.rows();
        let Some(at) = self.selected(&grid, &places) else {
            return;
        };
        let last = places.len() - 1;
        let next = choose(at, last).min(last);
        let id = grid.rows[places[next]].id.clone();
        self.page_mut().selected = Some((id, next));
    }

    /// A row that went away leaves its place to the next one.
    fn follow_selection(&mut self) {
        if self.page().selected.is_some() {
            self.select(|at, _| at);
        }
    }

    pub(super) fn open(&mut self, page: Page) {
        if *self.page() != page {
            self.pages.push(page);
        }
    }

    pub(super) fn go_to(&mut self, screen: Screen) {
        self.pages = vec![Page::new(screen, None)];
    }

    pub(super) fn back(&mut self) {
        let page = self.page_mut();
        if !page.filter.is_empty() {
            page.filter.clear();
        } else if self.pages.len() > 1 {
            self.pages.pop();
        }
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Frozen {
                data: self.live.clone(),
                groups: self.groups.clone(),
                events: self.events.len(),
                since_ms: self.now_ms,
            }),
        };
    }

    /// The end, unless an action is under way: then it takes a second key.
    pub(super) fn quit(&mut self) -> Vec<Effect> {
        if !self.is_acting {
            return vec![Effect::Quit];
        }
        self.is_acting = false;
        let line = "an action is under way: q again leaves it alone, and out of the journal";
        self.told = Some((Tone::Warn, line.to_owned()));
        Vec::new()
    }

    /// One of the steps next to the present interval.
    pub(super) fn pace_up(&mut self, is_faster: bool) -> Vec<Effect> {
        let now = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let steps = INTERVALS_MS.iter();
        let next = match is_faster {
            true => steps.rev().find(|step| **step < now),
            false => steps.into_iter().find(|step| **step > now),
        };
        self.interval = next.map_or(self.interval, |ms| Duration::from_millis(*ms));
        vec![Effect::Interval(self.interval)]
    }

    /// Goes where the next reason of the strip points.
    pub(super) fn visit_problem(&mut self) {
        let health = self.data().cluster.health.as_ref();
        let reasons = health.map_or(&[][..], |health| &health.reasons);
        let Some(count) = std::num::NonZero::new(reasons.len()) else {
            return;
        };
        let at = self.problem % count;
        let reason = &reasons[at];
        let first = reason.items.first().cloned();
        let is_node = reason.code.starts_with("NODE") || reason.code == "DISK_FULL";
        let (screen, id) = match is_node {
            true => (Screen::Overview, first.map(|id| format!("node {id}"))),
            false => (Screen::Raft, first),
        };
        self.problem = at + 1;
        self.go_to(screen);
        self.page_mut().selected = id.map(|id| (id, 0));
    }
}

impl Page {
    pub(crate) fn new(screen: Screen, scope: Option<Scope>) -> Page {
        Page {
            screen,
            scope,
            filter: String::new(),
            only_problems: false,
            order: None,
            selected: None,
        }
    }

    /// What the page is about, in words.
    pub(crate) fn title(&self) -> String {
        match &self.scope {
            None => self.screen.title().to_owned(),
            Some(Scope::Topic(name)) => format!("{} of topic {name}", self.screen.title()),
            Some(Scope::Group(name)) if name == "meta" => "Metadata group".to_owned(),
            Some(Scope::Group(name) | Scope::Consumer(name)) => {
                format!("{} {name}", self.screen.title())
            }
            Some(Scope::Node(id)) => format!("Node {id}"),
        }
    }
}
