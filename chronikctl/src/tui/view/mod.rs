//! Draws a state. Nothing here waits, asks or changes anything.

mod overlays;
mod palette;
mod table;

use chronik_admin::v1::{ClusterEvent, Reason};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::screens::Screen;
use super::state::{Scope, State};
use crate::clock;
use crate::output::{Tone, duration_ms};

pub(crate) use palette::Palette;

/// Screens of so many lines show what happened to the selected Raft group, in so many of them.
const TIMELINE_FROM: u16 = 30;
const TIMELINE: u16 = 8;
/// Smaller screens get a sentence.
pub(crate) const LEAST: (u16, u16) = (80, 24);

/// Screens that are narrower get shorter words.
const ROOMY: u16 = 100;

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
    canvas.line(area, area.y, &head(state, area.width));
    canvas.line(area, area.y + 1, &strip(state, usize::from(area.width)));
    canvas.line(area, area.y + 2, &tabs(state, area.width));
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

fn head(state: &State, width: u16) -> Vec<(Tone, String)> {
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
    if about.is_replay {
        let paused = if state.play.is_paused { ", PAUSED" } else { "" };
        let time = clock::rfc3339(state.shown_ms());
        let speed = state.play.speed;
        mark(
            true,
            Tone::Warn,
            &format!("REPLAY {} x{speed}{paused}", &time[11..19]),
        );
    }
    if let Some(since) = state.frozen_for() {
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        mark(true, Tone::Warn, &format!("FROZEN {}", duration_ms(ms)));
    }
    if data.at_ms == 0 {
        pieces.push((Tone::Dim, " | nothing is known yet".to_owned()));
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
    let age = format!("{} old", duration_ms(age));
    // The time of a recording stands at the front.
    let told = match width < ROOMY || state.about.is_replay {
        true => format!(" | {age}"),
        false => format!(" | every {}, {age}", duration_ms(interval)),
    };
    pieces.push((if is_old { Tone::Bad } else { Tone::Dim }, told));
    pieces
}

/// What is wrong, in one line: sentences where they fit, codes with their counts elsewhere.
fn strip(state: &State, width: usize) -> Vec<(Tone, String)> {
    const HINT: &str = "   (n: next)";
    if let Some(why) = &state.failure {
        return vec![(Tone::Bad, format!("! NO ANSWER: {why}"))];
    }
    let health = state.data().cluster.health.as_ref();
    let reasons = health.map_or(&[][..], |health| &health.reasons);
    if health.is_none() {
        return Vec::new();
    }
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

/// The screens by number. The one that is shown stands in brackets, which take the place of blanks.
fn tabs(state: &State, width: u16) -> Vec<(Tone, String)> {
    let page = state.page();
    let is_here = |screen: Screen| screen == page.screen && page.scope.is_none();
    let between = if width < ROOMY { "" } else { " " };
    let mut pieces = Vec::new();
    let mut before = " ";
    for (screen, number) in Screen::NUMBERED.into_iter().zip(1..) {
        let name = format!("{number} {}", screen.title());
        let (tone, edge, after) = match is_here(screen) {
            true => (Tone::Strong, "[", "]"),
            false => (Tone::Dim, before, " "),
        };
        pieces.push((tone, format!("{edge}{name}")));
        before = after;
        if !between.is_empty() || after == "]" {
            pieces.push((tone, after.to_owned()));
            before = between;
        }
    }
    pieces
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
    if state.about.is_replay {
        let keys = "? help  p pause  , . one look  < > a minute  E end  + - speed  q quit";
        pieces.push((Tone::Dim, format!("{out}{keys}")));
        return pieces;
    }
    let keys = match page.screen {
        Screen::Moves => {
            "? help  / filter  enter in  A actions  T throttle  p pause  C cancel  q quit"
        }
        _ => "? help  : palette  / filter  enter in  f freeze  X explain  A actions  q quit",
    };
    let keys = format!("{out}{keys}");
    pieces.push((Tone::Dim, keys));
    pieces
}

fn body_of(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let page = state.page();
    // What belongs to a page besides its rows gets the lower part.
    let (below, lines) = match page.screen {
        Screen::Overview => ("Recent events", recent(state, None)),
        Screen::Raft if area.height >= TIMELINE_FROM => {
            let group = state.selected_id().unwrap_or_default();
            (
                "Its leaders and nodes, the newest first",
                recent(state, Some(&group)),
            )
        }
        Screen::Group => match &page.scope {
            Some(Scope::Group(name)) => ("Its events", recent(state, Some(name))),
            _ => ("", Vec::new()),
        },
        Screen::Moves => {
            let lines = state.operations().into_iter();
            let lines = lines.map(|(tone, line)| vec![(tone, format!("  {line}"))]);
            ("Operations", lines.collect())
        }
        _ => ("", Vec::new()),
    };
    if below.is_empty() {
        table::draw(canvas, area, state);
        return;
    }
    let grid = state.grid();
    let wanted = u16::try_from(grid.rows.len() + 3).unwrap_or(u16::MAX);
    let upper = match page.screen {
        Screen::Raft => wanted.min(area.height - TIMELINE),
        _ => wanted.min(area.height * 2 / 3),
    };
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

/// Events, the newest first, and those of one kind and moment in one line.
fn recent(state: &State, group: Option<&str>) -> Vec<Vec<(Tone, String)>> {
    const MOST: usize = 5_000;
    let is_wanted = |event: &&ClusterEvent| group.is_none() || event.group.as_deref() == group;
    let newest = state.events().rev().filter(is_wanted).take(MOST);
    let line = |event: &ClusterEvent, alike: usize| {
        let time = clock::rfc3339(event.at_ms);
        let tone = crate::commands::events::tone(&event.kind);
        let more = match alike {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        vec![
            (Tone::Dim, format!("  {}  ", &time[11..23])),
            (tone, format!("{:<15} ", event.kind)),
            (Tone::Plain, event.message.clone()),
            (Tone::Dim, more),
        ]
    };
    // What happened to many at once is one line.
    let mut folded: Vec<(&ClusterEvent, usize)> = Vec::new();
    for event in newest {
        let same = |last: &ClusterEvent| (last.at_ms, &last.kind) == (event.at_ms, &event.kind);
        match folded.last_mut().filter(|(last, _)| same(last)) {
            Some((_, alike)) => *alike += 1,
            None => folded.push((event, 0)),
        }
    }
    folded
        .into_iter()
        .map(|(event, alike)| line(event, alike))
        .collect()
}
