//! zombie-commit: a commit of a fenced generation succeeds.

use super::group::PendingCommit;
use crate::finding::{Anomaly, Finding, Findings};

/// Whether the commit came from a generation that was still in charge when it began.
pub(crate) fn judge(findings: &mut Findings, commit: &PendingCommit, line: u64) -> bool {
    let Some((newer, newer_line)) = commit.fenced_by else {
        return true;
    };
    let detail = format!(
        "{} accepted a commit of generation {} after generation {newer} had begun",
        commit.group, commit.generation
    );
    findings.report(
        Finding::new(Anomaly::ZombieCommit, detail)
            .place(&commit.group)
            .lines([newer_line, commit.line, line]),
    );
    false
}
