//! `chronikctl context`: named clusters, kept in a file of the user.

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::context::{self, Kind};
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Table, Tone, note};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// All contexts
    #[command(after_help = "Examples:\n  chronikctl context list")]
    List,
    /// The context that commands would use now, or one by its name
    #[command(
        after_help = "Examples:\n  chronikctl context show\n  chronikctl context show production -o json"
    )]
    Show {
        /// Its name
        name: Option<String>,
    },
    /// Writes a context down; one of this name is replaced
    #[command(
        after_help = "Examples:\n  chronikctl context add production --admin 10.0.0.1:9292,10.0.0.2:9292 --protect\n  chronikctl context add legacy --kafka --server kafka:9092"
    )]
    Add(Add),
    /// Chooses the context of all later commands
    #[command(after_help = "Examples:\n  chronikctl context use production")]
    Use {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// A Kafka cluster without the admin API
    #[arg(long)]
    kafka: bool,
    /// Changes want the context's name typed
    #[arg(long)]
    protect: bool,
    /// Changes are refused
    #[arg(long)]
    read_only: bool,
}

/// A context with its name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Described {
    name: String,
    /// Used when no other is chosen.
    current: bool,
    #[serde(flatten)]
    context: context::Context,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ContextList {
    contexts: Vec<Described>,
}

const COLUMNS: [Column; 6] = [
    Column::text("context"),
    Column::text("type"),
    Column::text("admin"),
    Column::text("kafka"),
    Column::text("cluster"),
    Column::text("care"),
];

pub(crate) async fn run(session: &Session, command: &Context) -> Result<Answer, Failure> {
    match command {
        Context::List => list(session),
        Context::Show { name } => show(session, name.as_deref()),
        Context::Add(add) => written(session, add),
        Context::Use { name } => choose(session, name),
    }
}

fn list(session: &Session) -> Result<Answer, Failure> {
    let known = config::read_contexts(&session.settings.paths.contexts)?;
    let described = known.contexts.iter().map(|(name, context)| Described {
        name: name.clone(),
        current: known.current.as_ref() == Some(name),
        context: context.clone(),
    });
    let contexts: Vec<Described> = described.collect();
    let mut table = Table::new(&COLUMNS);
    contexts.iter().for_each(|one| table.row(row(one)));
    if contexts.is_empty() {
        note("no contexts yet; commands use 127.0.0.1:9292");
    }
    let mut answer = Answer::of("ContextList", "", &ContextList { contexts });
    let rows = answer.data["contexts"].as_array().cloned();
    answer.rows = rows;
    answer.tables.push(table);
    Ok(answer)
}

fn show(session: &Session, name: Option<&str>) -> Result<Answer, Failure> {
    let known = config::read_contexts(&session.settings.paths.contexts)?;
    let context = match name {
        None => session.settings.context.clone(),
        Some(name) => {
            let found = known.contexts.get(name).cloned();
            let mut context = found.ok_or_else(|| unknown(name))?;
            context.name = name.to_owned();
            context
        }
    };
    Ok(described(context, &known))
}

fn written(session: &Session, add: &Add) -> Result<Answer, Failure> {
    let file = &session.settings.paths.contexts;
    let mut known = config::read_contexts(file)?;
    let given = &session.settings.context;
    let kind = if add.kafka {
        Kind::Kafka
    } else {
        Kind::Chronik
    };
    if !given.is_given {
        return Err(Failure::usage("a context needs addresses")
            .hint("add --admin HOST:PORT, or --kafka --server HOST:PORT"));
    }
    let context = context::Context {
        name: add.name.clone(),
        kind,
        admin: match kind {
            Kind::Chronik => given.admin.clone(),
            Kind::Kafka => Vec::new(),
        },
        bootstrap: given.bootstrap.clone(),
        protect: add.protect,
        read_only: add.read_only,
        ..context::Context::default()
    };
    known.contexts.insert(add.name.clone(), context.clone());
    known.current.get_or_insert_with(|| add.name.clone());
    known.write(file)?;
    Ok(described(context, &known))
}

fn choose(session: &Session, name: &str) -> Result<Answer, Failure> {
    let file = &session.settings.paths.contexts;
    let mut known = config::read_contexts(file)?;
    let mut context = known
        .contexts
        .get(name)
        .cloned()
        .ok_or_else(|| unknown(name))?;
    context.name = name.to_owned();
    known.current = Some(name.to_owned());
    known.write(file)?;
    Ok(described(context, &known))
}

fn described(context: context::Context, known: &context::ContextFile) -> Answer {
    let one = Described {
        name: context.name.clone(),
        current: known.current.as_ref() == Some(&context.name),
        context,
    };
    let mut table = Table::new(&COLUMNS);
    table.row(row(&one));
    let mut answer = Answer::of("Context", "", &one);
    answer.tables.push(table);
    answer
}

fn row(one: &Described) -> Vec<Cell> {
    let context = &one.context;
    let name = match one.current {
        true => Cell::toned(Tone::Good, format!("{} *", one.name)),
        false => Cell::from(&one.name),
    };
    let list = |addresses: &[String]| match addresses.is_empty() {
        true => Cell::none(),
        false => addresses.join(",").into(),
    };
    let kind = match context.kind {
        Kind::Chronik => "chronik",
        Kind::Kafka => "kafka",
    };
    let care = match (context.protect, context.read_only) {
        (_, true) => Cell::toned(Tone::Warn, "read-only"),
        (true, false) => Cell::toned(Tone::Warn, "PROTECTED"),
        (false, false) => Cell::none(),
    };
    vec![
        name,
        kind.into(),
        list(&context.admin),
        list(&context.bootstrap),
        Cell::maybe(context.cluster_id.as_ref()),
        care,
    ]
}

fn unknown(name: &str) -> Failure {
    Failure::usage(format!("there is no context {name:?}")).hint("chronikctl context list")
}
