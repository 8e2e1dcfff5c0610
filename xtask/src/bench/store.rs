//! Where results of measurements are kept: `target/bench/<name>-<commit>/`.

use chronik_local::{Store, checkout_commit};

use crate::error::XtaskError;
use crate::{output, step};

/// Empties the folder, unless an earlier measurement is to be resumed.
pub(crate) fn open(name: &str, is_resumed: bool) -> Result<Store, XtaskError> {
    let store = Store::open(
        &step::work_dir("bench")?,
        name,
        checkout_commit()?,
        is_resumed,
    )?;
    output::line(&format!("results in {}", store.dir().display()));
    Ok(store)
}
