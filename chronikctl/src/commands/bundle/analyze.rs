//! `chronikctl bundle analyze`: the doctor reads what was collected elsewhere, and asks nobody.

use std::path::PathBuf;

use super::archive;
use crate::commands::doctor::{self, Evidence};
use crate::exit::Failure;
use crate::output::Answer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let path = args.file.display();
    let hint = "chronikctl bundle create writes one";
    let files = archive::read(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {path}: {error}")).hint(hint))?;
    if !files.contains_key("manifest.json") {
        let message = format!("{path} is no bundle: it has no manifest");
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(doctor::told(&path.to_string(), &Evidence::read(&files)))
}
