//! The configuration in words: reference, default file and the explanation of one key.

use std::fmt::Write as _;

use super::SECTIONS;
use super::definition::{Definition, Section, find};
use super::value::Literal;

/// The reference, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(REFERENCE_HEAD);
    for section in SECTIONS {
        let _ = write!(text, "\n## {}\n\n{}\n\n", section.name, section.sentence);
        text.push_str("| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
        for definition in section.definitions {
            let _ = writeln!(text, "{}", reference_row(definition));
        }
    }
    text
}

/// A file that says the defaults, each line commented out so that a later default is not held back.
pub fn default_file() -> String {
    let mut text = String::from(DEFAULT_FILE_HEAD);
    for section in SECTIONS {
        let _ = write!(text, "\n# {}\n[{}]\n", section.sentence, section.name);
        for definition in section.definitions {
            let _ = writeln!(text, "# {}", definition.sentence);
            let _ = writeln!(text, "# Takes {}.", form(definition));
            let _ = writeln!(text, "#{}\n", file_line(definition));
        }
        text.pop();
    }
    text
}

/// What a key, or each key of a section, means; nothing if there is no such key or section.
pub(super) fn explain(written: &str) -> Option<String> {
    if let Some(definition) = find(written) {
        return Some(explain_key(definition));
    }
    SECTIONS
        .iter()
        .find(|section| section.name == written)
        .map(explain_section)
}

const REFERENCE_HEAD: &str = "\
# Configuration of chronik-server

<!-- Made by `chronik-server config docs`; a test says when it is stale. -->

Every key can be given in a file (`--config FILE` or `CHRONIK_CONFIG`; no file is read otherwise), as an environment
variable and as a flag. A flag wins over the environment, the environment over the file, the file over the default.
The key `kafka.listen` is `listen` in the section `[kafka]` of the file, the variable `CHRONIK_KAFKA_LISTEN`, and the
flag `--kafka-listen`.

Durations carry a unit (`us`, `ms`, `s`, `m`, `h`, `d`), sizes too (`B`, `KiB`, `MiB`, `GiB`, `TiB`). Lists are arrays
in the file and separated by commas elsewhere. An unknown key in a file or flag is an error; an unknown variable with
our prefix is a warning. `chronik-server config check` says whether a configuration is valid.

A change takes effect at the next start. Keys marked *birth* are fixed when the data is first written.
";

const DEFAULT_FILE_HEAD: &str = "\
# Configuration of chronik-server. Every line shows a default: remove the leading # to change it.
# `chronik-server config explain KEY` says more about a key.
";

fn reference_row(definition: &Definition) -> String {
    let range = definition
        .range
        .map_or(String::new(), |(low, high)| format!("{low} to {high}"));
    let default = match definition.default {
        "" => String::from("none"),
        default => format!("`{default}`"),
    };
    let birth = match definition.change {
        super::ChangeNeeds::Birth => " *(birth)*",
        super::ChangeNeeds::Restart => "",
    };
    format!(
        "| `{}` | {} | {default} | {range} | {}{birth} |",
        definition.path,
        type_name(definition),
        definition.sentence.replace('|', "\\|"),
    )
}

fn explain_key(definition: &Definition) -> String {
    let range = definition.range.map_or(String::new(), |(low, high)| {
        format!("range        {low} to {high}\n")
    });
    format!(
        "{path}\n\n{sentence}\n\n\
         type         {type_name}\n\
         default      {default}\n\
         {range}\
         file         [{section}] {file_line}\n\
         environment  {variable}\n\
         flag         --{flag} {placeholder}\n\
         \n{change}\n",
        path = definition.path,
        sentence = definition.sentence,
        type_name = type_name(definition),
        default = definition.default_shown(),
        section = definition.section,
        file_line = file_line(definition),
        variable = definition.variable(),
        flag = definition.flag(),
        placeholder = definition.kind.placeholder,
        change = definition.change.sentence(),
    )
}

fn explain_section(section: &Section) -> String {
    let width = section
        .definitions
        .iter()
        .map(|definition| definition.path.len())
        .max()
        .unwrap_or_default();
    let mut text = format!("{}: {}\n\n", section.name, section.sentence);
    for definition in section.definitions {
        let (path, default) = (definition.path, definition.default_shown());
        let _ = writeln!(
            text,
            "{path:width$}  {} [default: {default}]",
            definition.sentence
        );
    }
    text
}

/// Type and range.
fn form(definition: &Definition) -> String {
    let type_name = type_name(definition);
    match definition.range {
        Some((low, high)) => format!("{type_name}, {low} to {high}"),
        None => type_name,
    }
}

fn type_name(definition: &Definition) -> String {
    let name = definition.kind.name;
    match definition.kind.literal {
        Literal::List => format!("list of {name}"),
        Literal::Bare | Literal::Quoted => name.to_owned(),
    }
}

/// `key = default`, as TOML.
fn file_line(definition: &Definition) -> String {
    let (key, default) = (definition.key, definition.default);
    match definition.kind.literal {
        Literal::Bare if default.is_empty() => format!("{key} = \"\""),
        Literal::Bare => format!("{key} = {default}"),
        Literal::Quoted => format!("{key} = \"{default}\""),
        Literal::List if default.is_empty() => format!("{key} = []"),
        Literal::List => format!("{key} = [\"{}\"]", default.replace(',', "\", \"")),
    }
}
