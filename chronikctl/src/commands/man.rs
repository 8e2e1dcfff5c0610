//! `chronikctl man`: a page of the manual for each command.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::{Failure, Verdict};
use crate::output::note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the pages; it is made if missing
    directory: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!(
            "cannot write to {}: {error}",
            args.directory.display()
        ))
    };
    fs::create_dir_all(&args.directory).map_err(failed)?;
    let mut root = Cli::command();
    // Global flags are known below only after this.
    root.build();
    let pages = write(&root, "chronikctl", &args.directory).map_err(failed)?;
    note(&format!(
        "wrote {pages} pages to {}",
        args.directory.display()
    ));
    Ok(Verdict::Yes)
}

/// The page of a command and those of all below it.
fn write(command: &clap::Command, name: &str, directory: &Path) -> std::io::Result<usize> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)?;
    let mut pages = 1;
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        pages += write(sub, &format!("{name}-{}", sub.get_name()), directory)?;
    }
    Ok(pages)
}
