//! Parses, configures, runs, and turns the outcome into an exit code.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use chronik_server::admin;
use chronik_server::config::cli::{self, Document, Invocation, Look};
use chronik_server::config::{self, ConfigError, Environment, Loaded, Sources};
use chronik_server::data_dir::DataDirError;
use chronik_server::guard::{self, Ward};
use chronik_server::metrics::{self, Metrics};
use chronik_server::server::{self, ServerError};
use chronik_server::snapshots::restore::{self, Wish};
use chronik_server::{chaos, limits, logging};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tracing::{error, warn};

/// Something went wrong while running.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong: trying again does not help.
const MISUSED: u8 = 2;
/// The storage failed or holds what must not be touched: somebody has to look at it.
const STORAGE_FAILED: u8 = 70;

fn main() -> ExitCode {
    let environment = Environment::of_this_process();
    let (no_color, chaos) = (environment.no_color, environment.chaos.clone());
    match cli::parse(std::env::args_os(), environment) {
        Ok(Invocation::Serve(sources)) => match sources.load() {
            Ok(loaded) => serve(loaded, no_color, &chaos),
            Err(error) => refuse(&error),
        },
        Ok(Invocation::Check(sources)) => check(sources),
        Ok(Invocation::Restore(sources, wish)) => match sources.load() {
            Ok(loaded) => restore(&loaded, &wish),
            Err(error) => refuse(&error),
        },
        Ok(Invocation::Look(file, look)) => look_at(&file, look),
        Ok(Invocation::Print(document)) => print(&text_of(document)),
        Ok(Invocation::Guard(ward)) => guard(ward),
        Err(error) => {
            // Help and version are such errors too, and know that they are none.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISUSED))
        }
    }
}

fn serve(loaded: Loaded, no_color: bool, chaos: &chaos::Orders) -> ExitCode {
    let log = logging::start(&loaded.config.log, no_color);
    let planted = match chaos::obey(chaos) {
        Ok(planted) => planted,
        Err(error) => {
            error!("{error}");
            return ExitCode::from(MISUSED);
        }
    };
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "threads cannot be started");
            return ExitCode::from(FAILED);
        }
    };
    let metrics = Arc::new(Metrics::default());
    let outcome = runtime.block_on(server::run(loaded, planted, metrics, log));
    // What still runs was told to stop and did not in time, so nothing waits for it here.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{}", logging::chain(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn guard(ward: Ward) -> ExitCode {
    match guard::keep(ward) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let process = ward.process;
            let _ = writeln!(
                io::stderr(),
                "chronik-server: the guard of process {process} cannot hang up for it: {error}"
            );
            ExitCode::from(FAILED)
        }
    }
}

fn check(sources: Sources) -> ExitCode {
    match sources.load() {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter();
            let warnings: String = warnings
                .map(|warning| format!("warning: {warning}\n"))
                .collect();
            let file = loaded.file.map_or_else(
                || "no file was read".to_owned(),
                |file| format!("with {}", file.display()),
            );
            print(&format!("{warnings}the configuration is valid ({file})\n"))
        }
        Err(error) => refuse(&error),
    }
}

/// For programs as much as for people: what was done, or why not, is one object.
fn restore(loaded: &Loaded, wish: &Wish) -> ExitCode {
    match restore::run(&loaded.config, wish) {
        Ok(restoration) => print(&format!("{}\n", json!(restoration))),
        Err(refused) => {
            print(&format!("{}\n", refused.to_admin().to_json()));
            ExitCode::from(FAILED)
        }
    }
}

fn look_at(file: &Path, look: Look) -> ExitCode {
    let (found, is_sound) = match look {
        Look::Inspect => admin::inspect_file(file),
        Look::Verify => admin::verify_file(file),
    };
    let printed = print(&format!("{found}\n"));
    match is_sound {
        true => printed,
        false => ExitCode::from(FAILED),
    }
}

fn text_of(document: Document) -> String {
    match document {
        Document::DefaultFile => config::docs::default_file(),
        Document::Explanation(text) => text,
        Document::ConfigReference => config::docs::reference(),
        Document::MetricsReference => metrics::docs::reference(),
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(limits::RUNTIME_WORKERS)
        .max_blocking_threads(limits::RUNTIME_BLOCKING_THREADS)
        .thread_name("chronik-worker")
        .enable_all()
        .build()
}

fn exit_code(error: &ServerError) -> u8 {
    match error {
        ServerError::DataDir(
            DataDirError::OtherNode { .. } | DataDirError::OtherCluster { .. },
        ) => MISUSED,
        ServerError::DataDir(DataDirError::InUse { .. }) => FAILED,
        ServerError::DataDir(_) | ServerError::Start(_) => STORAGE_FAILED,
        ServerError::Listen { .. } | ServerError::Signals(_) => FAILED,
    }
}

/// Says what is wrong with the configuration, before there is a log to say it in.
fn refuse(error: &ConfigError) -> ExitCode {
    for line in logging::chain(error).lines() {
        let _ = writeln!(io::stderr(), "chronik-server: {line}");
    }
    ExitCode::from(MISUSED)
}

/// A reader that closes the pipe early has read enough.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(FAILED),
        _ => ExitCode::SUCCESS,
    }
}
