//! What was done from here: one line of JSON for each change, never rewritten.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::json;

use crate::clock;
use crate::output::note;
use crate::session::Session;

/// Writes down a change and what came of it. A journal that cannot be written stops nothing, but is told.
pub(crate) fn write(session: &Session, cluster_id: &str, request_id: &str, outcome: &str) {
    let command = match &session.instead {
        Some(command) => command.split(' ').map(str::to_owned).collect(),
        None => std::env::args().collect::<Vec<String>>(),
    };
    let entry = json!({
        "ts": clock::now(),
        "who": session.settings.user,
        "context": session.settings.context.name,
        "cluster_id": cluster_id,
        "request_id": request_id,
        "command": command,
        "outcome": outcome,
    });
    let file = &session.settings.paths.journal;
    let append = || {
        file.parent().map(fs::create_dir_all).transpose()?;
        let mut journal = OpenOptions::new().create(true).append(true).open(file)?;
        journal.write_all(format!("{entry}\n").as_bytes())
    };
    if let Err(error) = append() {
        note(&format!(
            "warning: the journal {} cannot be written: {error}",
            file.display()
        ));
    }
}
