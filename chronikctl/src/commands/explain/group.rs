//! `chronikctl explain group`: two looks at a consumer group, a moment apart: what it lacks, and what does not move.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use super::{Cause, Explanation, told};
use crate::commands::group::describe::{self, GroupDescription, Position};
use crate::exit::Failure;
use crate::output::{Answer, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The consumer group
    group: String,
    /// Between the two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = crate::cli::duration)]
    between: Duration,
}

/// Partitions that are named.
const MOST_EXAMPLES: usize = 5;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let before = describe::read(&mut kafka, &args.group).await?;
    sleep(args.between).await;
    let after = describe::read(&mut kafka, &args.group).await?;
    let explanation = Explanation {
        subject: format!("group {}", args.group),
        state: format!(
            "{}, {}, {} to read",
            after.state,
            plural(after.members.len() as u64, "member"),
            plural(after.total_lag.unsigned_abs(), "record"),
        ),
        causes: causes(&before, &after),
    };
    Ok(told(&kafka.cluster_id, &explanation))
}

fn causes(before: &GroupDescription, after: &GroupDescription) -> Vec<Cause> {
    let mut causes = Vec::new();
    let lacking = |position: &&Position| position.lag.is_some_and(|lag| lag > 0);
    let lacking: Vec<&Position> = after.partitions.iter().filter(lacking).collect();
    let name = |position: &Position| format!("{}/{}", position.topic, position.partition);
    if after.members.is_empty() && !lacking.is_empty() {
        let records = plural(after.total_lag.unsigned_abs(), "record");
        causes.push(
            Cause::new("NO_MEMBER", format!("nobody reads: {records} wait"))
                .next("start its consumers"),
        );
    }
    let leaderless = after.partitions.iter().filter(|it| it.end.is_none());
    causes.extend(leaderless.map(|position| {
        let name = name(position);
        Cause::new("LEADERLESS", format!("{name} has no leader to read from"))
            .next(format!("chronikctl explain partition {name}"))
    }));
    let gone = after.partitions.iter().filter(|it| it.below_start);
    causes.extend(gone.map(|position| {
        let message = format!("records of {} are gone that were not read", name(position));
        Cause::new("BELOW_START", message)
            .with([format!("its position is {}", position.committed)])
            .next(format!("chronikctl topic describe {}", position.topic))
    }));
    if after.members.is_empty() {
        return causes;
    }
    let known: BTreeMap<String, i64> = before
        .partitions
        .iter()
        .map(|position| (name(position), position.committed))
        .collect();
    let stands = lacking.iter().filter(|position| {
        let was = known.get(&name(position));
        was.is_some_and(|was| *was == position.committed)
    });
    let stands: Vec<_> = stands.collect();
    if !stands.is_empty() {
        let evidence = stands.iter().take(MOST_EXAMPLES).map(|position| {
            let (at, lag) = (position.committed, position.lag.unwrap_or_default());
            format!("{} stays at {at}, and lacks {lag}", name(position))
        });
        let partitions = plural(stands.len() as u64, "partition");
        let message = format!("positions in {partitions} did not move between two looks");
        let cause = Cause::new("STANDS_STILL", message).with(evidence);
        causes.push(cause.next(format!("chronikctl group describe {}", after.group)));
    }
    causes
}
