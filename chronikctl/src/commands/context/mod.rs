//! `chronikctl context`: named clusters, kept in a file of the user.

mod validate;

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::context::{self, Kind, Sources};
use crate::exit::Failure;
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, note};
use crate::session::Session;

pub(crate) use validate::ContextCheck;

#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// All contexts
    #[command(after_help = "Examples:\n  chronikctl context list")]
    List,
    /// The context that commands would use now, or one by its name
    #[command(
        after_help = "Examples:\n  chronikctl context show\n  chronikctl context show production -o json\n  chronikctl context show --explain"
    )]
    Show {
        /// Its name
        #[arg(conflicts_with = "explain")]
        name: Option<String>,
        /// Say where each value comes from
        #[arg(long)]
        explain: bool,
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
    /// Asks every address of a context; exits 10 if one of them is not what it should be
    #[command(
        after_help = "Examples:\n  chronikctl context validate\n  chronikctl context validate -c production"
    )]
    Validate,
    /// One word for the prompt of a shell: the context, and how careful to be
    #[command(
        after_help = "Examples:\n  chronikctl context prompt\n  PS1='$(chronikctl context prompt) $ '"
    )]
    Prompt,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Sources>,
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
        Context::Show { explain: true, .. } => explained(session),
        Context::Show { name, .. } => show(session, name.as_deref()),
        Context::Add(add) => written(session, add),
        Context::Use { name } => choose(session, name),
        Context::Validate => Ok(validate::run(session).await),
        Context::Prompt => Ok(prompt(session)),
    }
}

fn list(session: &Session) -> Result<Answer, Failure> {
    let known = config::read_contexts(&session.settings.paths.contexts)?;
    let described = known.contexts.iter().map(|(name, context)| Described {
        name: name.clone(),
        current: known.current.as_ref() == Some(name),
        context: context.clone(),
        sources: None,
    });
    let contexts: Vec<Described> = described.collect();
    let mut table = Table::new(&COLUMNS);
    contexts.iter().for_each(|one| table.row(row(one)));
    if contexts.is_empty() {
        note("no contexts yet; commands use 127.0.0.1:9292");
    }
    let mut answer = Answer::of("ContextList", "", &ContextList { contexts });
    answer.rows = Rows::Of("contexts");
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

/// The context that commands would use now, value by value.
fn explained(session: &Session) -> Result<Answer, Failure> {
    let known = config::read_contexts(&session.settings.paths.contexts)?;
    let (context, sources) = (&session.settings.context, &session.settings.sources);
    let mut answer = described(context.clone(), &known);
    answer.data["sources"] = serde_json::to_value(sources).expect("text has a JSON form");
    let mut table = Table::new(&[
        Column::text("what"),
        Column::text("value"),
        Column::text("from"),
    ]);
    for (what, value, from) in [
        ("context", context.name.clone(), &sources.context),
        ("admin", context.admin.join(","), &sources.admin),
        ("kafka", context.bootstrap.join(","), &sources.bootstrap),
        ("contexts", "-".to_owned(), &sources.file),
    ] {
        table.row(vec![what.into(), some(&value), some(from)]);
    }
    answer.tables = vec![table];
    Ok(answer)
}

fn some(text: &str) -> Cell {
    Cell::maybe(Some(text).filter(|text| !text.is_empty()))
}

/// Without a question to anybody: a shell asks for it before each line.
fn prompt(session: &Session) -> Answer {
    let context = &session.settings.context;
    let (tone, care) = match (context.read_only, context.protect) {
        (true, _) => (Tone::Warn, "(ro)"),
        (false, true) => (Tone::Warn, "!"),
        (false, false) => (Tone::Plain, ""),
    };
    let mut answer = described(context.clone(), &context::ContextFile::default());
    answer.tables.clear();
    answer.headlines = vec![(tone, format!("{}{care}", context.name))];
    answer
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
        sources: None,
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
