//! Draws the state. Nothing here waits, asks or changes anything; 80x24 is enough.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Axis, Block, Borders, Cell, Chart, Dataset, GraphType, Paragraph, Row as Cells, Table,
};

use super::state::State;
use crate::collect::{Row, RowLatency};
use crate::units::{grouped, latency};

const HEAD: u16 = 3;
const FOOT: u16 = 2;
const KEYS: &str = "q end in order   s snapshot";

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let [head, curves, tables, foot] = Layout::vertical([
        Constraint::Length(HEAD),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(FOOT),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(state)), head);
    let [left, right] = halves(curves);
    draw_rates(frame, left, state);
    draw_latencies(frame, right, state);
    let [left, right] = halves(tables);
    frame.render_widget(percentiles(state), left);
    frame.render_widget(processes(state), right);
    frame.render_widget(Paragraph::new(foot_lines(state)), foot);
}

/// One curve.
struct Curve {
    name: &'static str,
    colour: Color,
    points: Vec<(f64, f64)>,
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
}

fn head_lines(state: &State) -> Vec<Line<'static>> {
    let strong = Style::default().add_modifier(Modifier::BOLD);
    let second = state.latest().map_or(0, |row| row.second + 1);
    let time = match state.expected_s {
        Some(expected_s) => format!("{second} of {expected_s} s"),
        None => format!("{second} s"),
    };
    let numbers = state.latest().map_or(String::new(), describe);
    vec![
        Line::from(vec![
            Span::styled(state.title.clone(), strong),
            Span::raw(format!("   {}   {time}", state.phase)),
        ]),
        Line::styled(numbers, strong),
        Line::styled(state.remark.clone(), soft()),
    ]
}

fn describe(row: &Row) -> String {
    let mut parts = Vec::new();
    if row.acked > 0 || row.consumed == 0 {
        parts.push(format!(
            "{} msg/s  {:.1} MB/s",
            grouped(row.acked as f64),
            row.acked_bytes as f64 / 1e6
        ));
    }
    if row.consumed > 0 {
        parts.push(format!("read {} msg/s", grouped(row.consumed as f64)));
    }
    parts.push(format!("open {}", grouped(row.outstanding as f64)));
    if row.blocked > 0 {
        parts.push(format!("blocked {}", grouped(row.blocked as f64)));
    }
    if row.failed > 0 {
        parts.push(format!("FAILED {}", grouped(row.failed as f64)));
    }
    parts.join("   ")
}

fn foot_lines(state: &State) -> Vec<Line<'static>> {
    let errors: Vec<String> = state
        .errors
        .iter()
        .map(|(name, count)| format!("{name} {}", grouped(*count as f64)))
        .collect();
    let errors = match errors.is_empty() {
        true => Line::styled("no errors", soft()),
        false => Line::styled(errors.join("   "), Style::default().fg(Color::Red)),
    };
    vec![errors, Line::styled(KEYS, soft())]
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let some = |count: u64| (count > 0).then_some(count as f64);
    let curves = [
        Curve {
            name: "acknowledged",
            colour: Color::Blue,
            points: state.curve(|row| some(row.acked)),
        },
        Curve {
            name: "read",
            colour: Color::Green,
            points: state.curve(|row| some(row.consumed)),
        },
    ];
    let top = values(&curves).fold(1.0, f64::max) * 1.1;
    draw_chart(frame, area, "msg/s", &curves, (0.0, top), grouped);
}

/// On a scale of decades, because a stall is a thousand times the rest.
fn draw_latencies(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let curve = |name, colour, pick: fn(&RowLatency) -> f64| Curve {
        name,
        colour,
        points: state.curve(|row| Some(pick(row.headline()?.1).max(1.0).log10())),
    };
    let curves = [
        curve("p50", Color::Blue, |found| found.p50),
        curve("p99", Color::Yellow, |found| found.p99),
        curve("max", Color::Red, |found| found.max),
    ];
    let low = values(&curves)
        .fold(f64::INFINITY, f64::min)
        .min(6.0)
        .floor();
    let high = values(&curves).fold(0.0, f64::max).ceil().max(low + 1.0);
    let headline = state.latest().and_then(Row::headline);
    let title = headline.map_or("latency", |(name, _)| name);
    draw_chart(frame, area, title, &curves, (low, high), |decade| {
        latency(10f64.powf(decade))
    });
}

fn values(curves: &[Curve]) -> impl Iterator<Item = f64> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    points.map(|(_, value)| *value)
}

fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    curves: &[Curve],
    (low, high): (f64, f64),
    label: impl Fn(f64) -> String,
) {
    let seconds = || {
        let points = curves.iter().flat_map(|curve| &curve.points);
        points.map(|(second, _)| *second)
    };
    let last = seconds().fold(0.0, f64::max);
    let first = seconds().fold(last, f64::min);
    let datasets = curves
        .iter()
        .filter(|curve| !curve.points.is_empty())
        .map(|curve| {
            Dataset::default()
                .name(curve.name)
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::default().fg(curve.colour))
                .data(&curve.points)
        });
    let labels =
        [low, f64::midpoint(low, high), high].map(|value| Span::styled(label(value), soft()));
    let seconds = [first, last].map(|second| Span::styled(format!("{second:.0} s"), soft()));
    let chart = Chart::new(datasets.collect())
        .block(framed(title))
        .x_axis(
            Axis::default()
                .bounds([first, last.max(first + 1.0)])
                .labels(seconds),
        )
        .y_axis(Axis::default().bounds([low, high]).labels(labels));
    frame.render_widget(chart, area);
}

fn percentiles(state: &State) -> Table<'static> {
    let latest = state.latest();
    let found = latest.into_iter().flat_map(|row| &row.latency_us);
    let rows = found.map(|(name, found)| {
        let cells = [found.p50, found.p99, found.max].map(latency);
        Cells::new(std::iter::once(name.clone()).chain(cells))
    });
    let widths = [
        Constraint::Min(12),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    Table::new(rows, widths)
        .header(header(["", "p50", "p99", "max"]))
        .block(framed("latency of the last second"))
}

fn processes(state: &State) -> Table<'static> {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let rows = state.processes.iter().map(|(name, process)| {
        Cells::new([
            name.clone(),
            number(process.cores),
            process.resident_mb().map_or("-".to_owned(), grouped),
            number(process.written_mb_per_second),
        ])
    });
    let widths = [
        Constraint::Min(12),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(9),
    ];
    Table::new(rows, widths)
        .header(header(["", "cores", "RSS MB", "disk MB/s"]))
        .block(framed("processes"))
}

fn header<const N: usize>(names: [&'static str; N]) -> Cells<'static> {
    Cells::new(names.map(|name| Cell::from(Span::styled(name, soft()))))
}

fn framed(title: &str) -> Block<'static> {
    Block::default()
        .borders(Borders::TOP)
        .border_style(soft())
        .title(title.to_owned())
}

fn soft() -> Style {
    Style::default().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::News;
    use super::*;
    use crate::sampling::HostRow;

    fn frame(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().to_string()
    }

    fn state() -> State {
        let mut state = State::new("produce, open, 10,000/s", Some(Duration::from_secs(65)));
        state.take(News::Phase("measuring".to_owned()));
        for second in 0..20 {
            state.take(News::Row(Box::new(Row {
                second,
                acked: 10_000 + 50 * second,
                acked_bytes: 10_240_000,
                outstanding: 40,
                latency_us: BTreeMap::from([(
                    "ack-response".to_owned(),
                    RowLatency {
                        count: 10_000,
                        p50: 900.0,
                        p90: 1_200.0,
                        p99: 4_500.0,
                        p999: 9_000.0,
                        max: 1_200_000.0,
                    },
                )]),
                errors: BTreeMap::from([("MessageTimedOut".to_owned(), 2)]),
                ..Row::default()
            })));
            state.take(News::Host(Box::new(HostRow {
                at_s: second as f64,
                subject: "broker 1".to_owned(),
                cpu_seconds: Some(second as f64 * 0.75),
                resident_bytes: Some(123e6),
                ..HostRow::default()
            })));
        }
        state
    }

    #[test]
    fn a_small_screen_shows_everything_that_matters() {
        let text = frame(&state(), 80, 24);
        for word in [
            "10,950 msg/s",
            "20 of 65 s",
            "measuring",
            "open 40",
            "4.50 ms",
            "1.20 s",
            "broker 1",
            "0.75",
            "MessageTimedOut 40",
            "q end",
        ] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn nothing_known_and_nothing_to_draw_on_are_no_trouble() {
        frame(&State::new("x", None), 80, 24);
        frame(&state(), 10, 4);
    }
}
