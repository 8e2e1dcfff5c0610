//! What a command ends with: one mapping for every output format.

use chronik_admin::{AdminError, Code};
use schemars::JsonSchema;
use serde::Serialize;

/// How a command that got its answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done and, for a mutation, verified.
    #[default]
    Yes,
    /// At least one of several items failed.
    SomeFailed,
    /// The answer is no: unhealthy, not verified, waited in vain.
    No,
    /// It must not be done now.
    Refused,
    /// What monitoring systems understand, and nothing else: 0 ok, 1 warning, 2 critical, 3 unknown.
    Monitor(u8),
}

/// How a command that got no answer ends.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: AdminError,
    /// The exit code, where it is not that of the error.
    exit: Option<u8>,
}

/// A failure in words for programs.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorBody<'a> {
    code: Code,
    message: &'a str,
    /// The next command to type.
    hint: &'a str,
    retryable: bool,
}

/// Every exit code with its meaning, for help and for programs.
pub(crate) const EXITS: &[(u8, &str)] = &[
    (0, "done and, for a change, verified"),
    (1, "failed, wholly or for any item"),
    (
        2,
        "usage: flag, value, configuration, or not available in this context",
    ),
    (3, "could not ask: no connection, timeout, no leader"),
    (4, "declined, or no terminal to ask on"),
    (
        10,
        "the answer is no: unhealthy, not verified, waited in vain",
    ),
    (11, "refused by a check or by the context's protection"),
    (12, "the state is not the one that was expected any more"),
    (130, "interrupted"),
];

const DECLINED: u8 = 4;
const REFUSED: u8 = 11;
const INTERRUPTED: u8 = 130;

impl Verdict {
    pub(crate) fn code(self) -> u8 {
        match self {
            Verdict::Yes => 0,
            Verdict::SomeFailed => 1,
            Verdict::No => 10,
            Verdict::Refused => REFUSED,
            Verdict::Monitor(code) => code,
        }
    }
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        AdminError::new(Code::InvalidArgument, message).into()
    }

    pub(crate) fn new(code: Code, message: impl Into<String>) -> Failure {
        AdminError::new(code, message).into()
    }

    pub(crate) fn declined(message: impl Into<String>) -> Failure {
        Failure {
            error: AdminError::new(Code::Blocked, message),
            exit: Some(DECLINED),
        }
    }

    /// Ctrl-C, when what was ordered may go on by itself.
    pub(crate) fn interrupted(message: impl Into<String>) -> Failure {
        Failure {
            error: AdminError::new(Code::Deadline, message),
            exit: Some(INTERRUPTED),
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.error.hint = hint.into();
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.exit.unwrap_or_else(|| self.error.code.exit())
    }

    pub(crate) fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            code: self.error.code,
            message: &self.error.message,
            hint: &self.error.hint,
            retryable: self.error.retryable,
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Failure {
        Failure { error, exit: None }
    }
}
