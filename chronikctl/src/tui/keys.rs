//! Keys and what they mean: one table, which also is the help.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Screen(usize),
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    In,
    Out,
    Filter,
    Sort,
    Invert,
    OnlyProblems,
    Freeze,
    NextProblem,
    Explain,
    Json,
    Actions,
    Faster,
    Slower,
    Help,
    Suspend,
    Quit,
}

/// Keys, what they do, and the word for it.
pub(crate) const KEYS: &[(&str, &str)] = &[
    (
        "1 .. 7",
        "Overview, Raft, Partitions, Topics, Groups, Moves, Events",
    ),
    (
        "j k, arrows",
        "down, up; PgDn and PgUp a screen, g and G to the ends",
    ),
    ("enter, esc", "into the row, and back"),
    ("/", "filter: text  !text  field>n  field<n  field=text"),
    ("S, I", "sort by the next column, the other way around"),
    ("z", "only rows with a problem"),
    ("n", "to the next problem of the strip below the head"),
    ("f", "freeze what is shown; collecting goes on"),
    ("X", "explain why the row is red"),
    ("y", "the row as JSON"),
    ("A", "actions: what can be done with the row"),
    ("+ -", "ask more often, less often"),
    ("?", "this help"),
    ("ctrl-z, q", "suspend, quit"),
];

/// What a key means where nothing is typed.
pub(crate) fn wish(key: KeyEvent) -> Option<Wish> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if is_control => Wish::Quit,
        KeyCode::Char('z') if is_control => Wish::Suspend,
        _ if is_control => return None,
        KeyCode::Char(digit @ '1'..='7') => Wish::Screen(digit as usize - '1' as usize),
        KeyCode::Char('j') | KeyCode::Down => Wish::Down,
        KeyCode::Char('k') | KeyCode::Up => Wish::Up,
        KeyCode::PageDown | KeyCode::Char(' ') => Wish::PageDown,
        KeyCode::PageUp => Wish::PageUp,
        KeyCode::Char('g') | KeyCode::Home => Wish::First,
        KeyCode::Char('G') | KeyCode::End => Wish::Last,
        KeyCode::Enter | KeyCode::Right => Wish::In,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => Wish::Out,
        KeyCode::Char('/') => Wish::Filter,
        KeyCode::Char('S') => Wish::Sort,
        KeyCode::Char('I') => Wish::Invert,
        KeyCode::Char('z') => Wish::OnlyProblems,
        KeyCode::Char('f') => Wish::Freeze,
        KeyCode::Char('n') => Wish::NextProblem,
        KeyCode::Char('X') => Wish::Explain,
        KeyCode::Char('y') => Wish::Json,
        KeyCode::Char('A') => Wish::Actions,
        KeyCode::Char('+') => Wish::Faster,
        KeyCode::Char('-') => Wish::Slower,
        KeyCode::Char('?') => Wish::Help,
        KeyCode::Char('q') => Wish::Quit,
        _ => return None,
    })
}
