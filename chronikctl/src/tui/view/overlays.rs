//! What lies above a page.

use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::Canvas;
use crate::output::Tone;
use crate::tui::keys::KEYS;
use crate::tui::overlay::Overlay;
use crate::tui::state::State;

type Line = (Tone, String);

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
        Overlay::Actions { actions, at } => {
            let line = |(number, action): (usize, &crate::tui::overlay::Action)| {
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
                "the leader is asked what would happen".to_owned(),
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

fn help() -> Vec<Line> {
    let line = |(keys, what): &(&str, &str)| (Tone::Plain, format!("{keys:<14} {what}"));
    KEYS.iter().map(line).collect()
}

fn boxed(canvas: &mut Canvas<'_>, area: Rect, title: &str, lines: &[Line], hint: &str) {
    let widest = lines.iter().map(|(_, line)| line.chars().count());
    let widest = widest
        .max()
        .unwrap_or(0)
        .max(title.chars().count())
        .max(hint.len());
    let width = u16::try_from(widest + 4)
        .unwrap_or(u16::MAX)
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
