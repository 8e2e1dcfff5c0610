//! What lies above a page.

use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::Canvas;
use crate::output::Tone;
use crate::tui::action::Action;
use crate::tui::keys::KEYS;
use crate::tui::overlay::Overlay;
use crate::tui::prompt::Entry;
use crate::tui::state::State;

type Line = (Tone, String);

const PALETTE_ROWS: usize = 14;
const PALETTE_COLUMNS: usize = 56;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let Some(overlay) = &state.overlay else {
        return;
    };
    let (title, lines, hint) = match overlay {
        Overlay::Filter => return,
        Overlay::Help => ("Keys".to_owned(), help(), "any key closes this"),
        Overlay::Text { title, lines, from } => {
            let rest = lines.iter().skip(*from).cloned();
            (title.clone(), rest.collect(), "j k scroll, esc closes this")
        }
        Overlay::Prompt { typed, at } => {
            let room = usize::from(area.height).saturating_sub(5).min(PALETTE_ROWS);
            let lines = palette(state, typed, *at, room);
            let title = format!(":{typed}_");
            (
                title,
                lines,
                "a part of any name; arrows choose, enter goes",
            )
        }
        Overlay::Rate { typed } => {
            let line = (Tone::Strong, format!("{typed}_"));
            let hint = "such as 50MiB/s from each node, or none; enter shows the plan";
            ("Throttle moves".to_owned(), vec![line], hint)
        }
        Overlay::Actions { actions, at } => {
            let line = |(number, action): (usize, &Action)| {
                let (edge, tone) = match number == *at {
                    true => ("> ", Tone::Strong),
                    false => ("  ", Tone::Plain),
                };
                (tone, format!("{edge}{}", action.title()))
            };
            let mut lines: Vec<Line> = actions.iter().enumerate().map(line).collect();
            lines.push((Tone::Plain, String::new()));
            lines.push((Tone::Dim, actions[*at].command()));
            ("Actions".to_owned(), lines, "enter shows what it would do")
        }
        Overlay::Waiting(action) => {
            let line = (
                Tone::Dim,
                "the cluster is asked what would happen".to_owned(),
            );
            (action.title(), vec![line], "esc closes this")
        }
        Overlay::Confirm {
            action,
            lines,
            name,
            typed,
        } => {
            let mut all = lines.clone();
            all.push((Tone::Plain, String::new()));
            all.push((Tone::Dim, action.command()));
            all.push(match name {
                None => (Tone::Strong, "y does it, esc does not".to_owned()),
                Some(name) => {
                    let line = format!("{name} is protected. Type its name and enter: {typed}_");
                    (Tone::Strong, line)
                }
            });
            (action.title(), all, "nothing has been changed yet")
        }
    };
    boxed(canvas, area, &title, &lines, hint);
}

/// The entries around the chosen one. As wide as the page allows, so that it does not jump while somebody types.
fn palette(state: &State, typed: &str, at: usize, room: usize) -> Vec<Line> {
    let entries = state.entries(typed);
    let last = entries.len().saturating_sub(room);
    let from = at.saturating_sub(room / 2).min(last);
    let line = |(number, entry): (usize, &Entry)| {
        let (edge, tone) = match number == at {
            true => ("> ", Tone::Strong),
            false => ("  ", Tone::Plain),
        };
        let width = PALETTE_COLUMNS;
        (tone, format!("{edge}{:<width$}", entry.title))
    };
    let shown = entries.iter().enumerate().skip(from).take(room);
    let mut lines: Vec<Line> = shown.map(line).collect();
    if lines.is_empty() {
        lines.push((
            Tone::Dim,
            format!("{:<PALETTE_COLUMNS$}", "  nothing has such a name"),
        ));
    }
    lines
}

fn help() -> Vec<Line> {
    let line = |(keys, what): &(&str, &str)| (Tone::Plain, format!("{keys:<14} {what}"));
    KEYS.iter().map(line).collect()
}

/// A line that is too long goes on below, as deep as it began.
fn wrapped(lines: &[Line], width: usize) -> Vec<Line> {
    let mut all = Vec::new();
    for (tone, line) in lines {
        let depth = line.chars().take_while(|sign| *sign == ' ').count();
        let mut rest: &str = line;
        let mut edge = String::new();
        loop {
            let room = width.saturating_sub(edge.len()).max(1);
            let Some((end, _)) = rest.char_indices().nth(room) else {
                all.push((*tone, format!("{edge}{rest}")));
                break;
            };
            // Between two words, where there are words.
            let cut = rest[..end].rfind(' ').filter(|at| *at > depth);
            let cut = cut.unwrap_or(end);
            all.push((*tone, format!("{edge}{}", &rest[..cut])));
            rest = rest[cut..].trim_start();
            edge = " ".repeat(depth.min(width / 2));
        }
    }
    all
}

fn boxed(canvas: &mut Canvas<'_>, area: Rect, title: &str, lines: &[Line], hint: &str) {
    /// The frame, and a blank on both sides.
    const EDGES: u16 = 4;
    let lines = wrapped(lines, usize::from(area.width - EDGES));
    let widest = lines.iter().map(|(_, line)| line.chars().count());
    let widest = widest
        .max()
        .unwrap_or(0)
        .max(title.chars().count())
        .max(hint.len());
    let width = u16::try_from(widest)
        .unwrap_or(u16::MAX)
        .saturating_add(EDGES)
        .min(area.width);
    let height = u16::try_from(lines.len() + 3)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(place, canvas.buffer);
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(place);
    block.render(place, canvas.buffer);
    let room = inside.height.saturating_sub(1);
    let inner = Rect {
        x: inside.x + 1,
        width: inside.width.saturating_sub(2),
        ..inside
    };
    for (line, at) in lines.iter().zip(0..room) {
        canvas.line(inner, inside.y + at, std::slice::from_ref(line));
    }
    let note = [(Tone::Dim, hint.to_owned())];
    canvas.line(inner, inside.bottom() - 1, &note);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below_at_their_depth() {
        let told = |line: &str, width| {
            let lines = wrapped(&[(Tone::Plain, line.to_owned())], width);
            lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
        };
        assert_eq!(told("short", 10), ["short"]);
        assert_eq!(told("  one two three", 8), ["  one", "  two", "  three"]);
        assert_eq!(told("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(told("ähnlich wie üblich", 8), ["ähnlich", "wie", "üblich"]);
        assert_eq!(told("", 4), [""]);
    }
}
