//! Every check and test that a change must pass, from cheap to dear.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chronik_local::foreign::{self, maven};
use chronik_local::{target_dir, workspace_dir};
use clap::Args;

use crate::error::XtaskError;
use crate::{Outcome, fuzz, output, step};

const DENY_VERSION: &str = "0.20.2";
const FUZZ_SECONDS: u32 = 15;

#[derive(Args)]
pub(crate) struct Options {
    /// Fail when the advisory database cannot be fetched
    #[arg(long)]
    pub(crate) require_advisories: bool,
}

/// Sums of the `test result:` lines.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    require_tools()?;
    let deny = install_cargo_deny()?;
    check_format()?;
    check_fuzz_lock()?;
    let mut clippy = step::cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
    step::run("clippy", clippy.args(["--", "-D", "warnings"]))?;
    let were_advisories_checked = check_dependencies(&deny, options.require_advisories)?;
    let mut tally = Tally::default();
    let mut units = step::cargo(&["test", "--workspace", "--exclude", "regression", "--locked"]);
    step::run_watched("unit and property tests", &mut units, |line| {
        tally.add(line)
    })?;
    fuzz::run(&fuzz::Options {
        seconds: FUZZ_SECONDS,
        targets: Vec::new(),
    })?;
    // Not by its package: alone it would want its dependencies with other features, and all of them compiled again.
    let mut integration = step::cargo(&["test", "--workspace", "--test", "regression", "--locked"]);
    step::run_watched(
        "integration tests and foreign clients",
        &mut integration,
        |line| {
            tally.add(line);
        },
    )?;
    if !were_advisories_checked {
        output::line(NO_ADVISORIES);
    }
    if !Path::new("/dev/net/tun").exists() {
        output::line(NO_NETWORKS);
    }
    if !Path::new("/dev/loop-control").exists() || !rustix::process::getuid().is_root() {
        output::line(NO_DISKS);
    }
    output::line(&tally.summary());
    Ok(())
}

const NO_ADVISORIES: &str = "\n\
    !! The advisory database could NOT be fetched: security advisories were NOT checked.\n\
    !! With network access: cargo xtask test --require-advisories\n";

const NO_NETWORKS: &str = "\n\
    !! This machine has no /dev/net/tun: cuts, loss and the loss of leaders were NOT tested by chronik-chaos.\n";
const NO_DISKS: &str = "\n\
    !! Without root and loop devices power cuts were NOT tested, nor that a killed chronik-chaos leaves no mount.\n";

/// A missing tool fails at once, and not after twenty minutes.
fn require_tools() -> Outcome {
    maven::require_java()?;
    foreign::require("python3", "apt-get install -y python3-venv")?;
    foreign::require("kcat", "apt-get install -y kcat")?;
    foreign::require("tmux", "apt-get install -y tmux")?;
    foreign::require("g++", "apt-get install -y g++")?;
    foreign::require("make", "apt-get install -y make")?;
    foreign::require("mkfs.ext4", "apt-get install -y e2fsprogs")?;
    Ok(())
}

/// Built once into the build directory; the version is part of the path.
fn install_cargo_deny() -> Result<PathBuf, XtaskError> {
    let root = target_dir().join(format!("tools/cargo-deny-{DENY_VERSION}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    // The profile matters: optimising this tool takes longer than all of its runs.
    let mut install = Command::new("cargo");
    install
        .current_dir(workspace_dir())
        .env("CARGO_TARGET_DIR", target_dir().join("tools/build"))
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--debug",
            "--version",
            DENY_VERSION,
        ])
        .arg("--root")
        .arg(&root);
    step::run(&format!("install cargo-deny {DENY_VERSION}"), &mut install)?;
    let build = target_dir().join("tools/build");
    fs::remove_dir_all(&build).map_err(XtaskError::file("remove", &build))?;
    Ok(program)
}

fn check_format() -> Outcome {
    let mut workspace = step::cargo(&["fmt", "--all", "--check"]);
    step::run("format", &mut workspace)?;
    let mut fuzz_targets = step::cargo(&["fmt", "--check", "--manifest-path"]);
    step::run(
        "format of the fuzz targets",
        fuzz_targets.arg("tests/fuzz/Cargo.toml"),
    )
}

/// The fuzz targets are a package of their own, with a lock file that nothing else touches: one that is out of date is
/// told now, and not when they are built.
fn check_fuzz_lock() -> Outcome {
    let mut tree = step::cargo(&["tree", "--locked", "--depth", "0", "--manifest-path"]);
    step::run(
        "lock file of the fuzz targets (cargo metadata in tests/fuzz renews it)",
        tree.arg("tests/fuzz/Cargo.toml"),
    )
}

/// Returns whether the advisories could be checked.
fn check_dependencies(deny: &Path, are_advisories_required: bool) -> Result<bool, XtaskError> {
    let mut offline = Command::new(deny);
    offline.current_dir(workspace_dir()).args([
        "--log-level",
        "error",
        "check",
        "licenses",
        "bans",
        "sources",
    ]);
    step::run("cargo-deny: licences, bans, sources", &mut offline)?;
    output::heading("cargo-deny: advisories");
    let is_fetched = Command::new(deny)
        .current_dir(workspace_dir())
        .args(["fetch", "db"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_fetched {
        output::line(NO_ADVISORIES);
        if are_advisories_required {
            return Err(XtaskError::Refused(
                "the advisory database is required and cannot be fetched".into(),
            ));
        }
        return Ok(false);
    }
    let mut advisories = Command::new(deny);
    advisories
        .current_dir(workspace_dir())
        .args(["check", "--disable-fetch", "advisories"]);
    step::run("cargo-deny: advisories", &mut advisories)?;
    Ok(true)
}

impl Tally {
    fn add(&mut self, line: &str) {
        let Some(counts) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let count = |word: &str| -> u64 {
            counts
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                .unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }

    /// In the words of cargo, so that whoever counts tests finds them.
    fn summary(&self) -> String {
        format!(
            "test result: ok. {} passed; {} failed; {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_summed() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 18 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s");
        tally.add("test a::b ... ok");
        tally.add("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        assert_eq!(
            tally.summary(),
            "test result: ok. 20 passed; 0 failed; 1 ignored"
        );
    }
}
