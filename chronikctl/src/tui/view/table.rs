//! The rows of a page: as many as there is room for, around the selected one.

use ratatui::layout::Rect;

use super::Canvas;
use crate::output::{Tone, plural};
use crate::tui::grid::{Cell, Grid};
use crate::tui::series::sparkline;
use crate::tui::state::State;

/// Between two columns, and where the screen is too narrow for it.
const GAP: u16 = 2;
const NARROW_GAP: u16 = 1;
/// What stands before the selected row, and before the others.
const ARROW: &str = "> ";

/// How wide each column is, and what lies between two.
struct Layout {
    widths: Vec<usize>,
    gap: u16,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let (grid, places) = state.rows();
    canvas.line(area, area.y, &title(state, &grid, places.len()));
    if grid.columns.is_empty() || area.height < 3 {
        return;
    }
    let order = state.page().order;
    let layout = Layout::of(&grid, &places, order, area.width);
    head(canvas, area, &grid, &layout, order);
    let room = usize::from(area.height - 2);
    let selected = state.selected(&grid, &places);
    let from = first(selected.unwrap_or(0), places.len(), room);
    for (place, at) in places.iter().skip(from).take(room).zip(0u16..) {
        let row = &grid.rows[*place];
        let y = area.y + 2 + at;
        let is_selected = selected == Some(from + usize::from(at));
        let mut x = area.x;
        let edge = if is_selected { ARROW } else { "  " };
        put(canvas, area, &mut x, y, edge, Tone::Strong);
        for ((cell, width), column) in row.cells.iter().zip(&layout.widths).zip(&grid.columns) {
            let tone = if row.is_gone { Tone::Dim } else { cell.tone };
            let text = match cell.series.is_empty() {
                true => padded(&cell.text, *width, column.is_number),
                false => sparkline(&cell.series, usize::from(area.right().saturating_sub(x))),
            };
            put(canvas, area, &mut x, y, &text, tone);
            x = x.saturating_add(layout.gap);
        }
        if is_selected {
            let line = Rect {
                y,
                height: 1,
                ..area
            };
            let style = canvas.palette.selected();
            canvas.buffer.set_style(line, style);
        }
    }
}

fn title(state: &State, grid: &Grid, shown: usize) -> Vec<(Tone, String)> {
    let page = state.page();
    let all = grid.rows.len();
    let count = match shown == all {
        true => plural(all as u64, "row"),
        false => format!("{shown} of {}", plural(all as u64, "row")),
    };
    let mut pieces = vec![
        (Tone::Strong, page.title()),
        (Tone::Dim, format!("  {count}")),
    ];
    if !page.filter.is_empty() {
        pieces.push((Tone::Warn, format!("  filter: {}", page.filter)));
    }
    if page.only_problems {
        pieces.push((Tone::Warn, "  only problems (z)".to_owned()));
    }
    if all == 0 {
        pieces.push((Tone::Dim, "  nothing to show".to_owned()));
    }
    pieces
}

fn head(
    canvas: &mut Canvas<'_>,
    area: Rect,
    grid: &Grid,
    layout: &Layout,
    order: Option<(usize, bool)>,
) {
    let mut x = area.x;
    let y = area.y + 1;
    put(canvas, area, &mut x, y, "  ", Tone::Dim);
    for (at, (column, width)) in grid.columns.iter().zip(&layout.widths).enumerate() {
        let mark = match order {
            Some((by, false)) if by == at => "^",
            Some((by, true)) if by == at => "v",
            _ => "",
        };
        let name = format!("{}{mark}", column.name.to_uppercase());
        let text = padded(&name, *width, column.is_number);
        put(canvas, area, &mut x, y, &text, Tone::Strong);
        x = x.saturating_add(layout.gap);
    }
}

fn put(canvas: &mut Canvas<'_>, area: Rect, x: &mut u16, y: u16, text: &str, tone: Tone) {
    let left = usize::from(area.right().saturating_sub(*x));
    if left > 0 {
        let style = canvas.palette.style(tone);
        *x = canvas.buffer.set_stringn(*x, y, text, left, style).0;
    }
}

impl Layout {
    /// Columns keep their width while rows scroll: all that are shown somewhere count.
    fn of(grid: &Grid, places: &[usize], order: Option<(usize, bool)>, room: u16) -> Layout {
        let head = |at: usize| {
            // The mark of the order stands behind the name.
            let mark = usize::from(order.is_some_and(|(by, _)| by == at));
            grid.columns[at].name.chars().count() + mark
        };
        let length = |cell: &Cell| match cell.text.is_ascii() {
            true => cell.text.len(),
            false => cell.text.chars().count(),
        };
        let mut widths: Vec<usize> = (0..grid.columns.len()).map(head).collect();
        // Row by row, as they lie in memory: there may be many.
        for place in places {
            for (width, cell) in widths.iter_mut().zip(&grid.rows[*place].cells) {
                *width = (*width).max(length(cell));
            }
        }
        let gaps = usize::from(GAP) * widths.len().saturating_sub(1);
        let needed = ARROW.len() + widths.iter().sum::<usize>() + gaps;
        let gap = match needed <= usize::from(room) {
            true => GAP,
            false => NARROW_GAP,
        };
        Layout { widths, gap }
    }
}

fn padded(text: &str, width: usize, is_number: bool) -> String {
    match is_number {
        true => format!("{text:>width$}"),
        false => format!("{text:<width$}"),
    }
}

/// The first row to show, so that the selected one is in sight.
fn first(selected: usize, count: usize, room: usize) -> usize {
    let last = count.saturating_sub(room);
    selected.saturating_sub(room / 2).min(last)
}
