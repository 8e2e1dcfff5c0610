//! `chronikctl completions`: what a shell needs to complete words.

use clap_complete::Shell;

use super::Said;
use crate::complete;
use crate::exit::Verdict;
use crate::output::print_bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Said {
    let mut script = Vec::new();
    complete::write_script(&args.shell.to_string(), &mut script).expect("memory can be written to");
    // Whoever reads no further has read enough.
    _ = print_bytes(&script);
    Said::Printed(Verdict::Yes)
}
