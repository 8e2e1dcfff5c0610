//! The five rules of this repository that a machine can check, each with a small test of the check itself.

use std::fs;
use std::path::{Path, PathBuf};

use chronik_local::workspace_dir;

/// What `chronik-core` may depend on: nothing that does I/O, tells the time or makes chance.
const CORE_DEPENDENCIES: [&str; 9] = [
    "bytes",
    "chronik-fault",
    "crc32c",
    "imbl",
    "protobuf",
    "raft",
    "siphasher",
    "slog",
    "thiserror",
];
/// What the sources of `chronik-core` may not name.
const CORE_FORBIDDEN: [&str; 8] = [
    "tokio::",
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "rand::",
    "std::io::stdin",
];
const ENVIRONMENT_READS: [&str; 4] = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
const UNBOUNDED_CHANNELS: [&str; 6] = [
    "unbounded_channel",
    "mpsc::channel::<",
    "std::sync::mpsc::channel",
    "flume::unbounded",
    "crossbeam_channel::unbounded",
    "async_channel::unbounded",
];

#[test]
fn rule_1_the_core_does_no_io() {
    let dir = workspace_dir().join("crates/chronik-core");
    let manifest = read(&dir.join("Cargo.toml"));
    let foreign: Vec<String> = dependencies(&manifest)
        .into_iter()
        .filter(|name| !CORE_DEPENDENCIES.contains(&name.as_str()))
        .collect();
    assert!(foreign.is_empty(), "chronik-core depends on {foreign:?}");
    assert_clean(
        "chronik-core",
        &sources_below(&dir.join("src")),
        &CORE_FORBIDDEN,
    );
}

#[test]
fn rule_2_the_environment_is_read_in_one_place_of_a_program() {
    let is_exempt = |path: &Path| {
        let text = path.display().to_string();
        text.ends_with("/config.rs")
            || text.ends_with("/build.rs")
            || text.contains("/xtask/")
            || text.contains("/tests/")
    };
    let sources: Vec<PathBuf> = all_sources()
        .into_iter()
        .filter(|path| !is_exempt(path))
        .collect();
    assert_clean("environment", &sources, &ENVIRONMENT_READS);
}

#[test]
fn rule_3_every_channel_is_bounded() {
    let sources: Vec<PathBuf> = all_sources()
        .into_iter()
        .filter(|path| !path.ends_with("tests/regression/tidy.rs"))
        .collect();
    assert_clean("channels", &sources, &UNBOUNDED_CHANNELS);
}

#[test]
fn rule_4_every_package_takes_the_lints_of_the_workspace() {
    for manifest in files_below(&workspace_dir(), "Cargo.toml") {
        let text = read(&manifest);
        let is_package = text.contains("[package]");
        assert!(
            !is_package || takes_workspace_lints(&text),
            "{} lacks: [lints] workspace = true",
            manifest.display()
        );
    }
}

#[test]
fn rule_5_every_file_says_what_it_is_for() {
    for source in all_sources() {
        assert!(
            opens_with_a_sentence(&read(&source)),
            "{} does not open with a `//!` sentence",
            source.display()
        );
    }
}

#[test]
fn dependencies_are_those_of_the_build_and_not_of_the_tests() {
    let manifest = "[dependencies]\nbytes.workspace = true\nraft = { version = \"1\" }\n\n\
                    [dev-dependencies]\nproptest = \"1\"\n\n[dependencies.slog]\nversion = \"2\"\n";
    assert_eq!(dependencies(manifest), ["bytes", "raft", "slog"]);
}

#[test]
fn forbidden_words_are_found_in_code_but_not_in_comments() {
    let code = "fn a() {\n    // std::fs would be wrong here\n    std::fs::read(x);\n}\n";
    assert_eq!(offences(code, &["std::fs"]), ["3: std::fs::read(x);"]);
    let imported = "use std::{fs, env};\n";
    assert_eq!(offences(imported, &["std::fs"]), ["1: use std::{fs, env};"]);
}

#[test]
fn lints_must_be_taken_literally() {
    assert!(takes_workspace_lints(
        "[package]\n[lints]\nworkspace = true\n"
    ));
    assert!(!takes_workspace_lints(
        "[package]\n[lints.rust]\nunsafe_code = \"deny\"\n"
    ));
}

#[test]
fn a_sentence_has_words_and_an_end() {
    assert!(opens_with_a_sentence("//! Reads frames.\n"));
    assert!(opens_with_a_sentence(
        "//! Reads frames, bounded\n//! by a limit.\n\nuse x;\n"
    ));
    assert!(!opens_with_a_sentence("use x;\n"));
    assert!(!opens_with_a_sentence("//! frame\n"));
}

fn assert_clean(what: &str, sources: &[PathBuf], forbidden: &[&str]) {
    assert!(!sources.is_empty(), "{what}: nothing was looked at");
    for source in sources {
        let found = offences(&read(source), forbidden);
        assert!(found.is_empty(), "{}: {found:?}", source.display());
    }
}

/// Lines that name something forbidden, with their numbers; comments may.
fn offences(text: &str, forbidden: &[&str]) -> Vec<String> {
    let is_offence = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        forbidden
            .iter()
            .any(|words| code.contains(words) || imports(code, words))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| is_offence(line))
        .map(|(index, line)| format!("{}: {}", index + 1, line.trim()))
        .collect()
}

/// `std::fs` is also imported by `use std::{fs, ..}`.
fn imports(code: &str, words: &str) -> bool {
    let Some((parent, child)) = words.split_once("::") else {
        return false;
    };
    code.trim()
        .strip_prefix(&format!("use {parent}::{{"))
        .is_some_and(|rest| {
            !child.is_empty() && rest.split([',', '}', ' ', ':']).any(|name| name == child)
        })
}

fn dependencies(manifest: &str) -> Vec<String> {
    let mut is_inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            is_inside = header == "dependencies";
            names.extend(header.strip_prefix("dependencies.").map(str::to_owned));
        } else if is_inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find([' ', '.', '=']).unwrap_or(line.len());
            names.push(line[..end].to_owned());
        }
    }
    names
}

fn takes_workspace_lints(manifest: &str) -> bool {
    manifest
        .split("\n[")
        .any(|section| section.starts_with("lints]") && section.contains("workspace = true"))
}

fn opens_with_a_sentence(text: &str) -> bool {
    let opening: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let sentence = opening.join(" ");
    sentence.split(' ').count() >= 2 && sentence.ends_with(['.', ':', '!', '?'])
}

fn all_sources() -> Vec<PathBuf> {
    sources_below(&workspace_dir())
}

fn sources_below(dir: &Path) -> Vec<PathBuf> {
    files_below(dir, ".rs")
}

/// Files of the checkout; what was built or fetched is not ours.
fn files_below(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                let is_ours = name != "target" && !name.starts_with('.');
                dirs.extend(is_ours.then_some(path));
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a readable file")
}
