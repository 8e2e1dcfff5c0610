//! The metrics in words.

use std::fmt::Write as _;

use super::Metrics;

/// The reference, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    let mut section = "";
    Metrics::default().visit(&mut |definition, series| {
        if section != definition.section {
            section = definition.section;
            let title = section.trim_end_matches('.');
            let _ = write!(text, "\n## {title}\n\n");
            text.push_str("| metric | type | label | meaning |\n|---|---|---|---|\n");
        }
        let label = series
            .label()
            .map_or(String::new(), |label| format!("`{label}`"));
        let (name, kind, sentence) = (definition.name, series.kind(), definition.sentence);
        let _ = writeln!(text, "| `{name}` | {kind} | {label} | {sentence} |");
    });
    text
}

const HEAD: &str = "\
# Metrics of chronik-server

<!-- Made by `chronik-server metrics docs`; a test says when it is stale. -->

`GET /metrics` on the admin address answers in the Prometheus text format. Counters start at zero with the process.
Series by API and by error number appear once they count something.
";
