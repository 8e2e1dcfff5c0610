//! Golden files: lines that are typed, and what is the same in every run.

use std::collections::BTreeMap;

/// What stands in front of a line that is typed.
pub(super) const PROMPT: &str = "$ ";

/// What stands in front of a line that only prepares others.
pub(super) const FIRST: &str = "# First: ";

/// The lines that are typed before all others, and not shown.
pub(super) fn preparations(golden: &str) -> impl Iterator<Item = &str> {
    golden.lines().filter_map(|line| line.strip_prefix(FIRST))
}

/// The lines that are typed in a golden file.
pub(super) fn typed(golden: &str) -> Vec<String> {
    let lines = golden.lines().filter_map(|line| line.strip_prefix(PROMPT));
    lines.map(str::to_owned).collect()
}

/// The words of a line; those between apostrophes are one.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The first line that is another one.
pub(super) fn difference(expected: &str, present: &str) -> Option<String> {
    if expected == present {
        return None;
    }
    let mut typed = "";
    let (mut old, mut new) = (expected.lines(), present.lines());
    loop {
        let (was, is) = (old.next(), new.next());
        if let Some(line) = is.filter(|line| line.starts_with(PROMPT)) {
            typed = line;
        }
        if was != is {
            let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
            return Some(format!(
                "after `{typed}`\n  expected: {}\n  present:  {}",
                shown(was),
                shown(is)
            ));
        }
        was?;
    }
}

/// Text without what differs from run to run: ports and folders by their names, times of now, ids that were just made,
/// and spans that were measured.
pub(super) fn settled(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut settled = text.to_owned();
    for (present, name) in names {
        settled = settled.replace(present.as_str(), name);
    }
    let settled = replace_shape(&settled, "####-##-##T##:##:##.###Z", "NOW", is_now);
    let uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let settled = replace_shape(&settled, uuid, "UUID", |_| true);
    let lines = settled.lines().map(|line| spans(line) + "\n");
    lines.collect()
}

/// Times that are made up lie in other years.
fn is_now(time: &str) -> bool {
    !["2025-", "2100-"].iter().any(|year| time.starts_with(year))
}

/// Replaces what has a shape: `#` stands for a digit, `x` for a hexadecimal one.
fn replace_shape(text: &str, shape: &str, name: &str, is_meant: impl Fn(&str) -> bool) -> String {
    let fits = |candidate: &str| {
        candidate.len() == shape.len()
            && candidate
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, wanted)| match wanted {
                    b'#' => byte.is_ascii_digit(),
                    b'x' => byte.is_ascii_hexdigit(),
                    other => byte == other,
                })
    };
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..shape.len()) {
            Some(candidate) if fits(candidate) && is_meant(candidate) => {
                replaced.push_str(name);
                rest = &rest[shape.len()..];
            }
            _ => {
                replaced.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    replaced
}

/// How long something took that was timed just now, and how much is left of times once they are compressed.
fn spans(line: &str) -> String {
    if line.starts_with("    \"bytes\": ") {
        return "    \"bytes\": SIZE,".to_owned();
    }
    let mut line = line.to_owned();
    if let Some((before, _)) = line.split_once(".tar.gz (") {
        line = format!("{before}.tar.gz (SIZE)");
    }
    for key in ["took_ms", "produced_per_second", "consumed_per_second"] {
        let key = format!("\"{key}\": ");
        if let Some((before, after)) = line.clone().split_once(&key) {
            let figures = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            line = format!("{before}{key}0{figures}");
        }
    }
    match line.split_once(", in ") {
        Some((before, after)) if after.starts_with(|c: char| c.is_ascii_digit()) => {
            let unit = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let rest = unit.trim_start_matches(['m', 's']);
            format!("{before}, in SPAN{rest}")
        }
        _ => line,
    }
}

#[test]
fn what_differs_from_run_to_run_has_a_name() {
    let names = BTreeMap::from([("127.0.0.1:40001".to_owned(), "127.0.0.1:ADM_1".to_owned())]);
    let text = "node 1 at 127.0.0.1:40001 since 2026-11-28T12:00:00.123Z, not 2025-11-28T12:00:00.123Z\n\
                request 0a1b2c3d-0000-4000-8000-00000000000f\n\
                orders/0: leader node 1 -> node 2, term 7 -> 8, in 13ms\n  \"took_ms\": 13,\n";
    let expected = "node 1 at 127.0.0.1:ADM_1 since NOW, not 2025-11-28T12:00:00.123Z\n\
                    request UUID\n\
                    orders/0: leader node 1 -> node 2, term 7 -> 8, in SPAN\n  \"took_ms\": 0,\n";
    assert_eq!(settled(text, &names), expected);
    assert_eq!(words("a 'b c' d''"), ["a", "b c", "d"]);
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert!(
        difference("$ x\na\n", "$ x\nb\n")
            .unwrap()
            .contains("after `$ x`")
    );
}
