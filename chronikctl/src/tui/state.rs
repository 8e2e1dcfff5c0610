//! All that the view shows, as plain data, and the one function that changes it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use chronik_admin::v1::ClusterEvent;
use ratatui::crossterm::event::KeyEvent;

use super::action::Action;
use super::data::{Data, GroupRow, News};
use super::grid::{Filter, Grid};
use super::keys::Wish;
use super::overlay::Overlay;
use super::replay::Steer;
use super::screens::{self, Screen};
use super::series::History;
use super::trend::Trend;
use crate::commands::rebalance::pace::Pace;
use crate::commands::rebalance::status;
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
    history: History,
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
    problem: Option<usize>,
    /// How a recording is shown.
    pub(crate) play: Play,
    /// The rows of a page, until something is learnt: keys come faster than news.
    kept: RefCell<Option<Kept>>,
}

/// How fast a recording goes, in times of what it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Play {
    pub(crate) speed: f64,
    pub(crate) is_paused: bool,
}

/// Rows that were made, and what for.
#[derive(Debug)]
struct Kept {
    screen: Screen,
    scope: Option<Scope>,
    grid: Rc<Grid>,
}

impl Default for Play {
    fn default() -> Play {
        Play {
            speed: 1.0,
            is_paused: false,
        }
    }
}

/// What is shown while newer things are collected.
#[derive(Debug)]
struct Frozen {
    data: Data,
    groups: Vec<GroupRow>,
    history: History,
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
    /// A recording goes on from another place: what follows comes from there.
    Rewound,
}

/// What shall be done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Quit,
    Suspend,
    Interval(Duration),
    /// Say what an action would do.
    Plan(Action),
    /// Do what was confirmed, with the plan as it was shown.
    Act(Action, Vec<(Tone, String)>),
    Steer(Steer),
}

const MAX_EVENTS: usize = 10_000;
/// How fast and how slowly a recording is shown.
const FASTEST: f64 = 1024.0;
const SLOWEST: f64 = 0.125;
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
            Event::Tick(now_ms) => {
                self.now_ms = now_ms;
                // Only nodes that are away grow older between two polls.
                let has_ages = |kept: &Kept| kept.screen == Screen::Overview;
                self.kept.get_mut().take_if(|kept| has_ages(kept));
            }
            Event::News(news) => self.learn(news),
            Event::Rewound => self.forget(),
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
        let concerns: fn(Screen) -> bool = match news {
            News::Polled(_) | News::Failed(_) => |_| true,
            News::Groups(_) => |screen| matches!(screen, Screen::Groups | Screen::Consumer),
            News::Happened(_) => |screen| screen == Screen::Events,
        };
        if self.frozen.is_none() {
            self.kept.get_mut().take_if(|kept| concerns(kept.screen));
        }
        match news {
            News::Polled(data) => {
                let rows = data.cluster.nodes.iter().filter(|row| row.reachable);
                self.seen.extend(rows.map(|row| (row.node_id, data.at_ms)));
                self.now_ms = self.now_ms.max(data.at_ms);
                self.follow_operations(&data);
                self.history.note(&data);
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
        if !self.about.is_replay {
            // Now, so that the next key need not wait for it.
            self.grid();
        }
        self.follow_selection();
    }

    /// All that was learnt goes; pages and what was chosen on them stay.
    fn forget(&mut self) {
        *self.kept.get_mut() = None;
        self.frozen = None;
        self.now_ms = 0;
        self.failure = None;
        self.history = History::default();
        self.seen.clear();
        self.events.clear();
        self.groups.clear();
        self.trends.clear();
        self.paces.clear();
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

    /// A line for each operation: how far, how fast, how long, and what is in the way; and how fast they may go.
    pub(crate) fn operations(&self) -> Vec<(Tone, String)> {
        let list = &self.data().operations;
        let lines = list.operations.iter().filter_map(|operation| {
            let pace = self.paces.get(&operation.operation_id)?;
            let tone = match operation.paused || pace.stalled().is_some() {
                true => Tone::Warn,
                false => Tone::Plain,
            };
            Some((tone, pace.line(operation)))
        });
        lines.chain(status::speed(list)).collect()
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

    pub(crate) fn history(&self) -> &History {
        self.frozen
            .as_ref()
            .map_or(&self.history, |frozen| &frozen.history)
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

    /// All rows of the page.
    pub(crate) fn grid(&self) -> Rc<Grid> {
        let page = self.page();
        let is_it = |kept: &&Kept| kept.screen == page.screen && kept.scope == page.scope;
        if let Some(kept) = self.kept.borrow().as_ref().filter(is_it) {
            return kept.grid.clone();
        }
        let grid = Rc::new(screens::grid(self, page.screen, page.scope.as_ref()));
        *self.kept.borrow_mut() = Some(Kept {
            screen: page.screen,
            scope: page.scope.clone(),
            grid: grid.clone(),
        });
        grid
    }

    /// The rows of the page, and which of them are shown in what order.
    pub(crate) fn rows(&self) -> (Rc<Grid>, Vec<usize>) {
        let page = self.page();
        let grid = self.grid();
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
        Some(grid.rows[places[at]].id.to_string())
    }

    pub(super) fn select(&mut self, choose: impl Fn(usize, usize) -> usize) {
        let (grid, places) = self.rows();
        let Some(at) = self.selected(&grid, &places) else {
            return;
        };
        let last = places.len() - 1;
        let next = choose(at, last).min(last);
        let id = grid.rows[places[next]].id.clone();
        self.page_mut().selected = Some((id.to_string(), next));
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
        *self.kept.get_mut() = None;
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Frozen {
                data: self.live.clone(),
                groups: self.groups.clone(),
                history: self.history.clone(),
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
        if self.about.is_replay {
            let wish = if is_faster {
                Wish::Faster
            } else {
                Wish::Slower
            };
            return self.steer(wish);
        }
        let now = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let steps = INTERVALS_MS.iter();
        let next = match is_faster {
            true => steps.rev().find(|step| **step < now),
            false => steps.into_iter().find(|step| **step > now),
        };
        self.interval = next.map_or(self.interval, |ms| Duration::from_millis(*ms));
        vec![Effect::Interval(self.interval)]
    }

    /// Every item of every reason in the strip, in its order.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let health = self.data().cluster.health.as_ref();
        let reasons = health.map_or(&[][..], |health| &health.reasons).iter();
        let items = reasons.flat_map(|reason| {
            let items = reason.items.iter();
            items.map(|item| (reason.code.clone(), item.clone()))
        });
        items.collect()
    }

    /// From one problem of the strip to another.
    pub(super) fn visit_next(&mut self, is_forwards: bool) {
        let count = self.problems().len();
        if count == 0 {
            self.told = Some((Tone::Good, "no problem is known".to_owned()));
            return;
        }
        let at = match (self.problem, is_forwards) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at.min(count) + count - 1) % count,
        };
        self.visit(at);
    }

    /// Goes where a problem is to be seen.
    pub(super) fn visit(&mut self, at: usize) {
        let problems = self.problems();
        let Some((code, item)) = problems.get(at) else {
            return;
        };
        let is_node = code.starts_with("NODE") || code == "DISK_FULL";
        let (screen, id) = match is_node {
            true => (Screen::Overview, format!("node {item}")),
            false => (Screen::Raft, item.clone()),
        };
        self.problem = Some(at);
        let line = format!("problem {} of {}: {code} {item}", at + 1, problems.len());
        self.told = Some((Tone::Warn, line));
        self.go_to(screen);
        self.page_mut().selected = Some((id, 0));
    }

    /// What a key means for a recording.
    pub(super) fn steer(&mut self, wish: Wish) -> Vec<Effect> {
        if !self.about.is_replay {
            let line = "this is no recording: nothing but now can be shown";
            self.told = Some((Tone::Plain, line.to_owned()));
            return Vec::new();
        }
        self.told = None;
        let was = self.play;
        let mut effects = Vec::new();
        match wish {
            Wish::Pause => self.play.is_paused ^= true,
            Wish::Faster => self.play.speed = (was.speed * 2.0).min(FASTEST),
            Wish::Slower => self.play.speed = (was.speed / 2.0).max(SLOWEST),
            Wish::Steer(steer) => {
                // Whoever goes by single looks wants to see them.
                self.play.is_paused |= matches!(steer, Steer::Step | Steer::Back);
                effects.push(Effect::Steer(steer));
            }
            _ => {}
        }
        if self.play != was {
            let Play { speed, is_paused } = self.play;
            effects.insert(0, Effect::Steer(Steer::Pace { speed, is_paused }));
        }
        effects
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
