//! Fails a test whose node logged an error or a panic that nobody announced.

use std::fs;
use std::path::Path;

use crate::error::LocalError;

/// Lines that must not be there, unless one of the `announced` substrings occurs in them.
pub fn unannounced(log: &Path, announced: &[&str]) -> Result<Vec<String>, LocalError> {
    let bytes = fs::read(log).map_err(LocalError::file("read", log))?;
    Ok(offences(&String::from_utf8_lossy(&bytes), announced))
}

fn offences(text: &str, announced: &[&str]) -> Vec<String> {
    text.lines()
        .filter(|line| is_offence(line))
        .filter(|line| !announced.iter().any(|words| line.contains(words)))
        .map(str::to_owned)
        .collect()
}

fn is_offence(line: &str) -> bool {
    const MARKS: [&str; 5] = [
        "\"level\":\"ERROR\"",
        " ERROR ",
        "panicked at",
        "stack overflow",
        "memory allocation of",
    ];
    line.starts_with("ERROR ") || MARKS.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01T00:00:00Z  INFO chronik_server: ready
{\"timestamp\":\"x\",\"level\":\"ERROR\",\"fields\":{\"message\":\"disk full\"}}
thread 'main' panicked at src/main.rs:1:1:
2026-01-01T00:00:00Z ERROR chronik_server: disk full
{\"level\":\"INFO\",\"fields\":{\"message\":\"an error a client caused\"}}";

    #[test]
    fn errors_and_panics_are_found() {
        assert_eq!(offences(LOG, &[]).len(), 3);
    }

    #[test]
    fn announced_errors_are_not_offences() {
        assert_eq!(
            offences(LOG, &["disk full"]),
            ["thread 'main' panicked at src/main.rs:1:1:"]
        );
    }
}
