//! `chronikctl config set`: a topic's settings, and the one of a node that can be changed while it runs.

use chronik_admin::Code;

use super::{Of, Whose};
use crate::cli::Consent;
use crate::commands::node::log_level;
use crate::commands::topic::alter::{self, Wanted};
use crate::commands::topic::setting;
use crate::exit::Failure;
use crate::output::Answer;
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whose: Whose,
    /// What shall hold
    #[arg(value_name = "NAME=VALUE", value_parser = setting, required_unless_present = "reset")]
    set: Vec<(String, String)>,
    /// Gives a setting of a topic its default back, as often as needed
    #[arg(long, value_name = "NAME", conflicts_with = "node")]
    reset: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// What a node does otherwise at once; everything else is read when it starts.
const LOG_LEVEL: &str = "log.level";

pub(super) async fn run(session: &Session, args: &Args) -> Result<Answer, Failure> {
    let node = match args.whose.of() {
        Of::Node(node) => node,
        Of::Topic(topic) => {
            let wanted = Wanted {
                topic,
                set: &args.set,
                reset: &args.reset,
            };
            return alter::change(session, &wanted, &args.consent).await;
        }
    };
    match args.set.as_slice() {
        [(name, level)] if name == LOG_LEVEL => {
            log_level::change(session, node, level, &args.consent).await
        }
        several => {
            let others = several.iter().find(|(name, _)| name != LOG_LEVEL);
            let name = others.map_or(LOG_LEVEL, |(name, _)| name);
            let message = format!("NEEDS_RESTART: {name} is read when a node starts");
            let hint = "write it into the node's file, environment or flags, then: chronikctl node restart-check";
            Err(Failure::new(Code::Blocked, message).hint(format!("{hint} {node}")))
        }
    }
}
