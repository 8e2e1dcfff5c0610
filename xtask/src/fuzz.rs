//! Builds the targets of `tests/fuzz` with coverage instrumentation, on stable, and runs each for a while.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use chronik_local::{foreign, target_dir, workspace_dir};
use clap::Args;

use crate::error::XtaskError;
use crate::{Outcome, output, step};

/// What `cargo fuzz` passes to a nightly compiler, spelt so that stable takes it.
const INSTRUMENTATION: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];
const RESIDENT_MIB_MAX: u32 = 2048;
/// One input may not keep a target busy for longer.
const INPUT_SECONDS_MAX: u32 = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// The targets to run; all of them without any
    pub(crate) targets: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let triple = host_triple()?;
    build(&triple)?;
    for target in targets()? {
        if options.targets.is_empty() || options.targets.contains(&target) {
            fuzz(&triple, &target, options.seconds)?;
        }
    }
    Ok(())
}

fn fuzz_dir() -> PathBuf {
    workspace_dir().join("tests/fuzz")
}

fn build_dir() -> PathBuf {
    target_dir().join("fuzz")
}

/// Naming the target keeps the instrumentation out of build scripts and procedural macros.
fn build(triple: &str) -> Outcome {
    let mut build = Command::new("cargo");
    build
        .current_dir(fuzz_dir())
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f"))
        .env("CARGO_TARGET_DIR", build_dir())
        .args([
            "build",
            "--release",
            "--locked",
            "--bins",
            "--target",
            triple,
        ]);
    step::run("build the fuzz targets", &mut build)
}

fn fuzz(triple: &str, target: &str, seconds: u32) -> Outcome {
    let corpus = make_dir(build_dir().join("corpus").join(target))?;
    let artifacts = make_dir(build_dir().join("artifacts").join(target))?;
    let mut command = Command::new(build_dir().join(triple).join("release").join(target));
    command
        .current_dir(&artifacts)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={RESIDENT_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(corpus);
    let seeds = fuzz_dir().join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    output::heading(&format!("fuzz {target} for {seconds} s"));
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| XtaskError::Spawn {
            program: target.to_owned(),
            source,
        })?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        output::line(&String::from_utf8_lossy(&ended.stdout));
        output::line(&said);
        output::line(&format!("the input lies in {}", artifacts.display()));
        return Err(XtaskError::Step {
            step: format!("fuzz {target}"),
            status: ended.status,
        });
    }
    for line in said.lines().filter(|line| line.starts_with("stat::")) {
        output::line(line);
    }
    Ok(())
}

fn targets() -> Result<Vec<String>, XtaskError> {
    let dir = fuzz_dir().join("targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).map_err(XtaskError::file("list", &dir))? {
        let path = entry.map_err(XtaskError::file("list", &dir))?.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if let (true, Some(name)) = (is_source, path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn make_dir(path: PathBuf) -> Result<PathBuf, XtaskError> {
    fs::create_dir_all(&path).map_err(XtaskError::file("create", &path))?;
    Ok(path)
}

fn host_triple() -> Result<String, XtaskError> {
    let text = foreign::run("rustc -vV", Command::new("rustc").arg("-vV"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or(XtaskError::Unreadable {
            tool: "rustc -vV",
            text,
        })
}
