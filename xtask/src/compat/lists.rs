//! The lists of a suite: what counts, what is left out and why, and what must pass.
//!
//! `denominator.txt` and `excluded.txt` were written before the first run; `allow.txt` only grows, and so does
//! `allow-3-nodes.txt` for clusters of three. Lines starting with `#` are comments.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use chronik_local::workspace_dir;

use crate::error::XtaskError;

pub(super) struct Lists {
    /// Names with an optional second word that a suite may interpret.
    pub(super) denominator: Vec<(String, Option<String>)>,
    pub(super) excluded: usize,
    pub(super) allowed: BTreeSet<String>,
}

/// The folder with the lists and results of a suite.
pub(super) fn dir(suite: &str) -> PathBuf {
    workspace_dir().join("tests/regression/compat").join(suite)
}

/// What stands in the names of lists and results of clusters of so many nodes.
pub(super) fn mark(nodes: usize) -> String {
    match nodes {
        1 => String::new(),
        several => format!("-{several}-nodes"),
    }
}

pub(super) fn read(suite: &str, nodes: usize) -> Result<Lists, XtaskError> {
    let dir = dir(suite);
    let lines = |file: &str| -> Result<Vec<String>, XtaskError> {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).map_err(XtaskError::file("read", &path))?;
        Ok(entries(&text))
    };
    let denominator = lines("denominator.txt")?
        .iter()
        .map(|line| words(line))
        .collect();
    Ok(Lists {
        denominator,
        excluded: lines("excluded.txt")?.len(),
        allowed: lines(&format!("allow{}.txt", mark(nodes)))?
            .into_iter()
            .collect(),
    })
}

fn entries(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn words(line: &str) -> (String, Option<String>) {
    match line.split_once(' ') {
        Some((name, rest)) => (name.to_owned(), Some(rest.trim().to_owned())),
        None => (line.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_entries() {
        assert_eq!(entries("# why\n\n one \ntwo x\n"), ["one", "two x"]);
        assert_eq!(words("two x"), ("two".into(), Some("x".into())));
    }
}
