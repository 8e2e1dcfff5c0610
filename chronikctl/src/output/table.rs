//! Rows and columns: aligned for people, with tabulators for scripts.

use super::{Paint, Tone};
use crate::exit::Failure;

/// A column, by its name in lower case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Shown only where there is room for everything.
    pub(crate) is_wide: bool,
    /// A figure: its digits stand under each other.
    pub(crate) is_number: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Between two columns.
const GAP: &str = "  ";

impl Column {
    pub(crate) const fn text(name: &'static str) -> Column {
        Column {
            name,
            is_wide: false,
            is_number: false,
        }
    }

    pub(crate) const fn number(name: &'static str) -> Column {
        Column {
            is_number: true,
            ..Column::text(name)
        }
    }

    pub(crate) const fn wide(self) -> Column {
        Column {
            is_wide: true,
            ..self
        }
    }
}

impl Cell {
    pub(crate) fn toned(tone: Tone, text: impl ToString) -> Cell {
        Cell {
            text: text.to_string(),
            tone,
        }
    }

    /// What is not known, or does not exist.
    pub(crate) fn none() -> Cell {
        Cell::toned(Tone::Dim, "-")
    }

    /// A value, or a dash.
    pub(crate) fn maybe(value: Option<impl ToString>) -> Cell {
        value.map_or_else(Cell::none, Cell::from)
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Cell {
        Cell::toned(Tone::Plain, value)
    }
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }

    /// The same with these columns, in this order.
    pub(crate) fn select(&self, names: &[String]) -> Result<Table, Failure> {
        let place = |name: &String| {
            let is_it = |column: &Column| column.name.eq_ignore_ascii_case(name);
            self.columns.iter().position(is_it).ok_or_else(|| {
                let known: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
                Failure::usage(format!("there is no column {name:?}"))
                    .hint(format!("--columns {}", known.join(",")))
            })
        };
        let places: Vec<usize> = names.iter().map(place).collect::<Result<_, _>>()?;
        let pick = |row: &Vec<Cell>| places.iter().map(|place| row[*place].clone()).collect();
        Ok(Table {
            columns: places.iter().map(|place| self.columns[*place]).collect(),
            rows: self.rows.iter().map(pick).collect(),
        })
    }

    /// Columns under each other, cut to the width of the screen.
    pub(crate) fn aligned(
        &self,
        is_wide: bool,
        headers: bool,
        paint: Paint,
        width: Option<usize>,
    ) -> String {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|place| is_wide || !self.columns[*place].is_wide)
            .collect();
        let heads = shown.iter().map(|place| Cell {
            text: self.columns[*place].name.to_uppercase(),
            tone: Tone::Strong,
        });
        let heads: Vec<Cell> = heads.collect();
        let pick = |row: &Vec<Cell>| shown.iter().map(|place| row[*place].clone()).collect();
        let rows = self.rows.iter().map(pick);
        let lines: Vec<Vec<Cell>> = headers.then_some(heads).into_iter().chain(rows).collect();
        let widest = |column: usize| {
            let widths = lines.iter().map(|line| line[column].text.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..shown.len()).map(widest).collect();
        let mut text = String::new();
        for line in &lines {
            let mut left = width.unwrap_or(usize::MAX);
            let last = line.len().saturating_sub(1);
            for (at, cell) in line.iter().enumerate() {
                let pad = " ".repeat(widths[at] - cell.text.chars().count());
                let is_number = self.columns[shown[at]].is_number;
                let padded = match (is_number, at == last) {
                    (true, _) => format!("{pad}{}", cell.text),
                    (false, true) => cell.text.clone(),
                    (false, false) => format!("{}{pad}", cell.text),
                };
                let gap = if at == 0 { "" } else { GAP };
                let cut: String = format!("{gap}{padded}").chars().take(left).collect();
                left -= cut.chars().count();
                text.push_str(&paint.paint(cell.tone, &cut));
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }

    /// All columns with tabulators between them; what would break a line is a blank.
    pub(crate) fn tsv(&self, headers: bool) -> String {
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.name.to_owned())
            .collect();
        let plain = |cell: &Cell| cell.text.replace(['\t', '\n', '\r'], " ");
        let rows = self.rows.iter().map(|row| row.iter().map(plain).collect());
        let lines = headers.then_some(heads).into_iter().chain(rows);
        lines
            .map(|line: Vec<String>| format!("{}\n", line.join("\t")))
            .collect()
    }
}
