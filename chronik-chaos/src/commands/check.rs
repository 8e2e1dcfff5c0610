//! `check`: an old history under today's rules.

use std::path::Path;

use super::Done;
use super::launch::show;
use crate::report;
use crate::run::Plan;
use crate::verdict::judge;

pub(crate) fn check(run_dir: &Path) -> Done {
    let plan = Plan::read(run_dir)?;
    let (verdict, timeline) = judge(run_dir, plan.target.contract(), &plan.scenario.expect)?;
    report::write_all(run_dir, &plan, &verdict, &timeline)?;
    show(&verdict, run_dir);
    Ok(verdict.outcome.exit_code())
}
