//! The screen of figures over time.

use super::grid::{Cell, Grid, Row};
use super::series::Figure;
use super::state::State;
use crate::output::{Tone, bytes, duration_ms};

/// A line of signs for each figure, of the cluster first.
pub(super) fn grid(state: &State) -> Grid {
    let mut grid = Grid::new(&["figure", "of", "now#", "most#", "newest at the right"]);
    let is_known = |value: &f64| !value.is_nan();
    for (figure, node, values) in state.history().iter() {
        let now = values.back().copied().filter(is_known);
        let most = values.iter().copied().filter(is_known).reduce(f64::max);
        let told = |value: Option<f64>| {
            value.map_or_else(Cell::none, |value| {
                Cell::measured(value, worded(figure, value))
            })
        };
        let is_bad = figure == Figure::LeaderlessGroups && now.is_some_and(|now| now > 0.0);
        let is_silent = |node| state.data().node(node).is_some_and(|row| !row.reachable);
        let now = match (node, now) {
            (Some(node), None) if is_silent(node) => Cell::text("unknown").toned(Tone::Warn),
            (_, now) => told(now).toned(if is_bad { Tone::Bad } else { Tone::Plain }),
        };
        let of = match node {
            None => Cell::text("cluster"),
            Some(node) => Cell::text(format!("node {node}")).toned(Tone::Dim),
        };
        let series = Cell::series(values.iter().copied()).toned(Tone::Good);
        let id = format!("{} of {}", figure.title(), of.text);
        let cells = vec![Cell::text(figure.title()), of, now, told(most), series];
        grid.rows.push(Row {
            is_problem: is_bad,
            ..Row::new(id, cells)
        });
    }
    grid.rows.sort_by_key(|row| row.cells[1].text != "cluster");
    grid
}

fn worded(figure: Figure, value: f64) -> String {
    match figure {
        Figure::ProducedBytes | Figure::FetchedBytes | Figure::Memory => bytes(value as u64),
        Figure::Disk => format!("{value:.0} %"),
        Figure::Answer => duration_ms(value as u64),
        _ => format!("{value:.0}"),
    }
}
