//! Runs that belong together, each stored when it ended, so that a command that was cut short can go on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronik_local::{Store, checkout_commit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CommandFault;
use super::launch::launch;
use crate::cli::Place;
use crate::output;
use crate::run::Plan;
use crate::verdict::Verdict;

/// Beside the folders of runs.
const RESULTS: &str = "results";

/// One command at one commit.
#[derive(Debug)]
pub(crate) struct Campaign {
    store: Store,
    out: PathBuf,
}

/// What is kept of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    pub(crate) run_dir: PathBuf,
    pub(crate) took_ms: u64,
}

impl Campaign {
    pub(crate) fn open(name: &str, place: &Place) -> Result<Campaign, CommandFault> {
        // A program that was copied away from its checkout has no commit to name.
        let commit = checkout_commit().unwrap_or_else(|_| "no-checkout".to_owned());
        let store = Store::open(&place.out.join(RESULTS), name, commit, place.resume)?;
        Ok(Campaign {
            store,
            out: place.out.clone(),
        })
    }

    pub(crate) fn commit(&self) -> &str {
        self.store.commit()
    }

    /// The result of an earlier attempt at this command, or that of a run that is made now.
    pub(crate) fn run(
        &self,
        key: &str,
        plan: impl FnOnce() -> Result<Plan, CommandFault>,
    ) -> Result<Ended, CommandFault> {
        self.keep(key, || {
            let start = Instant::now();
            let (verdict, run_dir) = launch(&plan()?, &self.out)?;
            Ok(Ended {
                verdict,
                run_dir,
                took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
        })
    }

    /// A value that an earlier attempt at this command decided, or decides it now.
    pub(crate) fn keep<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T, CommandFault>,
    ) -> Result<T, CommandFault> {
        if let Some(kept) = self.store.read(key)? {
            return Ok(kept);
        }
        let made = make()?;
        self.store.write(key, &made)?;
        Ok(made)
    }

    /// One line about all runs, and where their results are.
    pub(crate) fn conclude<'a>(&self, ended: impl IntoIterator<Item = &'a Ended>) {
        let (mut passed, mut count, mut took) = (0, 0, Duration::ZERO);
        for ended in ended {
            count += 1;
            passed += u32::from(ended.verdict.outcome.exit_code() == 0);
            took += Duration::from_millis(ended.took_ms);
        }
        output::line(format!(
            "{passed} of {count} runs passed in {} s at {}; results in {}",
            took.as_secs(),
            self.commit(),
            self.store.dir().display()
        ));
    }
}
