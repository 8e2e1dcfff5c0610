//! The processes that a run starts of this same program: janitor, stage and worker.

use std::ffi::OsString;
use std::path::Path;

use super::{CommandFault, Done};
use crate::contain::enter;
use crate::output::Progress;
use crate::run::{Plan, run};
use crate::target::become_mutant;

pub(crate) fn janitor(run_dir: &Path) -> Done {
    enter::be_janitor(run_dir).map_err(CommandFault::Processes)?;
    Ok(0)
}

pub(crate) fn stage(run_dir: &Path, front: &str) -> Done {
    let shares = Plan::read(run_dir)?.shares();
    let status = enter::be_stage(run_dir, front, shares).map_err(CommandFault::Processes)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(3))
}

pub(crate) fn worker(run_dir: &Path) -> Done {
    let plan = Plan::read(run_dir)?;
    enter::settle_worker(plan.shares()).map_err(CommandFault::Processes)?;
    run(&plan, run_dir, &Progress::new(plan.is_quiet))?;
    Ok(0)
}

pub(crate) fn mutant(command: &[OsString]) -> Done {
    Err(CommandFault::Processes(become_mutant(command)))
}
