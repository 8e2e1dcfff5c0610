//! The palette: every place and every deed by its name, found by typing a part of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::action::Action;
use super::keys::Wish;
use super::overlay::Overlay;
use super::screens::Screen;
use super::state::{Effect, Page, Scope, State};

/// One line of the palette.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) title: String,
    does: Does,
}

#[derive(Clone, Debug, PartialEq)]
enum Does {
    Open(Screen, Option<Scope>),
    Wish(Wish),
    Act(Action),
    /// Goes to a problem by its place among all of them.
    Visit(usize),
}

/// Lines that are made: nobody scrolls further instead of typing a letter more.
const MOST: usize = 200;

const DEEDS: [(&str, Wish); 10] = [
    ("filter rows", Wish::Filter),
    ("sort by the next column", Wish::Sort),
    ("only problems", Wish::OnlyProblems),
    ("freeze or go on", Wish::Freeze),
    ("explain what is red", Wish::Explain),
    ("json of the row", Wish::Json),
    ("ask more often", Wish::Faster),
    ("ask less often", Wish::Slower),
    ("help", Wish::Help),
    ("quit", Wish::Quit),
];

impl State {
    /// What every typed word is found in, screens first.
    pub(crate) fn entries(&self, typed: &str) -> Vec<Entry> {
        let typed = typed.to_lowercase();
        let words: Vec<&str> = typed.split_whitespace().collect();
        let is_wanted = |entry: &Entry| {
            let title = entry.title.to_lowercase();
            words.iter().all(|word| title.contains(word))
        };
        self.all_entries().filter(is_wanted).take(MOST).collect()
    }

    fn all_entries(&self) -> impl Iterator<Item = Entry> {
        let entry = |title: String, does: Does| Entry { title, does };
        let open = move |title: String, screen, scope| entry(title, Does::Open(screen, scope));
        let screens = Screen::NUMBERED.iter();
        let screens = screens.map(move |screen| {
            let title = format!("screen {}", screen.title());
            open(title, *screen, None)
        });
        let problems = self.problems().into_iter().enumerate();
        let problems = problems.map(move |(place, (code, item))| {
            entry(format!("problem {code} {item}"), Does::Visit(place))
        });
        let actions = self.all_actions().into_iter();
        let actions = actions.map(move |action| entry(action.title(), Does::Act(action)));
        let deeds = DEEDS.iter();
        let deeds = deeds.map(move |(title, wish)| entry((*title).to_owned(), Does::Wish(*wish)));
        let data = self.data();
        let nodes = data.cluster.nodes.iter().map(move |row| {
            let scope = Scope::Node(row.node_id);
            open(format!("node {}", row.node_id), Screen::Node, Some(scope))
        });
        let topics = data.topics.topics.iter().map(move |topic| {
            let scope = Scope::Topic(topic.name.clone());
            open(
                format!("topic {}", topic.name),
                Screen::Partitions,
                Some(scope),
            )
        });
        let consumers = self.groups().iter().map(move |group| {
            let scope = Scope::Consumer(group.group.clone());
            open(
                format!("group {}", group.group),
                Screen::Consumer,
                Some(scope),
            )
        });
        let partitions = data.raft.groups.iter().map(move |group| {
            let scope = Scope::Group(group.name.clone());
            open(
                format!("partition {}", group.name),
                Screen::Group,
                Some(scope),
            )
        });
        let places = nodes.chain(topics).chain(consumers).chain(partitions);
        screens
            .chain(problems)
            .chain(actions)
            .chain(deeds)
            .chain(places)
    }

    pub(super) fn type_prompt(
        &mut self,
        mut typed: String,
        at: usize,
        key: KeyEvent,
    ) -> Vec<Effect> {
        let mut at = at;
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Enter => {
                let mut entries = self.entries(&typed);
                return match at < entries.len() {
                    true => self.follow(entries.swap_remove(at).does),
                    false => Vec::new(),
                };
            }
            KeyCode::Down | KeyCode::Tab => {
                let last = self.entries(&typed).len().saturating_sub(1);
                at = (at + 1).min(last);
            }
            KeyCode::Up | KeyCode::BackTab => at = at.saturating_sub(1),
            KeyCode::Backspace => {
                typed.pop();
                at = 0;
            }
            KeyCode::Char(letter) => {
                typed.push(letter);
                at = 0;
            }
            _ => {}
        }
        self.overlay = Some(Overlay::Prompt { typed, at });
        Vec::new()
    }

    fn follow(&mut self, does: Does) -> Vec<Effect> {
        match does {
            Does::Open(screen, None) => self.go_to(screen),
            Does::Open(screen, scope) => self.open(Page::new(screen, scope)),
            Does::Visit(place) => self.visit(place),
            Does::Wish(wish) => return self.grant(wish),
            Does::Act(action) => return self.ask_for(action),
        }
        Vec::new()
    }
}
