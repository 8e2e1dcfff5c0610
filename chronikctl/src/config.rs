//! Where values come from: a flag wins over the environment, that over the context, that over the default. This is the
//! only reader of the environment.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronik_admin::client::Bounds;

use crate::cli::Global;
use crate::context::{Context, ContextFile, Kind, Sources};
use crate::exit::Failure;
use crate::output::{Colour, Format, Paint, Printer, note};

/// The variables that are ours to read, with what they stand for.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("CHRONIKCTL_CONTEXT", "the context, as -c"),
    ("CHRONIKCTL_ADMIN", "admin addresses, as --admin"),
    ("CHRONIKCTL_SERVER", "Kafka addresses, as --server"),
    ("CHRONIKCTL_OUTPUT", "the form of answers, as -o"),
    ("NO_COLOR", "set to anything: no colours"),
    (
        "CLICOLOR_FORCE",
        "set to anything but 0: colours even without a terminal",
    ),
];

/// What the process was given besides its arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    context: Option<String>,
    admin: Option<String>,
    server: Option<String>,
    output: Option<String>,
    no_color: bool,
    force_color: bool,
    is_dumb: bool,
    config_dir: PathBuf,
    state_dir: PathBuf,
    data_dir: PathBuf,
    path: Vec<PathBuf>,
    user: String,
}

/// Everything a command needs to know before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) printer: Printer,
    pub(crate) bounds: Bounds,
    pub(crate) context: Context,
    /// Where its values come from.
    pub(crate) sources: Sources,
    pub(crate) watch: Option<Duration>,
    /// Answers that are asked for again stand below each other.
    pub(crate) plain: bool,
    pub(crate) paths: Paths,
    pub(crate) user: String,
}

/// Files that outlive a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) contexts: PathBuf,
    pub(crate) journal: PathBuf,
    /// Where local clusters keep their data.
    pub(crate) clusters: PathBuf,
    /// Where programs are looked for.
    pub(crate) programs: Vec<PathBuf>,
}

const DEFAULT_ADMIN: &str = "127.0.0.1:9292";
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

impl Environment {
    /// Reads the environment, once, at start.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the environment"
    )]
    pub(crate) fn of_this_process() -> Environment {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let home = text("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let directory = |name: &str, below: &str| {
            let base = text(name).map_or_else(|| home.join(below), PathBuf::from);
            base.join("chronik")
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        Environment {
            context: text("CHRONIKCTL_CONTEXT"),
            admin: text("CHRONIKCTL_ADMIN"),
            server: text("CHRONIKCTL_SERVER"),
            output: text("CHRONIKCTL_OUTPUT"),
            no_color: text("NO_COLOR").is_some(),
            force_color: text("CLICOLOR_FORCE").is_some_and(|force| force != "0"),
            is_dumb: text("TERM").is_some_and(|terminal| terminal == "dumb"),
            config_dir: directory("XDG_CONFIG_HOME", ".config"),
            state_dir: directory("XDG_STATE_HOME", ".local/state"),
            data_dir: directory("XDG_DATA_HOME", ".local/share"),
            path: std::env::split_paths(&path).collect(),
            user: text("USER").unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths {
            contexts: self.config_dir.join("config.toml"),
            journal: self.state_dir.join("journal.jsonl"),
            clusters: self.data_dir.join("clusters"),
            programs: self.path.clone(),
        }
    }
}

impl Settings {
    /// Puts flags, environment and the chosen context together.
    pub(crate) fn new(global: &Global, environment: &Environment) -> Result<Settings, Failure> {
        let paths = environment.paths();
        let (context, sources) = context(global, environment, &paths.contexts)?;
        Ok(Settings {
            printer: printer(global, environment)?,
            bounds: Bounds {
                connect: global.connect_timeout,
                call: global.timeout,
            },
            context,
            sources,
            watch: global.watch,
            plain: global.plain,
            paths,
            user: environment.user.clone(),
        })
    }
}

/// How failures are told that happen before everything is known.
pub(crate) fn printer(global: &Global, environment: &Environment) -> Result<Printer, Failure> {
    let is_terminal = io::stdout().is_terminal();
    let is_painted = match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if environment.no_color => false,
        Colour::Auto if environment.force_color => true,
        Colour::Auto => is_terminal && !environment.is_dumb,
    };
    let format = match (global.output, &environment.output) {
        (Some(format), _) => format,
        (None, Some(name)) => clap::ValueEnum::from_str(name, true).map_err(|_| {
            Failure::usage(format!(
                "CHRONIKCTL_OUTPUT is {name:?}, which is no form of answers"
            ))
            .hint("table, wide, json, jsonl, yaml or tsv")
        })?,
        (None, None) => Format::default(),
    };
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let width = size
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    Ok(Printer {
        format,
        columns: global.columns.clone(),
        headers: !global.no_headers,
        paint: Paint { is_on: is_painted },
        width: width.filter(|_| is_terminal),
    })
}

fn context(
    global: &Global,
    environment: &Environment,
    file: &Path,
) -> Result<(Context, Sources), Failure> {
    let exported = [
        ("CHRONIKCTL_ADMIN", &environment.admin),
        ("CHRONIKCTL_SERVER", &environment.server),
    ];
    let forgotten = exported.iter().find(|(_, value)| value.is_some());
    if let (Some(name), Some((variable, _))) = (&global.context, forgotten) {
        // Or a forgotten export sends the command to another cluster than the one that was typed.
        return Err(Failure::usage(format!(
            "both -c {name} and {variable} say which cluster is meant"
        ))
        .hint(format!("unset {variable}")));
    }
    let known = read_contexts(file)?;
    warn_of_unknown(&known, file);
    let project = project_context();
    let places = [
        ("-c", global.context.as_ref()),
        ("CHRONIKCTL_CONTEXT", environment.context.as_ref()),
        (".chronik.toml", project.as_ref()),
        ("context use", known.current.as_ref()),
    ];
    let mut given = places.iter();
    let chosen = given.find_map(|(place, name)| Some((*place, (*name)?)));
    let mut sources = Sources {
        context: "default".to_owned(),
        file: file.display().to_string(),
        ..Sources::default()
    };
    let mut context = match chosen {
        None => Context::named("default"),
        Some((place, name)) => {
            sources.context = place.to_owned();
            let found = known.contexts.get(name).cloned();
            let mut context = found.ok_or_else(|| {
                Failure::usage(format!(
                    "there is no context {name:?} in {}",
                    file.display()
                ))
                .hint("chronikctl context list")
            })?;
            context.name.clone_from(name);
            let own = format!("context {name}");
            for (source, addresses) in [
                (&mut sources.admin, &context.admin),
                (&mut sources.bootstrap, &context.bootstrap),
            ] {
                if !addresses.is_empty() {
                    source.clone_from(&own);
                }
            }
            context
        }
    };
    let list = |text: &String| text.split(',').map(|part| part.trim().to_owned()).collect();
    let typed = |flag: &Option<String>, name: &str, variable: &str| match flag {
        Some(_) => name.to_owned(),
        None => variable.to_owned(),
    };
    if let Some(admin) = global.admin.as_ref().or(environment.admin.as_ref()) {
        sources.admin = typed(&global.admin, "--admin", "CHRONIKCTL_ADMIN");
        context.admin = list(admin);
        context.kind = Kind::Chronik;
        context.is_given = true;
        context.cluster_id = None;
        // Those of the context may be another cluster's: this one says where it serves clients.
        context.bootstrap.clear();
        sources.bootstrap.clear();
    }
    if let Some(server) = global.server.as_ref().or(environment.server.as_ref()) {
        // With nothing but Kafka addresses the admin API is unknown.
        if !context.is_given && global.admin.is_none() && environment.admin.is_none() {
            context.kind = Kind::Kafka;
            context.admin.clear();
            context.cluster_id = None;
            sources.admin.clear();
        }
        sources.bootstrap = typed(&global.server, "--server", "CHRONIKCTL_SERVER");
        context.bootstrap = list(server);
        context.is_given = true;
    }
    if context.admin.is_empty() && context.kind == Kind::Chronik {
        context.admin = vec![DEFAULT_ADMIN.to_owned()];
        sources.admin = "default".to_owned();
    }
    if chosen.is_none() && context.bootstrap.is_empty() && context.admin == [DEFAULT_ADMIN] {
        context.bootstrap = vec![DEFAULT_BOOTSTRAP.to_owned()];
        sources.bootstrap = "default".to_owned();
    }
    Ok((context, sources))
}

/// The contexts that are written down; none is no mistake.
pub(crate) fn read_contexts(file: &Path) -> Result<ContextFile, Failure> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ContextFile::default()),
        Err(error) => {
            return Err(Failure::usage(format!(
                "cannot read {}: {error}",
                file.display()
            )));
        }
    };
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} cannot be understood: {error}", file.display()))
    })
}

/// Says which keys nobody understands here.
fn warn_of_unknown(known: &ContextFile, file: &Path) {
    for key in known.unknown_keys() {
        let file = file.display();
        note(&format!(
            "warning: {file} has a key {key} that is unknown here"
        ));
    }
}

/// `context = "NAME"` of the nearest `.chronik.toml`, up to the root of the repository.
fn project_context() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    for directory in here.ancestors() {
        if let Ok(text) = fs::read_to_string(directory.join(".chronik.toml")) {
            let table: toml::Table = text.parse().ok()?;
            return Some(table.get("context")?.as_str()?.to_owned());
        }
        if directory.join(".git").exists() {
            return None;
        }
    }
    None
}
