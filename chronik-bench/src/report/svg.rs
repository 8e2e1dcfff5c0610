//! Line charts as plain SVG: no script, so they open anywhere and print as they look.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 40.0;
const TICKS: usize = 5;
const X_TICKS: f64 = 8.0;
const COLUMNS: usize = 600;
/// Distinguishable also by people who see colours differently, and in print.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000",
];
const DASHES: [&str; 4] = ["", "6 3", "2 2", "8 3 2 3"];

/// One line.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Lines of one overlay share a dash, lines of one meaning share a colour.
    pub(crate) colour: usize,
    pub(crate) dash: usize,
}

/// Axes and lines.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) is_log_y: bool,
    /// How a value of the y axis is written.
    pub(crate) y_text: fn(f64) -> String,
    /// Explicit ticks of the x axis with their texts; round numbers without.
    pub(crate) x_ticks: Vec<(f64, String)>,
    /// Shaded stretch: the window that counts.
    pub(crate) highlight: Option<(f64, f64)>,
    pub(crate) series: Vec<Series>,
}

struct Scale {
    x: (f64, f64),
    y: (f64, f64),
    is_log_y: bool,
}

impl Chart {
    /// The chart, or a sentence if there is nothing to draw.
    pub(crate) fn render(&self) -> String {
        let Some(scale) = self.scale() else {
            return format!(
                "<p class=\"empty\">{}: no samples</p>\n",
                escape(&self.title)
            );
        };
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n<text class=\"title\" x=\"{LEFT}\" y=\"16\">{}</text>\n",
            escape(&self.title),
            escape(&self.title)
        );
        self.draw_highlight(&mut svg, &scale);
        self.draw_axes(&mut svg, &scale);
        for series in &self.series {
            draw_line(&mut svg, &scale, series);
        }
        svg.push_str("</svg>\n");
        self.draw_legend(&mut svg);
        svg
    }

    fn scale(&self) -> Option<Scale> {
        let points = || {
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .filter(|(x, y)| x.is_finite() && y.is_finite() && (!self.is_log_y || *y > 0.0))
        };
        points().next()?;
        let min = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
        let max = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (x_min, x_max) = (min(|point| point.0), max(|point| point.0));
        let (y_min, y_max) = match self.is_log_y {
            true => (
                10f64.powf(min(|point| point.1).log10().floor()),
                10f64.powf(max(|point| point.1).log10().ceil()),
            ),
            false => (0.0, round_up(max(|point| point.1))),
        };
        Some(Scale {
            x: (x_min, if x_max > x_min { x_max } else { x_min + 1.0 }),
            y: (
                y_min,
                if y_max > y_min {
                    y_max
                } else {
                    y_min * 10.0 + 1.0
                },
            ),
            is_log_y: self.is_log_y,
        })
    }

    fn draw_highlight(&self, svg: &mut String, scale: &Scale) {
        let Some((from, to)) = self.highlight else {
            return;
        };
        let left = scale.place_x(from.clamp(scale.x.0, scale.x.1));
        let right = scale.place_x(to.clamp(scale.x.0, scale.x.1));
        let _ = writeln!(
            svg,
            "<rect class=\"window\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            right - left,
            HEIGHT - TOP - BOTTOM
        );
    }

    fn draw_axes(&self, svg: &mut String, scale: &Scale) {
        let base = HEIGHT - BOTTOM;
        let right = WIDTH - RIGHT;
        for value in scale.y_ticks() {
            let y = scale.place_y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                (self.y_text)(value)
            );
        }
        let ticks = match self.x_ticks.is_empty() {
            true => scale.x_ticks(),
            false => self.x_ticks.clone(),
        };
        for (value, text) in ticks.iter().filter(|(value, _)| *value <= scale.x.1) {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                scale.place_x(*value),
                base + 16.0
            );
        }
        let middle = f64::midpoint(TOP, base);
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{base}\" x2=\"{right}\" y2=\"{base}\"/>\
             <text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"label\" transform=\"translate(14 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 6.0,
            escape(&self.x_label),
            escape(&self.y_label)
        );
    }

    fn draw_legend(&self, html: &mut String) {
        html.push_str("<p class=\"legend\">");
        for series in &self.series {
            let _ = write!(
                html,
                "<span><svg viewBox=\"0 0 26 8\" class=\"key\"><line x1=\"0\" y1=\"4\" x2=\"26\" y2=\"4\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"/></svg> {}</span> ",
                colour(series),
                dash(series),
                escape(&series.name)
            );
        }
        html.push_str("</p>\n");
    }
}

impl Scale {
    fn place_x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn place_y(&self, value: f64) -> f64 {
        let share = match self.is_log_y {
            true => {
                let (low, high) = (self.y.0.log10(), self.y.1.log10());
                (value.max(self.y.0).log10() - low) / (high - low)
            }
            false => (value - self.y.0) / (self.y.1 - self.y.0),
        };
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    /// Round numbers, about as many as there is room for.
    fn x_ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = self.x;
        let step = round_up((high - low) / X_TICKS);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        (first..=last)
            .map(|number| number as f64 * step)
            .map(|value| (value, short(value)))
            .collect()
    }

    fn y_ticks(&self) -> Vec<f64> {
        match self.is_log_y {
            true => {
                let decades = (self.y.1 / self.y.0).log10().round() as i32;
                (0..=decades)
                    .map(|step| self.y.0 * 10f64.powi(step))
                    .collect()
            }
            false => (0..=TICKS)
                .map(|step| self.y.1 * step as f64 / TICKS as f64)
                .collect(),
        }
    }
}

fn draw_line(svg: &mut String, scale: &Scale, series: &Series) {
    let mut path = String::new();
    let drawable: Vec<(f64, f64)> = series
        .points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite() && (!scale.is_log_y || *y > 0.0))
        .collect();
    for (x, y) in thinned(&drawable) {
        let step = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(
            path,
            "{step}{:.1} {:.1}",
            scale.place_x(x),
            scale.place_y(y)
        );
    }
    if path.is_empty() {
        return;
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" stroke-dasharray=\"{}\"><title>{}</title></path>",
        colour(series),
        dash(series),
        escape(&series.name)
    );
}

/// At most two points for each column: a day has more seconds than a chart has pixels, and peaks must stay.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 2 * COLUMNS {
        return points.to_vec();
    }
    let by_height = |one: &(f64, f64), other: &(f64, f64)| one.1.total_cmp(&other.1);
    points
        .chunks(points.len().div_ceil(COLUMNS))
        .flat_map(|column| {
            let lowest = column.iter().copied().min_by(by_height);
            let highest = column.iter().copied().max_by(by_height);
            let mut kept: Vec<(f64, f64)> = lowest.into_iter().chain(highest).collect();
            kept.sort_by(|one, other| one.0.total_cmp(&other.0));
            kept
        })
        .collect()
}

fn colour(series: &Series) -> &'static str {
    COLOURS[series.colour % COLOURS.len()]
}

fn dash(series: &Series) -> &'static str {
    DASHES[series.dash % DASHES.len()]
}

/// The next number that is easy to divide.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|step| step * decade)
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(value)
}

/// `1500000` is `1.5M`.
pub(crate) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// Text that cannot end the element it is in.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, is_log_y: bool) -> Chart {
        Chart {
            title: "a <title>".into(),
            x_label: "s".into(),
            y_label: "us".into(),
            is_log_y,
            y_text: short,
            x_ticks: Vec::new(),
            highlight: Some((1.0, 2.0)),
            series: vec![Series {
                name: "p99 & max".into(),
                points,
                colour: 0,
                dash: 1,
            }],
        }
    }

    #[test]
    fn a_chart_has_lines_and_escaped_words() {
        let svg = chart(vec![(0.0, 1.0), (1.0, 1_500.0)], false).render();
        assert!(svg.contains("a &lt;title&gt;") && svg.contains("p99 &amp; max"));
        assert!(svg.contains("<path d=\"M74.0"));
        assert!(svg.contains(">2k</text>") && svg.contains(">0.2</text>"));
    }

    #[test]
    fn nothing_and_zeros_are_no_trouble() {
        assert!(chart(Vec::new(), false).render().contains("no samples"));
        assert!(
            chart(vec![(0.0, 0.0)], true)
                .render()
                .contains("no samples")
        );
        assert!(!chart(vec![(0.0, 0.0)], false).render().contains("NaN"));
        assert!(
            !chart(vec![(0.0, 5.0), (1.0, f64::NAN)], true)
                .render()
                .contains("NaN")
        );
    }

    #[test]
    fn a_day_fits_and_keeps_its_peak() {
        let day = (0..86_400).map(|second| (f64::from(second), 1.0));
        let mut points: Vec<(f64, f64)> = day.collect();
        points[50_000].1 = 9.0;
        let kept = thinned(&points);
        assert!(kept.len() <= 2 * COLUMNS);
        assert!(kept.contains(&(50_000.0, 9.0)));
        assert!(kept.is_sorted_by(|one, other| one.0 <= other.0));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1_500_000.0), "1.5M");
        assert_eq!(short(0.25), "0.25");
        assert_eq!(round_up(1_300.0), 2_000.0);
    }
}
