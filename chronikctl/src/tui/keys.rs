//! Keys and what they mean: one table, which also is the help.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::replay::Steer;

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    PreviousProblem,
    Prompt,
    Explain,
    Json,
    Actions,
    Faster,
    Slower,
    /// A recording or an operation stands still, or goes on.
    Pause,
    /// Moves may go as fast as is typed.
    Throttle,
    Cancel,
    /// Another place of a recording.
    Steer(Steer),
    Help,
    Suspend,
    Quit,
}

/// Keys, what they do, and the word for it.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("1 .. 8", "the screens of the line at the top"),
    (
        "j k, arrows",
        "down, up; PgDn and PgUp a screen, g and G to the ends",
    ),
    ("enter, esc", "into the row, and back"),
    (":", "palette: screens, problems, rows and actions by name"),
    ("/", "filter: text  !text  field>n  field<n  field=text"),
    ("S, I", "sort by the next column, the other way around"),
    ("z", "only rows with a problem"),
    (
        "n, N",
        "to the next problem of the second line, to the last one",
    ),
    ("f", "freeze what is shown; collecting goes on"),
    ("X, y", "explain why the row is red; the row as JSON"),
    ("A", "actions: what can be done with the row"),
    (
        "T, p, C",
        "on Moves: throttle them; pause or resume, cancel an operation",
    ),
    ("+ -", "ask more often, less often"),
    (
        "p",
        "in a recording: stand still, go on; + - change how fast",
    ),
    (", .", "in a recording: one look back, one look on"),
    (
        "< > { }",
        "in a recording: a minute, ten minutes; E the end",
    ),
    ("? ctrl-z q", "this help, suspend, quit"),
];

const MINUTE_MS: i64 = 60_000;

/// What a key means where nothing is typed.
pub(crate) fn wish(key: KeyEvent) -> Option<Wish> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if is_control => Wish::Quit,
        KeyCode::Char('z') if is_control => Wish::Suspend,
        _ if is_control => return None,
        KeyCode::Char(digit @ '1'..='8') => Wish::Screen(digit as usize - '1' as usize),
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
        KeyCode::Char('N') => Wish::PreviousProblem,
        KeyCode::Char(':') => Wish::Prompt,
        KeyCode::Char('p') => Wish::Pause,
        KeyCode::Char('T') => Wish::Throttle,
        KeyCode::Char('C') => Wish::Cancel,
        KeyCode::Char(',') => Wish::Steer(Steer::Back),
        KeyCode::Char('.') => Wish::Steer(Steer::Step),
        KeyCode::Char('<') => Wish::Steer(Steer::By(-MINUTE_MS)),
        KeyCode::Char('>') => Wish::Steer(Steer::By(MINUTE_MS)),
        KeyCode::Char('{') => Wish::Steer(Steer::By(-10 * MINUTE_MS)),
        KeyCode::Char('}') => Wish::Steer(Steer::By(10 * MINUTE_MS)),
        KeyCode::Char('E') => Wish::Steer(Steer::End),
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
