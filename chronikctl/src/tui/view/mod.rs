//! Draws a state. Nothing here waits, asks or changes anything.

mod overlays;
mod palette;
mod table;

use chronik_admin::v1::Reason;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::screens::Screen;
use super::state::{Scope, State};
use crate::output::{Tone, duration_ms};

pub(crate) use palette::Palette;

/// Smaller screens get a sentence.
pub(crate) const LEAST: (u16, u16) = (80, 24);

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, palette: Palette) {
    let area = frame.area();
    render(frame.buffer_mut(), area, state, palette);
}

pub(crate) fn render(buffer: &mut Buffer, area: Rect, state: &State, palette: Palette) {
    let mut canvas = Canvas { buffer, palette };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let line = format!("this screen is too small: {width}x{height} at least");
        canvas.line(area, area.y, &[(Tone::Warn, line)]);
        return;
    }
    canvas.line(area, area.y, &head(state));
    canvas.line(area, area.y + 1, &strip(state, usize::from(area.width)));
    canvas.line(area, area.y + 2, &tabs(state));
    let body = Rect {
        y: area.y + 3,
        height: area.height - 4,
        ..area
    };
    body_of(&mut canvas, body, state);
    canvas.line(area, area.bottom() - 1, &foot(state));
    overlays::draw(&mut canvas, body, state);
}

/// A buffer and the colours to fill it with.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    palette: Palette,
}

impl Canvas<'_> {
    /// One line of pieces, cut at the right edge.
    fn line(&mut self, area: Rect, y: u16, pieces: &[(Tone, String)]) {
        let mut x = area.x;
        for (tone, text) in pieces {
            let left = usize::from(area.right().saturating_sub(x));
            let style = self.palette.style(*tone);
            x = self.buffer.set_stringn(x, y, text, left, style).0;
        }
    }
}

fn head(state: &State) -> Vec<(Tone, String)> {
    let data = state.data();
    let about = &state.about;
    let mut pieces = vec![(Tone::Strong, about.context.clone())];
    let mut mark = |is_set: bool, tone: Tone, text: &str| {
        if is_set {
            pieces.push((tone, format!(" [{text}]")));
        }
    };
    mark(about.is_protected, Tone::Warn, "PROTECTED");
    mark(about.is_read_only, Tone::Dim, "READ-ONLY");
    mark(about.is_replay, Tone::Warn, "REPLAY");
    if let Some(since) = state.frozen_for() {
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        mark(true, Tone::Warn, &format!("FROZEN {}", duration_ms(ms)));
    }
    if data.at_ms == 0 {
        pieces.push((Tone::Dim, " | nothing is known yet".to_owned()));
        pieces.extend(failure(state));
        return pieces;
    }
    let health = data.cluster.health.as_ref();
    pieces.push(match health.is_some_and(|health| health.healthy) {
        true => (Tone::Good, " | healthy".to_owned()),
        false => (Tone::Bad, " | UNHEALTHY".to_owned()),
    });
    let nodes = &data.cluster.nodes;
    let there = nodes.iter().filter(|row| row.reachable).count();
    let tone = if there < nodes.len() {
        Tone::Bad
    } else {
        Tone::Plain
    };
    pieces.push((tone, format!(" | nodes {there}/{}", nodes.len())));
    let leaders: Vec<String> = data.leaders().values().map(u64::to_string).collect();
    pieces.push((Tone::Plain, format!(" | leaders {}", leaders.join("/"))));
    let meta = data.cluster.metadata_leader.as_ref();
    pieces.push(
        match meta.and_then(|leader| Some((leader.node_id?, leader.term))) {
            Some((node, term)) => (Tone::Plain, format!(" | meta on {node}, term {term}")),
            None => (Tone::Bad, " | meta LEADERLESS".to_owned()),
        },
    );
    let interval = u64::try_from(state.interval.as_millis()).unwrap_or(u64::MAX);
    let age = state.shown_ms().saturating_sub(data.at_ms);
    let is_old = age > interval.saturating_mul(3).max(3_000);
    let told = format!(
        " | every {}, {} old",
        duration_ms(interval),
        duration_ms(age)
    );
    pieces.push((if is_old { Tone::Bad } else { Tone::Dim }, told));
    pieces.extend(failure(state));
    pieces
}

fn failure(state: &State) -> Option<(Tone, String)> {
    let why = state.failure.as_ref()?;
    Some((Tone::Bad, format!(" | NO ANSWER: {why}")))
}

/// What is wrong, in one line: sentences where they fit, codes with their counts elsewhere.
fn strip(state: &State, width: usize) -> Vec<(Tone, String)> {
    const HINT: &str = "   (n: next)";
    let health = state.data().cluster.health.as_ref();
    let reasons = health.map_or(&[][..], |health| &health.reasons);
    if reasons.is_empty() {
        return vec![(Tone::Dim, "no problem is known".to_owned())];
    }
    let told = |tell: fn(&Reason) -> String| {
        let told: Vec<String> = reasons.iter().map(tell).collect();
        told.join("   ")
    };
    let sentences = told(|reason| format!("! {}", reason.message));
    let line = match sentences.chars().count() + HINT.len() <= width {
        true => sentences,
        false => told(|reason| format!("! {} {}", reason.code, reason.count)),
    };
    vec![(Tone::Bad, line), (Tone::Dim, HINT.to_owned())]
}

fn tabs(state: &State) -> Vec<(Tone, String)> {
    let page = state.page();
    let tabs = Screen::NUMBERED
        .iter()
        .zip(1..)
        .flat_map(|(screen, number)| {
            let is_here = *screen == page.screen && page.scope.is_none();
            let tone = if is_here { Tone::Strong } else { Tone::Dim };
            let name = match is_here {
                true => format!("[{number} {}]", screen.title()),
                false => format!(" {number} {} ", screen.title()),
            };
            [(tone, name)]
        });
    tabs.collect()
}

fn foot(state: &State) -> Vec<(Tone, String)> {
    use super::overlay::Overlay;
    let page = state.page();
    if matches!(state.overlay, Some(Overlay::Filter)) {
        let hint = "   (text  !text  field>n  field<n  field=text; enter keeps it, esc clears it)";
        return vec![
            (Tone::Strong, format!("/{}_", page.filter)),
            (Tone::Dim, hint.to_owned()),
        ];
    }
    let mut pieces = Vec::new();
    if let Some((tone, line)) = &state.told {
        pieces.push((*tone, format!("{line}   ")));
    }
    let out = if state.depth() > 1 { "esc back  " } else { "" };
    let keys = format!("{out}? help  / filter  enter in  f freeze  X explain  A actions  q quit");
    pieces.push((Tone::Dim, keys));
    pieces
}

fn body_of(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let page = state.page();
    // What belongs to a page besides its rows gets the lower part.
    let (below, lines) = match page.screen {
        Screen::Overview => ("Recent events", recent(state, None)),
        Screen::Group => match &page.scope {
            Some(Scope::Group(name)) => ("Its events", recent(state, Some(name))),
            _ => ("", Vec::new()),
        },
        Screen::Moves => {
            let lines = state.operations();
            let lines = lines.map(|line| vec![(Tone::Plain, format!("  {line}"))]);
            ("Operations", lines.collect())
        }
        _ => ("", Vec::new()),
    };
    if below.is_empty() {
        table::draw(canvas, area, state);
        return;
    }
    let (grid, _) = state.rows();
    let wanted = u16::try_from(grid.rows.len() + 3).unwrap_or(u16::MAX);
    let upper = wanted.min(area.height * 2 / 3);
    table::draw(
        canvas,
        Rect {
            height: upper,
            ..area
        },
        state,
    );
    let title = [(Tone::Strong, below.to_owned())];
    canvas.line(area, area.y + upper, &title);
    let room = area.height.saturating_sub(upper + 1);
    if lines.is_empty() {
        let nothing = [(Tone::Dim, "  none that is known".to_owned())];
        canvas.line(area, area.y + upper + 1, &nothing);
    }
    for (line, at) in lines.into_iter().zip(0..room) {
        canvas.line(area, area.y + upper + 1 + at, &line);
    }
}

/// Events, the newest first.
fn recent(state: &State, group: Option<&str>) -> Vec<Vec<(Tone, String)>> {
    const MOST: usize = 200;
    let is_wanted = |event: &&chronik_admin::v1::ClusterEvent| {
        group.is_none() || event.group.as_deref() == group
    };
    let newest = state.events().rev().filter(is_wanted).take(MOST);
    let line = |event: &chronik_admin::v1::ClusterEvent| {
        let time = crate::clock::rfc3339(event.at_ms);
        let tone = crate::commands::events::tone(&event.kind);
        vec![
            (Tone::Dim, format!("  {}  ", &time[11..23])),
            (tone, format!("{:<15} ", event.kind)),
            (Tone::Plain, event.message.clone()),
        ]
    };
    newest.map(line).collect()
}
