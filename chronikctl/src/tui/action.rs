//! What can be changed from the view: offered, planned, confirmed. Each action is a command, and takes its path.

use chronik_admin::v1::Operation;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::{Wish, wish};
use super::overlay::Overlay;
use super::screens::Screen;
use super::state::{Effect, Scope, State};
use crate::cli::{Rate, rate};
use crate::commands::raft;
use crate::output::Tone;

/// Something that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    StepDown {
        group: String,
    },
    Transfer {
        group: String,
        to: u64,
    },
    Drain {
        node: u64,
    },
    Undrain {
        node: u64,
    },
    /// Of one group by its leader, or of one node.
    SnapshotGroup {
        group: String,
    },
    SnapshotNode {
        node: u64,
    },
    Rebalance,
    Throttle {
        rate: Rate,
    },
    Pause {
        operation: u64,
    },
    Resume {
        operation: u64,
    },
    Cancel {
        operation: u64,
    },
    RollBack {
        operation: u64,
    },
}

impl Action {
    /// The line that does the same.
    pub(crate) fn command(&self) -> String {
        match self {
            Action::StepDown { group } => format!("chronikctl raft step-down --group {group}"),
            Action::Transfer { group, to } => {
                format!("chronikctl raft transfer --group {group} --to {to}")
            }
            Action::Drain { node } => format!("chronikctl node drain {node} --no-wait"),
            Action::Undrain { node } => format!("chronikctl node undrain {node} --no-wait"),
            Action::SnapshotGroup { group } => {
                format!("chronikctl raft snapshot --group {group} --no-wait")
            }
            Action::SnapshotNode { node } => {
                format!("chronikctl snapshot create --node {node} --no-wait")
            }
            Action::Rebalance => "chronikctl rebalance plan --save plan.json && \
                                  chronikctl rebalance apply plan.json --no-wait"
                .to_owned(),
            Action::Throttle { rate } => format!("chronikctl rebalance throttle {rate}"),
            Action::Pause { operation } => format!("chronikctl rebalance pause {operation}"),
            Action::Resume { operation } => format!("chronikctl rebalance resume {operation}"),
            Action::Cancel { operation } => {
                format!("chronikctl rebalance cancel {operation} --no-wait")
            }
            Action::RollBack { operation } => {
                format!("chronikctl rebalance rollback {operation} --no-wait")
            }
        }
    }

    fn is_of_node(&self) -> bool {
        matches!(
            self,
            Action::Drain { .. } | Action::Undrain { .. } | Action::SnapshotNode { .. }
        )
    }

    pub(crate) fn title(&self) -> String {
        match self {
            Action::StepDown { group } => format!("{group}: the leader steps down"),
            Action::Transfer { group, to } => format!("{group}: node {to} leads"),
            Action::Drain { node } => format!("drain node {node}: move everything away from it"),
            Action::Undrain { node } => format!("undrain node {node}: give it its share"),
            Action::SnapshotGroup { group } => format!("{group}: its leader makes a snapshot"),
            Action::SnapshotNode { node } => format!("node {node} makes a snapshot of its state"),
            Action::Rebalance => "rebalance: even out replicas and leaders".to_owned(),
            Action::Throttle { rate } => format!("throttle moves: {rate}"),
            Action::Pause { operation } => format!("operation {operation}: stand still"),
            Action::Resume { operation } => format!("operation {operation}: go on"),
            Action::Cancel { operation } => {
                format!("operation {operation}: bring back what has not arrived")
            }
            Action::RollBack { operation } => {
                format!("operation {operation}: bring everything back")
            }
        }
    }
}

/// What can be done with any node.
fn of_node(node: u64) -> [Action; 3] {
    [
        Action::Drain { node },
        Action::Undrain { node },
        Action::SnapshotNode { node },
    ]
}

impl State {
    /// Why nothing can be changed here, if that is so.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match (self.about.is_replay, self.about.is_read_only) {
            (true, _) => Some("a recording cannot be changed"),
            (_, true) => Some("nothing can be changed: this view is read-only"),
            _ => None,
        }
    }

    /// What the page and its selected row offer.
    pub(super) fn offered(&self) -> Vec<Action> {
        let mut offered = Vec::new();
        if self.refusal().is_some() {
            return offered;
        }
        if let Some(group) = self.subject() {
            let group_name = &group.name;
            offered.push(Action::StepDown {
                group: group_name.clone(),
            });
            let leader = raft::leader(group).into_iter();
            let others = leader.flat_map(|view| &view.voters);
            let others = others.filter(|node| Some(**node) != group.leader);
            offered.extend(others.map(|node| Action::Transfer {
                group: group_name.clone(),
                to: *node,
            }));
            offered.push(Action::SnapshotGroup {
                group: group_name.clone(),
            });
        }
        if let Some(node) = self.node_in_question() {
            offered.extend(of_node(node));
        }
        if let Some(operation) = self.operation_in_question() {
            offered.push(pause_or_resume(operation));
            let operation = operation.operation_id;
            offered.extend([Action::Cancel { operation }, Action::RollBack { operation }]);
        }
        offered.push(Action::Rebalance);
        offered
    }

    /// What can be done with the selected Raft group, and with every node.
    pub(super) fn all_actions(&self) -> Vec<Action> {
        let mut actions = self.offered();
        actions.retain(|action| !action.is_of_node());
        if self.refusal().is_none() {
            let nodes = self.data().cluster.nodes.iter().map(|row| row.node_id);
            actions.extend(nodes.flat_map(of_node));
        }
        actions
    }

    /// The node that the page or its selected row is about.
    pub(super) fn node_in_question(&self) -> Option<u64> {
        let page = self.page();
        if let (Screen::Node, Some(Scope::Node(node))) = (page.screen, &page.scope) {
            return Some(*node);
        }
        let id = match page.screen {
            Screen::Overview | Screen::Group | Screen::Metrics => self.selected_id()?,
            _ => return None,
        };
        let number = id.rsplit_once("node ")?.1;
        number.parse().ok()
    }

    /// The operation that the selected row is part of.
    fn operation_in_question(&self) -> Option<&Operation> {
        let group = self.selected_id()?;
        let mut operations = self.data().operations.operations.iter();
        let has_it = |known: &&Operation| known.moves.iter().any(|one| one.group == group);
        operations.find(|known| self.page().screen == Screen::Moves && has_it(known))
    }

    /// What a key of the screen of moves is for, or why it is of no use.
    pub(super) fn steer_moves(&mut self, wish: Wish) -> Vec<Effect> {
        let action = match (self.refusal(), self.page().screen, wish) {
            (Some(why), ..) => Err(why),
            (None, Screen::Moves, Wish::Throttle) => {
                self.overlay = Some(Overlay::Rate {
                    typed: String::new(),
                });
                return Vec::new();
            }
            (None, Screen::Moves, Wish::Cancel) => {
                let chosen = self.operation_in_question();
                chosen
                    .map(|known| Action::Cancel {
                        operation: known.operation_id,
                    })
                    .ok_or("nothing is under way that could be cancelled")
            }
            (None, Screen::Moves, _) => {
                let chosen = self.operation_in_question();
                chosen
                    .map(pause_or_resume)
                    .ok_or("nothing is under way that could be paused")
            }
            _ => Err("this key is for the screen of moves"),
        };
        match action {
            Ok(action) => self.ask_for(action),
            Err(why) => {
                self.told = Some((Tone::Plain, why.to_owned()));
                Vec::new()
            }
        }
    }

    pub(super) fn type_rate(&mut self, mut typed: String, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Enter => match rate(&typed) {
                Ok(rate) => return self.ask_for(Action::Throttle { rate }),
                Err(why) => self.told = Some((Tone::Bad, why)),
            },
            KeyCode::Backspace => _ = typed.pop(),
            KeyCode::Char(letter) => typed.push(letter),
            _ => {}
        }
        self.overlay = Some(Overlay::Rate { typed });
        Vec::new()
    }

    pub(super) fn actions(&self) -> Overlay {
        match self.refusal() {
            Some(why) => Overlay::Text {
                title: "Actions".to_owned(),
                lines: vec![(Tone::Plain, why.to_owned())],
                from: 0,
            },
            None => Overlay::Actions {
                actions: self.offered(),
                at: 0,
            },
        }
    }

    pub(super) fn choose(
        &mut self,
        mut actions: Vec<Action>,
        at: usize,
        key: KeyEvent,
    ) -> Vec<Effect> {
        let last = actions.len() - 1;
        let at = match wish(key) {
            Some(Wish::Down) => (at + 1).min(last),
            Some(Wish::Up) => at.saturating_sub(1),
            Some(Wish::In) => return self.ask_for(actions.swap_remove(at)),
            Some(Wish::Out | Wish::Quit) => return Vec::new(),
            _ => at,
        };
        self.overlay = Some(Overlay::Actions { actions, at });
        Vec::new()
    }

    /// The plan of an action, before anybody decides.
    pub(super) fn ask_for(&mut self, action: Action) -> Vec<Effect> {
        self.overlay = Some(Overlay::Waiting(action.clone()));
        vec![Effect::Plan(action)]
    }

    pub(super) fn decide(
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
            return vec![Effect::Act(action, lines)];
        }
        self.overlay = Some(Overlay::Confirm {
            action,
            lines,
            name,
            typed,
        });
        Vec::new()
    }
}

fn pause_or_resume(known: &Operation) -> Action {
    let operation = known.operation_id;
    match known.paused {
        true => Action::Resume { operation },
        false => Action::Pause { operation },
    }
}
