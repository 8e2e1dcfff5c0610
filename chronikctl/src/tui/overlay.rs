//! What lies above a page: help, a filter that is typed, explanations, the row as JSON. Keys go to whatever is on top.

use chronik_admin::v1::RaftGroup;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::Value;

use super::action::Action;
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
    /// The palette: what was typed, and the line that is chosen.
    Prompt {
        typed: String,
        at: usize,
    },
    /// A limit for moves is typed.
    Rate {
        typed: String,
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
        // What was told was read, unless it is not over.
        if !self.is_acting {
            self.told = None;
        }
        match self.overlay.take() {
            None => wish(key).map_or_else(Vec::new, |wish| self.grant(wish)),
            Some(Overlay::Help) => Vec::new(),
            Some(Overlay::Filter) => {
                self.type_filter(key);
                Vec::new()
            }
            Some(Overlay::Text { title, lines, from }) => {
                self.scroll(title, lines, from, key);
                Vec::new()
            }
            Some(Overlay::Prompt { typed, at }) => self.type_prompt(typed, at, key),
            Some(Overlay::Rate { typed }) => self.type_rate(typed, key),
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

    /// Does what a person wants of the page.
    pub(super) fn grant(&mut self, wish: Wish) -> Vec<Effect> {
        const SCREENFUL: usize = 15;
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
            Wish::NextProblem => self.visit_next(true),
            Wish::PreviousProblem => self.visit_next(false),
            Wish::Prompt => {
                let typed = String::new();
                self.overlay = Some(Overlay::Prompt { typed, at: 0 });
            }
            Wish::Explain => self.overlay = self.explanation(),
            Wish::Json => self.overlay = self.json(),
            Wish::Actions => self.overlay = Some(self.actions()),
            Wish::Faster => return self.pace_up(true),
            Wish::Slower => return self.pace_up(false),
            Wish::Pause if !self.about.is_replay => return self.steer_moves(wish),
            Wish::Pause | Wish::Steer(_) => return self.steer(wish),
            Wish::Throttle | Wish::Cancel => return self.steer_moves(wish),
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
            Screen::Metrics => self
                .node_in_question()
                .map(|id| (Screen::Node, Scope::Node(id))),
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
    pub(super) fn subject(&self) -> Option<&RaftGroup> {
        let page = self.page();
        let name = match (page.screen, &page.scope) {
            (Screen::Group, Some(Scope::Group(name))) => name.clone(),
            (Screen::Raft | Screen::Partitions | Screen::Moves, _) => self.selected_id()?,
            _ => return None,
        };
        self.data().group(&name)
    }

    /// The selected row, as the cluster told it.
    fn json(&self) -> Option<Overlay> {
        let id = self.selected_id()?;
        let value = self.value_of(&id)?;
        let text = format!("{value:#}");
        let lines = text.lines().map(|line| (Tone::Plain, line.to_owned()));
        Some(Overlay::Text {
            title: id,
            lines: lines.collect(),
            from: 0,
        })
    }

    fn value_of(&self, id: &str) -> Option<Value> {
        let data = self.data();
        let page = self.page();
        let value = match (page.screen, &page.scope) {
            (Screen::Overview | Screen::Node | Screen::Metrics, _) => {
                serde_json::to_value(data.node(self.node_in_question()?)?)
            }
            (Screen::Topics, _) => {
                let mut topics = data.topics.topics.iter();
                serde_json::to_value(topics.find(|topic| topic.name == id)?)
            }
            (Screen::Groups, _) => {
                serde_json::to_value(self.groups().iter().find(|group| group.group == id)?)
            }
            (Screen::Consumer, Some(Scope::Consumer(name))) => {
                let group = self.groups().iter().find(|group| group.group == *name)?;
                let mut positions = group.partitions.iter();
                serde_json::to_value(positions.find(|one| one.partition == id)?)
            }
            (Screen::Events, _) => {
                let number: usize = id.split_once(' ')?.1.parse().ok()?;
                serde_json::to_value(self.events().nth(number)?)
            }
            (Screen::Moves, _) => {
                let operations = data.operations.operations.iter();
                let mut moves = operations.flat_map(|operation| &operation.moves);
                serde_json::to_value(moves.find(|one| one.group == id)?)
            }
            (Screen::Group, _) => {
                let node = self.node_in_question()?;
                let mut views = self.subject()?.views.iter();
                serde_json::to_value(views.find(|view| view.node_id == node)?)
            }
            _ => serde_json::to_value(self.subject()?),
        };
        value.ok()
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
