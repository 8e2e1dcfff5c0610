//! Where this checkout and its build results are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::LocalError;
use crate::foreign;

/// The root of the checkout this library was built from.
pub fn workspace_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/chronik-local lies two levels below the root")
        .to_path_buf()
}

/// The build directory the running program lies in; cargo marks it with `CACHEDIR.TAG`.
pub fn target_dir() -> PathBuf {
    env::current_exe()
        .ok()
        .and_then(|program| {
            program
                .ancestors()
                .find(|dir| dir.join("CACHEDIR.TAG").is_file())
                .map(Path::to_path_buf)
        })
        .unwrap_or_else(|| workspace_dir().join("target"))
}

/// The commit of this checkout, with a mark if it has changes: the name under which measurements are kept.
pub fn checkout_commit() -> Result<String, LocalError> {
    let mut git = Command::new("git");
    git.current_dir(workspace_dir())
        .args(["describe", "--always", "--dirty", "--abbrev=10"]);
    Ok(foreign::run("git describe", &mut git)?.trim().to_owned())
}
