//! Where this checkout and its build results are.

use std::env;
use std::path::{Path, PathBuf};

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
