//! The configuration file: TOML to assignments, each with its line.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::definition::{Definition, definitions, find};
use super::nearest::did_you_mean;

/// A key, its value as text, and where it stands in the file.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) definition: &'static Definition,
    pub(super) text: String,
    pub(super) line: usize,
}

/// What is wrong with one line of the file.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Everything the file says, and everything that is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) assignments: Vec<Assignment>,
    pub(super) faults: Vec<Fault>,
}

/// Reads the text of a configuration file. Values are checked later, by the same code as flags and environment.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    match DeTable::parse(text) {
        Ok(table) => parsed.take_sections(text, table.get_ref()),
        Err(error) => {
            let message = error.message().to_owned();
            parsed.refuse(text, error.span().unwrap_or_default(), message);
        }
    }
    parsed
}

impl Parsed {
    fn take_sections(&mut self, text: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            match value.get_ref() {
                DeValue::Table(keys) if !keys.is_empty() => {
                    self.take_keys(text, name.get_ref(), keys);
                }
                DeValue::Table(_) => self.check_empty_section(text, name.span(), name.get_ref()),
                _ => self.refuse_unknown(text, name.span(), name.get_ref()),
            }
        }
    }

    fn take_keys(&mut self, text: &str, section: &str, keys: &DeTable<'_>) {
        for (name, value) in keys {
            let path = format!("{section}.{}", name.get_ref());
            let Some(definition) = find(&path) else {
                self.refuse_unknown(text, name.span(), &path);
                continue;
            };
            let line = line_of(text, name.span().start);
            match text_of(value.get_ref()) {
                Some(text) => self.assignments.push(Assignment {
                    definition,
                    text,
                    line,
                }),
                None => {
                    let expected = definition.kind.name;
                    let message = format!("`{path}` takes one value ({expected})");
                    self.faults.push(Fault { line, message });
                }
            }
        }
    }

    fn check_empty_section(&mut self, text: &str, span: Range<usize>, name: &str) {
        let known = || super::SECTIONS.iter().map(|section| section.name);
        if !known().any(|section| section == name) {
            let hint = did_you_mean(name, known());
            self.refuse(text, span, format!("unknown section `{name}`; {hint}"));
        }
    }

    fn refuse_unknown(&mut self, text: &str, span: Range<usize>, path: &str) {
        let hint = did_you_mean(path, definitions().map(|definition| definition.path));
        self.refuse(text, span, format!("unknown key `{path}`; {hint}"));
    }

    fn refuse(&mut self, text: &str, span: Range<usize>, message: String) {
        let line = line_of(text, span.start);
        self.faults.push(Fault { line, message });
    }
}

/// The value as it would be written behind a flag. Tables and dates are nobody's value.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| text_of(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, position: usize) -> usize {
    let before = &text.as_bytes()[..position.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
