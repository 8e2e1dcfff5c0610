//! Rows and columns of a screen, with the filter and the order that a person chose. Nothing here draws.

use compact_str::{CompactString, ToCompactString};

use crate::output::Tone;

#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_number: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What the row is about: a selection follows it, wherever it goes.
    pub(crate) id: CompactString,
    pub(crate) cells: Vec<Cell>,
    pub(crate) is_problem: bool,
    /// It is not there any more, and shown as it was last.
    pub(crate) is_gone: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// Short texts lie in the cell itself: all cells are made anew with every look, and searched with every key.
    pub(crate) text: CompactString,
    pub(crate) tone: Tone,
    /// What the cell is compared by, where that is no word.
    pub(crate) number: Option<f64>,
    /// Values over time, drawn as wide as there is room for.
    pub(crate) series: Box<[f64]>,
}

/// Terms of which every one must hold: `text`, `!text`, `field>n`, `field<n`, `field=text`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    is_inverse: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Text(String),
    Above(String, f64),
    Below(String, f64),
    Equal(String, String),
}

impl Grid {
    /// Columns by name; those that end with `#` hold figures.
    pub(crate) fn new(columns: &[&str]) -> Grid {
        let column = |name: &&str| Column {
            name: name.trim_end_matches('#').to_owned(),
            is_number: name.ends_with('#'),
        };
        Grid {
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// The places of the rows that a filter lets through, in the order of a column.
    pub(crate) fn arranged(
        &self,
        filter: &Filter,
        only_problems: bool,
        order: Option<(usize, bool)>,
    ) -> Vec<usize> {
        let is_shown = |place: &usize| {
            let row = &self.rows[*place];
            (!only_problems || row.is_problem) && filter.lets(&self.columns, row)
        };
        let mut places: Vec<usize> = (0..self.rows.len()).filter(is_shown).collect();
        if let Some((column, is_inverted)) = order.filter(|(at, _)| *at < self.columns.len()) {
            places.sort_by(|one, other| {
                let (one, other) = (
                    &self.rows[*one].cells[column],
                    &self.rows[*other].cells[column],
                );
                let ordering = match (one.number, other.number) {
                    (Some(one), Some(other)) => one.total_cmp(&other),
                    _ => one.text.cmp(&other.text),
                };
                if is_inverted {
                    ordering.reverse()
                } else {
                    ordering
                }
            });
        }
        places
    }
}

impl Row {
    pub(crate) fn new(id: impl ToCompactString, cells: Vec<Cell>) -> Row {
        Row {
            id: id.to_compact_string(),
            cells,
            ..Row::default()
        }
    }
}

impl Cell {
    pub(crate) fn text(text: impl ToCompactString) -> Cell {
        Cell {
            text: text.to_compact_string(),
            ..Cell::default()
        }
    }

    pub(crate) fn number(number: u64) -> Cell {
        Cell::measured(number as f64, number)
    }

    /// Shown in one way, compared in another.
    pub(crate) fn measured(number: f64, text: impl ToCompactString) -> Cell {
        Cell {
            number: Some(number),
            ..Cell::text(text)
        }
    }

    pub(crate) fn series(values: impl IntoIterator<Item = f64>) -> Cell {
        Cell {
            series: values.into_iter().collect(),
            ..Cell::default()
        }
    }

    pub(crate) fn none() -> Cell {
        Cell::text("-").toned(Tone::Dim)
    }

    #[must_use]
    pub(crate) fn toned(mut self, tone: Tone) -> Cell {
        self.tone = tone;
        self
    }
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Filter {
        Filter {
            terms: text.split_whitespace().map(Term::parse).collect(),
        }
    }

    fn lets(&self, columns: &[Column], row: &Row) -> bool {
        let holds = |term: &Term| term.holds(columns, row) != term.is_inverse;
        self.terms.iter().all(holds)
    }
}

impl Term {
    fn parse(text: &str) -> Term {
        let (is_inverse, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let figure = |text: &str| text.parse::<f64>().ok();
        let named = |name: &str| name.to_lowercase();
        let what = match text.find(['>', '<', '=']).filter(|at| *at > 0) {
            Some(at) => {
                let (name, value) = (&text[..at], &text[at + 1..]);
                match (text.as_bytes()[at], figure(value)) {
                    (b'>', Some(figure)) => What::Above(named(name), figure),
                    (b'<', Some(figure)) => What::Below(named(name), figure),
                    (b'=', _) => What::Equal(named(name), value.to_lowercase()),
                    // Not yet typed to its end: nothing is compared.
                    _ => What::Text(String::new()),
                }
            }
            None => What::Text(text.to_lowercase()),
        };
        Term { is_inverse, what }
    }

    fn holds(&self, columns: &[Column], row: &Row) -> bool {
        let cell = |name: &str| {
            let is_it = |column: &Column| column.name.to_lowercase().replace(' ', "-") == name;
            let place = columns.iter().position(is_it)?;
            row.cells.get(place)
        };
        let figure = |name: &str| cell(name).and_then(|cell| cell.number);
        match &self.what {
            What::Text(text) => {
                let has = |cell: &Cell| contains(&cell.text, text);
                row.cells.iter().any(has)
            }
            What::Above(name, least) => figure(name).is_some_and(|figure| figure > *least),
            What::Below(name, most) => figure(name).is_some_and(|figure| figure < *most),
            What::Equal(name, text) => {
                cell(name).is_some_and(|cell| cell.text.to_lowercase() == *text)
            }
        }
    }
}

/// Whether a text holds a word that is in small letters. Names are mostly ASCII: they are compared as they are, because
/// this is done for every cell with every key.
fn contains(text: &str, word: &str) -> bool {
    if !text.is_ascii() || !word.is_ascii() {
        return text.to_lowercase().contains(word);
    }
    let mut places = text.as_bytes().windows(word.len().max(1));
    word.is_empty() || places.any(|place| place.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(&["partition", "behind by#"]);
        for (name, lag) in [("orders/0", 5), ("orders/1", 70), ("audit/0", 9)] {
            grid.rows.push(Row {
                is_problem: lag > 50,
                ..Row::new(name, vec![Cell::text(name), Cell::number(lag)])
            });
        }
        grid
    }

    fn shown(filter: &str) -> Vec<usize> {
        grid().arranged(&Filter::parse(filter), false, None)
    }

    #[test]
    fn terms_are_words_their_inverse_and_comparisons() {
        assert_eq!(shown(""), [0, 1, 2]);
        assert_eq!(shown("ORDERS"), [0, 1]);
        assert_eq!(shown("!orders"), [2]);
        assert_eq!(shown("behind-by>8"), [1, 2]);
        assert_eq!(shown("orders behind-by<8"), [0]);
        assert_eq!(shown("partition=audit/0"), [2]);
        assert_eq!(shown("!partition=audit/0 behind-by>"), [0, 1]);
        assert_eq!(shown("nothing>3"), Vec::<usize>::new());
    }

    #[test]
    fn letters_of_all_alphabets_are_found_in_both_sizes() {
        assert!(contains("Orders/7", "rs/7") && contains("ORDERS", "order") && contains("", ""));
        assert!(contains("Überweisung", "über") && !contains("orders", "orderss"));
    }

    #[test]
    fn figures_are_ordered_as_figures() {
        let all = Filter::default();
        assert_eq!(grid().arranged(&all, false, Some((1, false))), [0, 2, 1]);
        assert_eq!(grid().arranged(&all, false, Some((1, true))), [1, 2, 0]);
        assert_eq!(grid().arranged(&all, true, None), [1]);
    }
}
