//! `chronikctl topic delete`: says what goes before it goes.

use chronik_admin::Code;
use kafka_protocol::messages::DeleteTopicsRequest;
use regex_lite::Regex;

use super::describe::{self, EARLIEST, LATEST};
use super::{Item, begin, items, name_of};
use crate::cli::Consent;
use crate::exit::Failure;
use crate::kafka::{Kafka, outcome, topic_name};
use crate::mutate::{self, Plan};
use crate::output::{Answer, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topics
    #[arg(value_name = "TOPIC", required_unless_present = "regex")]
    topics: Vec<String>,
    /// All topics whose names it matches; wants the hash that --dry-run prints
    #[arg(long, value_name = "RE", conflicts_with = "topics")]
    regex: Option<String>,
    /// Of exactly the topics that --dry-run listed
    #[arg(long, value_name = "HASH", requires = "regex")]
    hash: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

const DELETE_TOPICS: i16 = 4;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let topics = match &args.regex {
        None => args.topics.clone(),
        Some(regex) => matching(session, regex).await?,
    };
    let (mut kafka, mut plan) = begin(session, "delete", &topics).await?;
    let cluster_id = plan.cluster_id.clone();
    for name in &topics {
        plan.change(loss(&mut kafka, name).await?);
    }
    if args.regex.is_some() {
        check_hash(args, &topics, &mut plan)?;
    }
    let act = async {
        let deleted = delete(&mut kafka, &topics).await?;
        Ok(items(&cluster_id, "topic", "deleted", deleted))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}

/// All topics of the name, but those that the cluster keeps for itself.
async fn matching(session: &Session, regex: &str) -> Result<Vec<String>, Failure> {
    let matcher = Regex::new(regex)
        .map_err(|error| Failure::usage(format!("{regex:?} cannot be understood: {error}")))?;
    let mut kafka = session.own_kafka().await?;
    let metadata = kafka.metadata(None).await?;
    let own = metadata.topics.iter().filter(|topic| !topic.is_internal);
    let names = own.map(name_of);
    let mut names: Vec<String> = names.filter(|name| matcher.is_match(name)).collect();
    names.sort();
    match names.is_empty() {
        false => Ok(names),
        true => {
            let message = format!("no topic matches {regex:?}");
            Err(Failure::new(Code::NotFound, message).hint("chronikctl topic list"))
        }
    }
}

/// Topics come and go: what is deleted is what was listed, and nothing else.
fn check_hash(args: &Args, topics: &[String], plan: &mut Plan) -> Result<(), Failure> {
    let hash = hash(topics);
    let count = plural(topics.len() as u64, "topic");
    plan.change(format!("add --hash {hash} to delete exactly these {count}"));
    match &args.hash {
        _ if args.consent.dry_run => Ok(()),
        Some(given) if *given == hash => Ok(()),
        Some(given) => {
            let message = format!("other topics match now: {given} was given, and they are {hash}");
            Err(Failure::new(Code::Stale, message).hint("look again with --dry-run"))
        }
        None => {
            let message = format!("HASH_WANTED: {count} would go");
            Err(Failure::new(Code::Blocked, message).hint("--dry-run lists them and prints --hash"))
        }
    }
}

/// FNV-1a of all names: enough to tell lists apart that nobody forges.
fn hash(topics: &[String]) -> String {
    let bytes = topics.iter().flat_map(|name| name.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What will not be there any more. A topic that does not exist ends the command.
async fn loss(kafka: &mut Kafka, name: &str) -> Result<String, Failure> {
    let topic = describe::find(kafka, name).await?;
    let leaders = describe::leaders(&topic);
    let start = describe::offsets(kafka, name, &leaders, EARLIEST).await;
    let end = describe::offsets(kafka, name, &leaders, LATEST).await;
    let records = end
        .iter()
        .map(|(partition, end)| end - start.get(partition).unwrap_or(&0));
    let partitions = plural(topic.partitions.len() as u64, "partition");
    let records = plural(records.sum::<i64>().unsigned_abs(), "record");
    Ok(format!(
        "topic {name} goes for ever: {partitions} with {records}"
    ))
}

async fn delete(kafka: &mut Kafka, topics: &[String]) -> Result<Vec<Item>, Failure> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(topics.iter().map(|name| topic_name(name)).collect())
        .with_timeout_ms(kafka.timeout_ms());
    let controller = kafka.controller;
    let answer = kafka.ask(controller, DELETE_TOPICS, &request).await?;
    let items = answer.responses.into_iter().map(|topic| {
        let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
        let outcome = outcome(topic.error_code, "topic", &name, None);
        Item::of(&name, outcome)
    });
    Ok(items.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lists_have_other_hashes() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let known = hash(&list(&["a", "bc"]));
        assert_eq!(known, hash(&list(&["a", "bc"])));
        for other in [&["ab", "c"][..], &["a"], &["a", "bc", "d"], &[]] {
            assert_ne!(known, hash(&list(other)), "{other:?}");
        }
    }
}
