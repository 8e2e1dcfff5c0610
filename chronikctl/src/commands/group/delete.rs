//! `chronikctl group delete`: a group without members and all its positions go.

use kafka_protocol::messages::{DeleteGroupsRequest, GroupId};

use super::describe::{committed, coordinator, describe};
use crate::cli::Consent;
use crate::commands::topic::{Item, items};
use crate::exit::Failure;
use crate::kafka::{check, refusal, text};
use crate::mutate::{self, Plan};
use crate::output::{Answer, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group
    group: String,
    #[command(flatten)]
    consent: Consent,
}

const DELETE_GROUPS: i16 = 1;

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let mut kafka = session.own_kafka().await?;
    let cluster_id = kafka.cluster_id.clone();
    let group = &args.group;
    let coordinator = coordinator(&mut kafka, group).await?;
    let described = describe(&mut kafka, coordinator, group).await?;
    let positions = committed(&mut kafka, coordinator, group).await?;
    if described.group_state.as_str() == "Dead" && positions.is_empty() {
        return Err(refusal(69, &format!("group {group}"), None));
    }
    let count: usize = positions.values().map(|offsets| offsets.len()).sum();
    let mut plan = Plan::new(session, &cluster_id, format!("delete group {group}"));
    let members = described.members.len();
    plan.check(
        "GROUP_EMPTY",
        members == 0,
        format!("group {group} has {members} members"),
    );
    plan.change(format!(
        "group {group} goes with {}",
        plural(count as u64, "position")
    ));
    let act = async {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        let answer = kafka.ask(coordinator, DELETE_GROUPS, &request).await?;
        for result in answer.results {
            check(result.error_code, &format!("group {group}"), None)?;
        }
        Ok(items(
            &cluster_id,
            "group",
            "deleted",
            vec![Item::of(group, Ok(()))],
        ))
    };
    mutate::carry_out(session, &args.consent, plan, act).await
}
