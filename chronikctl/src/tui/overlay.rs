//! What lies above a page: help, a filter that is typed, explanations, and actions with their plans.

use chronik_admin::v1::RaftGroup;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keys::{Wish, wish};
use super::screens::Screen;
use super::state::{Effect, Page, Scope, State};
use crate::commands::raft;
use crate::output::Tone;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    Help,
    /// The filter is typed; it works with every letter.
    Filter,
    /// Lines to read, and how far they were scrolled.
    Text {
        title: String,
        lines: Vec<(Tone, String)>,
        from: usize,
    },
    Actions {
        actions: Vec<Action>,
        at: usize,
    },
    /// An action whose plan is being made.
    Waiting(Action),
    Confirm {
        action: Action,
        lines: Vec<(Tone, String)>,
        /// A protected context wants its name.
        name: Option<String>,
        typed: String,
    },
}

/// Something that can be done with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    StepDown { group: String },
    Transfer { group: String, to: u64 },
}

impl Action {
    /// The line that does the same.
    pub(crate) fn command(&self) -> String {
        match self {
            Action::StepDown { group } => format!("chronikctl raft step-down --group {group}"),
            Action::Transfer { group, to } => {
                format!("chronikctl raft transfer --group {group} --to {to}")
            }
        }
    }

    pub(crate) fn title(&self) -> String {
        match self {
            Action::StepDown { group } => format!("{group}: the leader steps down"),
            Action::Transfer { group, to } => format!("{group}: node {to} leads"),
        }
    }
}

impl Overlay {
    /// A plan to be confirmed, or the refusal.
    pub(super) fn planned(
        state: &State,
        action: Action,
        plan: Result<Vec<(Tone, String)>, String>,
    ) -> Overlay {
        match plan {
            Ok(lines) => Overlay::Confirm {
                action,
                lines,
                name: state
                    .about
                    .is_protected
                    .then(|| state.about.context.clone()),
                typed: String::new(),
            },
            Err(why) => Overlay::Text {
                title: format!("Refused: {}", action.title()),
                lines: vec![(Tone::Bad, why)],
                from: 0,
            },
        }
    }
}

impl State {
    /// A key, for whatever lies on top.
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return vec![Effect::Quit];
        }
        match self.overlay.take() {
            None => self.wish(key),
            Some(Overlay::Help) => Vec::new(),
            Some(Overlay::Filter) => {
                self.type_filter(key);
                Vec::new()
            }
            Some(Overlay::Text { title, lines, from }) => {
                self.scroll(title, lines, from, key);
                Vec::new()
            }
            Some(Overlay::Actions { actions, at }) => self.choose(actions, at, key),
            Some(Overlay::Waiting(action)) => {
                // It goes on in the background if somebody does not want to wait.
                self.overlay = (key.code != KeyCode::Esc).then_some(Overlay::Waiting(action));
                Vec::new()
            }
            Some(Overlay::Confirm {
                action,
                lines,
                name,
                typed,
            }) => self.decide(action, lines, name, typed, key),
        }
    }

    fn wish(&mut self, key: KeyEvent) -> Vec<Effect> {
        const SCREENFUL: usize = 15;
        let Some(wish) = wish(key) else {
            return Vec::new();
        };
        match wish {
            Wish::Screen(number) => self.go_to(Screen::NUMBERED[number]),
            Wish::Down => self.select(|at, _| at + 1),
            Wish::Up => self.select(|at, _| at.saturating_sub(1)),
            Wish::PageDown => self.select(|at, _| at + SCREENFUL),
            Wish::PageUp => self.select(|at, _| at.saturating_sub(SCREENFUL)),
            Wish::First => self.select(|_, _| 0),
            Wish::Last => self.select(|_, last| last),
            Wish::In => self.enter(),
            Wish::Out => self.back(),
            Wish::Filter => self.overlay = Some(Overlay::Filter),
            Wish::Sort => self.sort(),
            Wish::Invert => {
                let order = self
                    .page()
                    .order
                    .map(|(at, is_inverted)| (at, !is_inverted));
                self.page_mut().order = order;
            }
            Wish::OnlyProblems => self.page_mut().only_problems ^= true,
            Wish::Freeze => self.freeze(),
            Wish::NextProblem => self.visit_problem(),
            Wish::Explain => self.overlay = self.explanation(),
            Wish::Json => self.overlay = self.json(),
            Wish::Actions => self.overlay = Some(self.actions()),
            Wish::Faster => return self.pace_up(true),
            Wish::Slower => return self.pace_up(false),
            Wish::Help => self.overlay = Some(Overlay::Help),
            Wish::Suspend => return vec![Effect::Suspend],
            Wish::Quit => return self.quit(),
        }
        Vec::new()
    }

    /// The page behind the selected row.
    fn enter(&mut self) {
        let Some(id) = self.selected_id() else { return };
        let node = |id: &str| id.strip_prefix("node ")?.parse().ok();
        let page = match self.page().screen {
            Screen::Overview | Screen::Group => node(&id).map(|id| (Screen::Node, Scope::Node(id))),
            Screen::Raft | Screen::Partitions | Screen::Moves => {
                Some((Screen::Group, Scope::Group(id)))
            }
            Screen::Topics => Some((Screen::Partitions, Scope::Topic(id))),
            Screen::Groups => Some((Screen::Consumer, Scope::Consumer(id))),
            Screen::Consumer => Some((Screen::Group, Scope::Group(id))),
            Screen::Events => self.behind_event(&id),
            Screen::Node => None,
        };
        if let Some((screen, scope)) = page {
            self.open(Page::new(screen, Some(scope)));
        }
    }

    fn behind_event(&self, id: &str) -> Option<(Screen, Scope)> {
        let number: usize = id.split_once(' ')?.1.parse().ok()?;
        let event = self.events().nth(number)?;
        match (&event.group, event.node_id) {
            (Some(group), _) => Some((Screen::Group, Scope::Group(group.clone()))),
            (None, Some(node)) => Some((Screen::Node, Scope::Node(node))),
            (None, None) => None,
        }
    }

    fn sort(&mut self) {
        let columns = self.rows().0.columns.len();
        let next = self.page().order.map_or(0, |(at, _)| at + 1);
        self.page_mut().order = (next < columns).then_some((next, false));
    }

    fn type_filter(&mut self, key: KeyEvent) {
        let filter = &mut self.page_mut().filter;
        match key.code {
            KeyCode::Enter => return,
            KeyCode::Esc => {
                filter.clear();
                return;
            }
            KeyCode::Backspace => _ = filter.pop(),
            KeyCode::Char(letter) => filter.push(letter),
            _ => {}
        }
        self.overlay = Some(Overlay::Filter);
    }

    fn scroll(&mut self, title: String, lines: Vec<(Tone, String)>, from: usize, key: KeyEvent) {
        let last = lines.len().saturating_sub(1);
        let from = match wish(key) {
            Some(Wish::Down) => from + 1,
            Some(Wish::PageDown) => from + 10,
            Some(Wish::Up) => from.saturating_sub(1),
            Some(Wish::PageUp) => from.saturating_sub(10),
            Some(Wish::First) => 0,
            Some(Wish::Last) => last,
            _ => return,
        };
        let from = from.min(last);
        self.overlay = Some(Overlay::Text { title, lines, from });
    }

    /// The Raft group that the page or its selected row is about.
    fn subject(&self) -> Option<&RaftGroup> {
        let page = self.page();
        let name = match (page.screen, &page.scope) {
            (Screen::Group, Some(Scope::Group(name))) => name.clone(),
            (Screen::Raft | Screen::Partitions | Screen::Moves, _) => self.selected_id()?,
            _ => return None,
        };
        self.data().group(&name)
    }

    fn actions(&self) -> Overlay {
        let nothing = |why: &str| Overlay::Text {
            title: "Actions".to_owned(),
            lines: vec![(Tone::Plain, why.to_owned())],
            from: 0,
        };
        if self.about.is_replay {
            return nothing("a recording cannot be changed");
        }
        if self.about.is_read_only {
            return nothing("nothing can be changed: this view is read-only");
        }
        let Some(group) = self.subject() else {
            return nothing(
                "there are actions for Raft groups: screens 2 and 3, and what is behind them",
            );
        };
        let name = &group.name;
        let mut actions = vec![Action::StepDown {
            group: name.clone(),
        }];
        let voters = raft::leader(group)
            .into_iter()
            .flat_map(|view| &view.voters);
        let others = voters.filter(|node| Some(**node) != group.leader);
        actions.extend(others.map(|node| Action::Transfer {
            group: name.clone(),
            to: *node,
        }));
        Overlay::Actions { actions, at: 0 }
    }

    fn choose(&mut self, actions: Vec<Action>, at: usize, key: KeyEvent) -> Vec<Effect> {
        let last = actions.len() - 1;
        let at = match wish(key) {
            Some(Wish::Down) => (at + 1).min(last),
            Some(Wish::Up) => at.saturating_sub(1),
            Some(Wish::In) => {
                let action = actions[at].clone();
                self.overlay = Some(Overlay::Waiting(action.clone()));
                return vec![Effect::Plan(action)];
            }
            Some(Wish::Out | Wish::Quit) => return Vec::new(),
            _ => at,
        };
        self.overlay = Some(Overlay::Actions { actions, at });
        Vec::new()
    }

    fn decide(
        &mut self,
        action: Action,
        lines: Vec<(Tone, String)>,
        name: Option<String>,
        mut typed: String,
        key: KeyEvent,
    ) -> Vec<Effect> {
        let is_yes = match (&name, key.code) {
            (_, KeyCode::Esc) => {
                self.told = Some((Tone::Plain, "nothing was changed".to_owned()));
                return Vec::new();
            }
            (None, KeyCode::Char('y')) => true,
            (Some(name), KeyCode::Enter) => *name == typed,
            (Some(_), KeyCode::Char(letter)) => {
                typed.push(letter);
                false
            }
            (Some(_), KeyCode::Backspace) => {
                typed.pop();
                false
            }
            _ => false,
        };
        if is_yes {
            self.told = Some((Tone::Plain, format!("{} ...", action.title())));
            self.is_acting = true;
            return vec![Effect::Act(action)];
        }
        self.overlay = Some(Overlay::Confirm {
            action,
            lines,
            name,
            typed,
        });
        Vec::new()
    }

    fn json(&self) -> Option<Overlay> {
        let id = self.selected_id()?;
        let data = self.data();
        let value = match self.page().screen {
            Screen::Overview | Screen::Node => {
                let node = id.strip_prefix("node ").and_then(|id| id.parse().ok());
                let scope = match &self.page().scope {
                    Some(Scope::Node(id)) => Some(*id),
                    _ => None,
                };
                serde_json::to_value(data.node(node.or(scope)?)?)
            }
            Screen::Topics => {
                let mut topics = data.topics.topics.iter();
                serde_json::to_value(topics.find(|topic| topic.name == id)?)
            }
            Screen::Groups => {
                serde_json::to_value(self.groups().iter().find(|group| group.group == id)?)
            }
            Screen::Events => {
                let number: usize = id.split_once(' ')?.1.parse().ok()?;
                serde_json::to_value(self.events().nth(number)?)
            }
            _ => serde_json::to_value(self.subject()?),
        };
        let text = format!("{:#}", value.ok()?);
        let lines = text.lines().map(|line| (Tone::Plain, line.to_owned()));
        Some(Overlay::Text {
            title: id,
            lines: lines.collect(),
            from: 0,
        })
    }

    /// Why something is red, with what is known of it.
    fn explanation(&self) -> Option<Overlay> {
        let (title, lines) = match self.subject() {
            Some(group) => (group.name.clone(), evidence(group)),
            None => {
                let health = self.data().cluster.health.as_ref();
                let reasons = health.map_or(&[][..], |health| &health.reasons).iter();
                let lines = reasons.flat_map(|reason| {
                    let first = format!("{}: {}", reason.code, reason.message);
                    let next = format!("    {}", reason.hint);
                    [(Tone::Bad, first), (Tone::Dim, next)]
                });
                ("The verdict".to_owned(), lines.collect())
            }
        };
        let lines = match lines.is_empty() {
            true => vec![(Tone::Good, "everything is as it should be".to_owned())],
            false => lines,
        };
        Some(Overlay::Text {
            title,
            lines,
            from: 0,
        })
    }
}

fn evidence(group: &RaftGroup) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    for problem in &group.problems {
        lines.push((Tone::Bad, problem.clone()));
        lines.extend(
            raft::evidence(problem, group)
                .into_iter()
                .map(|line| (Tone::Plain, format!("    {line}"))),
        );
    }
    if !lines.is_empty() {
        let next = format!("chronikctl raft status --group {}", group.name);
        lines.push((Tone::Dim, next));
    }
    lines
}
