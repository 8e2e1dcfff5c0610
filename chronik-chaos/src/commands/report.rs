//! `report`: the pages of a run, written anew.

use std::path::Path;

use super::Done;
use crate::run::Plan;
use crate::verdict::judge;
use crate::{output, report};

pub(crate) fn report(run_dir: &Path) -> Done {
    let plan = Plan::read(run_dir)?;
    let (verdict, timeline) = judge(run_dir, plan.target.contract(), &plan.scenario.expect)?;
    report::write_all(run_dir, &plan, &verdict, &timeline)?;
    output::line(run_dir.join("report.html").display());
    Ok(0)
}
