//! A table that is written as Markdown and as HTML from the same cells.

use std::fmt::Write as _;

use super::svg::escape;

/// The first column is text, all others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self {
            head: head.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|", self.head.join(" | "));
        text.push_str(&"---|".repeat(self.head.len()));
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    pub(crate) fn html(&self) -> String {
        let line = |tag: &str, cells: &[String]| {
            let cells = cells
                .iter()
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let mut html = String::from("<div class=\"wide\"><table>\n");
        html.push_str(&line("th", &self.head));
        for row in &self.rows {
            html.push_str(&line("td", row));
        }
        html.push_str("</table></div>\n");
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_the_same_in_both_forms_and_end_neither() {
        let mut table = Table::new(["name", "n"]);
        table.row(["a|b <c>".to_owned(), "1".to_owned()]);
        assert_eq!(
            table.markdown(),
            "| name | n |\n|---|---|\n| a\\|b <c> | 1 |\n"
        );
        assert!(table.html().contains("<td>a|b &lt;c&gt;</td><td>1</td>"));
    }
}
