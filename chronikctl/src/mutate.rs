//! The one way to change anything: checks, plan, confirmation, act, wait, verify, journal.

use std::future::Future;

use chronik_admin::Code;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{Checks, Consent};
use crate::exit::Failure;
use crate::journal;
use crate::output::{self, Answer, Tone, note};
use crate::session::Session;

/// What a command is about to do, known before it does it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    pub(crate) context: String,
    /// Whether the context wants its name for a yes.
    pub(crate) protected: bool,
    pub(crate) cluster_id: String,
    /// One sentence.
    pub(crate) action: String,
    /// What was looked at, and what it said.
    pub(crate) checks: Vec<Check>,
    /// What will be different, one line each.
    pub(crate) changes: Vec<String>,
    /// What to type to see what became of it.
    pub(crate) look_with: String,
    /// The word that a repetition is found by.
    pub(crate) request_id: String,
}

/// Something that must be so.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) passed: bool,
    pub(crate) message: String,
}

/// What a line begins with that says what will be different.
pub(crate) const CHANGE: &str = "  change   ";

impl Plan {
    pub(crate) fn new(session: &Session, cluster_id: &str, action: impl Into<String>) -> Plan {
        let context = &session.settings.context;
        Plan {
            context: context.name.clone(),
            protected: context.protect,
            cluster_id: cluster_id.to_owned(),
            action: action.into(),
            checks: Vec::new(),
            changes: Vec::new(),
            look_with: "chronikctl status".to_owned(),
            request_id: uuid::Uuid::new_v4().to_string(),
        }
    }

    pub(crate) fn check(&mut self, name: &str, passed: bool, message: impl Into<String>) {
        self.checks.push(Check {
            name: name.to_owned(),
            passed,
            message: message.into(),
        });
    }

    pub(crate) fn change(&mut self, line: impl Into<String>) {
        self.changes.push(line.into());
    }

    fn answer(&self) -> Answer {
        let mut answer = Answer::of("Plan", &self.cluster_id, self);
        answer
            .headlines
            .push((Tone::Strong, format!("{} (dry run)", self.action)));
        answer.footers = self.lines();
        answer
    }

    /// What a person reads before deciding.
    fn lines(&self) -> Vec<(Tone, String)> {
        let checks = self.checks.iter().map(|check| match check.passed {
            true => (
                Tone::Good,
                format!("  ok       {}: {}", check.name, check.message),
            ),
            false => (
                Tone::Bad,
                format!("  refused  {}: {}", check.name, check.message),
            ),
        });
        let changes = self.changes.iter();
        let changes = changes.map(|change| (Tone::Plain, format!("{CHANGE}{change}")));
        checks.chain(changes).collect()
    }
}

/// Does what the plan says, if the checks and the person agree. `act` acts, waits and verifies.
pub(crate) async fn carry_out(
    session: &Session,
    consent: &Consent,
    plan: Plan,
    act: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    for failed in plan.checks.iter().filter(|check| !check.passed) {
        weigh(failed, consent)?;
    }
    if consent.dry_run {
        return Ok(plan.answer());
    }
    confirm(session, consent, &plan)?;
    let outcome = tokio::select! {
        biased;
        // What was begun knows best how to go on after an interruption.
        outcome = act => outcome,
        // An error means that nobody can interrupt.
        Ok(()) = tokio::signal::ctrl_c() => Err(interrupted(&plan)),
    };
    let told = match &outcome {
        Ok(answer) => format!("exit {}", answer.verdict.code()),
        Err(failure) => format!("exit {}: {}", failure.code(), failure.error.message),
    };
    journal::write(session, &plan.cluster_id, &plan.request_id, &told);
    outcome
}

/// Checks whose failure means that something is lost, or that nothing works any more.
const UNSAFE: [&str; 2] = ["WOULD_LOSE_QUORUM", "LAST_REPLICA"];

/// Whether a check that failed forbids to go on.
fn weigh(failed: &Check, consent: &Consent) -> Result<(), Failure> {
    let message = format!("{}: {}", failed.name, failed.message);
    let is_unsafe = UNSAFE.contains(&failed.name.as_str());
    let may_go_on = match is_unsafe {
        true => consent.force_unsafe,
        false => consent.checks == Checks::Warn,
    };
    if may_go_on {
        note(&format!("warning: {message}"));
        return Ok(());
    }
    let hint = match is_unsafe {
        true => "wait until it is safe; --force-unsafe goes on regardless",
        false => "mend it first; --checks warn leaves it to the cluster to refuse",
    };
    Err(Failure::new(Code::Blocked, message).hint(hint))
}

fn interrupted(plan: &Plan) -> Failure {
    let message = format!(
        "interrupted: what was ordered may still be done (request {})",
        plan.request_id
    );
    Failure::interrupted(message).hint(plan.look_with.as_str())
}

fn confirm(session: &Session, consent: &Consent, plan: &Plan) -> Result<(), Failure> {
    let context = &session.settings.context;
    let name = &context.name;
    if context.read_only {
        let message = format!("READ_ONLY: context {name} is read-only");
        return Err(Failure::new(Code::Blocked, message).hint("choose another context with -c"));
    }
    if let Some(typed) = &consent.confirm {
        return match typed == name {
            true => Ok(()),
            false => Err(Failure::new(
                Code::Blocked,
                format!(
                    "WRONG_CONFIRMATION: --confirm {typed} was given, but the context is {name}"
                ),
            )),
        };
    }
    match (consent.yes, context.protect) {
        (true, false) => return Ok(()),
        (true, true) => {
            let message = format!("PROTECTED: context {name} is protected, --yes is not enough");
            return Err(Failure::new(Code::Blocked, message).hint(format!("add --confirm {name}")));
        }
        (false, _) => {}
    }
    note(&format!(
        "{} in context {name} (cluster {})",
        plan.action, plan.cluster_id
    ));
    plan.lines().iter().for_each(|(_, line)| note(line));
    let (question, is_yes): (String, fn(&str, &str) -> bool) = match context.protect {
        true => (
            format!("{name} is protected. Type its name to go on:"),
            |answer, name| answer == name,
        ),
        false => ("Go on? [y/N]".to_owned(), |answer, _| {
            matches!(answer, "y" | "Y" | "yes")
        }),
    };
    match output::ask(&question) {
        None => {
            let consent = match context.protect {
                true => format!("--confirm {name}"),
                false => "--yes".to_owned(),
            };
            let message = "nothing was changed: there is no terminal to ask on";
            let hint = format!("add {consent}, or --dry-run to see what would be done");
            Err(Failure::declined(message).hint(hint))
        }
        Some(answer) if is_yes(&answer, name) => Ok(()),
        Some(_) => Err(Failure::declined("nothing was changed: declined")),
    }
}
