//! What a machine runs at night: everything a change must pass, then what takes longer.

use crate::{Outcome, compat, fuzz, test};

const FUZZ_SECONDS: u32 = 60;

pub(crate) fn run() -> Outcome {
    test::run(&test::Options {
        require_advisories: true,
    })?;
    fuzz::run(&fuzz::Options {
        seconds: FUZZ_SECONDS,
        targets: Vec::new(),
    })?;
    compat::run_all()
}
