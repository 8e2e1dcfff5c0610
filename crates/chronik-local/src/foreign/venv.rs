//! Python packages of pinned versions in a virtual environment of their own.

use std::path::PathBuf;
use std::process::Command;

use super::tool::{install_once, require, run};
use crate::error::LocalError;
use crate::paths::target_dir;

/// Creates the environment named `name` with the packages of `requirements`; returns its Python.
pub fn python(name: &str, requirements: &str) -> Result<PathBuf, LocalError> {
    require("python3", "apt-get install -y python3-venv")?;
    let dir = target_dir().join("foreign").join(name);
    let venv = dir.join("venv");
    let python = venv.join("bin/python");
    install_once(&dir, requirements, || {
        let list = dir.join("requirements.txt");
        std::fs::write(&list, requirements).map_err(LocalError::file("write", &list))?;
        run(
            "python3 -m venv (if it is missing: apt-get install -y python3-venv)",
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
        )?;
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        run("pip install", pip.arg(&list)).map(drop)
    })?;
    Ok(python)
}
