//! `chronikctl rebalance diff`: a plan in a file against the cluster as it is now, and against a plan made now.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronik_admin::v1::{Move, MoveCheck, PlacementPlan, Verification};
use schemars::JsonSchema;
use serde::Serialize;

use super::plan::listed;
use super::{fetch, file, verify};
use crate::exit::{Failure, Verdict};
use crate::output::{Answer, Cell, Column, Rows, Table, Tone, Warning, plural};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `rebalance plan --save` or `-o json` wrote
    file: PathBuf,
}

/// How a plan differs from the present.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PlanDiff {
    /// The catalog that the plan was made for, and that it was held against.
    made_for: u64,
    catalog_version: u64,
    /// It could be applied: every partition still is where the plan found it.
    fits: bool,
    differences: Vec<Difference>,
}

/// One partition for which the plan says something else than the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Difference {
    group: String,
    kind: Kind,
    /// What the plan found and wants; empty if the plan does not name the partition.
    from: Vec<u64>,
    to: Vec<u64>,
    /// Where it is now, or is on its way to.
    present: Vec<u64>,
    /// A sentence.
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// It is not where the plan found it any more.
    Moved,
    /// A plan that was made now would leave it where it is.
    Needless,
    /// A plan that was made now would want it elsewhere.
    Elsewhere,
    /// A plan that was made now would move it, too.
    Missing,
}

const COLUMNS: [Column; 6] = [
    Column::text("partition"),
    Column::text("kind"),
    Column::text("from"),
    Column::text("to"),
    Column::text("present"),
    Column::text("what"),
];

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let plan = file::read(session, &args.file)?;
    let found = verify::fetch(session, &plan).await?;
    let again = fetch(session, &plan.goal, plan.node_id).await;
    let (fresh, warning) = match again {
        Ok((_, fresh)) => (Some(fresh), None),
        // There is no such plan any more: that it cannot be made is worth knowing, too.
        Err(failure) if !failure.error.retryable => (None, Some(failure.error.message)),
        Err(failure) => return Err(failure),
    };
    let mut answer = told(&plan, &found, fresh.as_ref());
    answer.warnings.extend(warning.map(|why| Warning {
        code: "NO_FRESH_PLAN".to_owned(),
        message: format!("this plan could not be made now: {why}"),
    }));
    Ok(answer)
}

pub(crate) fn told(
    plan: &PlacementPlan,
    found: &Verification,
    fresh: Option<&PlacementPlan>,
) -> Answer {
    let mut differences: Vec<Difference> = found.moves.iter().filter_map(moved).collect();
    let fits = differences.is_empty();
    // What has moved is another layout: a fresh plan for it would say nothing about this one.
    if let Some(fresh) = fresh.filter(|_| fits) {
        differences.extend(against(plan, fresh));
    }
    let diff = PlanDiff {
        made_for: plan.catalog_version,
        catalog_version: found.catalog_version,
        fits,
        differences,
    };
    let mut answer = Answer::of("PlanDiff", &plan.cluster_id, &diff);
    answer.rows = Rows::Of("differences");
    let count = plural(diff.differences.len() as u64, "difference");
    let (tone, line) = match (fits, diff.differences.is_empty()) {
        (true, true) => (
            Tone::Good,
            "the plan fits, and would be made again".to_owned(),
        ),
        (true, false) => (
            Tone::Warn,
            format!("the plan fits, but another one would be made now: {count}"),
        ),
        (false, _) => (
            Tone::Bad,
            format!("the plan does not fit any more: {count}"),
        ),
    };
    answer.headlines.push((tone, line));
    if !diff.differences.is_empty() {
        let mut table = Table::new(&COLUMNS);
        diff.differences.iter().for_each(|one| table.row(row(one)));
        answer.tables.push(table);
        answer.verdict = Verdict::No;
    }
    answer
}

/// A partition that is not where the plan found it.
fn moved(one: &MoveCheck) -> Option<Difference> {
    let is_there = one.present == one.from && one.operation_id.is_none();
    (!is_there).then(|| Difference {
        group: one.group.clone(),
        kind: Kind::Moved,
        from: one.from.clone(),
        to: one.to.clone(),
        present: one.present.clone(),
        message: one.message.clone(),
    })
}

/// What two plans for one layout say differently.
fn against(plan: &PlacementPlan, fresh: &PlacementPlan) -> Vec<Difference> {
    let by_name = |plan: &'_ PlacementPlan| -> BTreeMap<String, Move> {
        let moves = plan.moves.iter();
        moves.map(|one| (one.group.clone(), one.clone())).collect()
    };
    let (old, new) = (by_name(plan), by_name(fresh));
    let differs = |kind: Kind, one: &Move, message: String| Difference {
        group: one.group.clone(),
        kind,
        from: one.from.clone(),
        to: one.to.clone(),
        present: one.from.clone(),
        message,
    };
    let kept = old.values().filter_map(|one| match new.get(&one.group) {
        None => {
            let message = "a plan made now would leave it where it is".to_owned();
            Some(differs(Kind::Needless, one, message))
        }
        Some(other) if other.to != one.to => {
            let message = format!("a plan made now would move it to {}", listed(&other.to));
            Some(differs(Kind::Elsewhere, one, message))
        }
        Some(_) => None,
    });
    let more = new.values().filter(|one| !old.contains_key(&one.group));
    let more = more.map(|one| Difference {
        from: Vec::new(),
        to: Vec::new(),
        ..differs(
            Kind::Missing,
            one,
            format!("a plan made now would move it to {}", listed(&one.to)),
        )
    });
    kept.chain(more).collect()
}

fn row(one: &Difference) -> Vec<Cell> {
    let kind = match one.kind {
        Kind::Moved => Cell::toned(Tone::Bad, "moved"),
        Kind::Needless => Cell::toned(Tone::Warn, "needless"),
        Kind::Elsewhere => Cell::toned(Tone::Warn, "elsewhere"),
        Kind::Missing => Cell::toned(Tone::Warn, "missing"),
    };
    vec![
        one.group.as_str().into(),
        kind,
        listed(&one.from).into(),
        listed(&one.to).into(),
        listed(&one.present).into(),
        one.message.as_str().into(),
    ]
}
