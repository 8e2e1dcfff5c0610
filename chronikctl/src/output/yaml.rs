//! JSON as YAML: the same tree, one field per line.

use serde_json::Value;

/// A whole document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                out.push_str(&format!("{indent}{}:", scalar(&Value::String(key.clone()))));
                field(value, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("{indent}-"));
                field(item, depth, out);
            }
        }
        plain => out.push_str(&format!("{indent}{}\n", scalar(plain))),
    }
}

/// What stands behind a colon or a dash.
fn field(value: &Value, depth: usize, out: &mut String) {
    let is_nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_nested {
        out.push('\n');
        write(value, depth + 1, out);
    } else {
        out.push_str(&format!(" {}\n", scalar(value)));
    }
}

/// YAML understands JSON's scalars; only plain words lose their quotes.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A word that no reader takes for a number, a truth or nothing.
fn is_plain(text: &str) -> bool {
    let has_plain_characters = text
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "_/-".contains(character));
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let lower = text.to_ascii_lowercase();
    let means_more = [
        "true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf",
    ];
    begins && has_plain_characters && !means_more.contains(&lower.as_str())
}
