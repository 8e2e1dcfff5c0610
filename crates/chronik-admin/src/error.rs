//! Every way in which a question or an order can fail: one table for gRPC, HTTP and exit codes.

use serde::{Deserialize, Serialize};
use tonic::{Code as Grpc, Status};

/// Why something was not answered or not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    Unauthenticated,
    PermissionDenied,
    /// Somebody else leads.
    NotLeader,
    /// Nobody leads.
    NoLeader,
    /// The node does not answer.
    Unreachable,
    /// The node starts and has nothing to say yet.
    NotReady,
    Deadline,
    /// A check forbids it; the message begins with the check's name.
    Blocked,
    /// The answer comes from another cluster than the one that was meant.
    WrongCluster,
    /// The state is not the one that was expected any more.
    Stale,
    Overloaded,
    Internal,
}

/// A failure as it travels: the same four things by gRPC, by HTTP and on the terminal.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error,
)]
#[error("{message}")]
pub struct AdminError {
    pub code: Code,
    pub message: String,
    /// The next thing to try.
    pub hint: String,
    /// Whether the same may work later without anything being changed.
    pub retryable: bool,
}

/// What a code is for each who asks: gRPC, HTTP, the exit of a command, and whether a retry may help.
struct Meaning {
    grpc: Grpc,
    http: u16,
    exit: u8,
    is_retryable: bool,
}

impl Code {
    /// Every code there is.
    pub const ALL: [Code; 15] = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotLeader,
        Code::NoLeader,
        Code::Unreachable,
        Code::NotReady,
        Code::Deadline,
        Code::Blocked,
        Code::WrongCluster,
        Code::Stale,
        Code::Overloaded,
        Code::Internal,
    ];

    /// The status of an HTTP answer.
    pub fn http(self) -> u16 {
        self.meaning().http
    }

    /// The exit code of a command that fails for this reason.
    pub fn exit(self) -> u8 {
        self.meaning().exit
    }

    fn meaning(self) -> Meaning {
        let (grpc, http, exit, is_retryable) = match self {
            Code::InvalidArgument => (Grpc::InvalidArgument, 400, 2, false),
            Code::NotFound => (Grpc::NotFound, 404, 1, false),
            Code::AlreadyExists => (Grpc::AlreadyExists, 409, 1, false),
            Code::Unauthenticated => (Grpc::Unauthenticated, 401, 1, false),
            Code::PermissionDenied => (Grpc::PermissionDenied, 403, 1, false),
            Code::NotLeader | Code::NoLeader | Code::Unreachable | Code::NotReady => {
                (Grpc::Unavailable, 503, 3, true)
            }
            Code::Deadline => (Grpc::DeadlineExceeded, 504, 3, true),
            Code::Blocked | Code::WrongCluster => (Grpc::FailedPrecondition, 412, 11, false),
            Code::Stale => (Grpc::Aborted, 409, 12, false),
            Code::Overloaded => (Grpc::ResourceExhausted, 429, 1, true),
            Code::Internal => (Grpc::Internal, 500, 1, false),
        };
        Meaning {
            grpc,
            http,
            exit,
            is_retryable,
        }
    }
}

impl AdminError {
    pub fn new(code: Code, message: impl Into<String>) -> AdminError {
        AdminError {
            code,
            message: message.into(),
            hint: String::new(),
            retryable: code.meaning().is_retryable,
        }
    }

    /// Adds the next thing to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> AdminError {
        self.hint = hint.into();
        self
    }

    /// As JSON, which never fails for these types.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and words have a JSON form")
    }
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Status {
        let details = error.to_json().into_bytes();
        Status::with_details(error.code.meaning().grpc, error.message, details.into())
    }
}

impl From<Status> for AdminError {
    /// A status of a node carries the whole error; one that was made on the way has a code and a sentence.
    fn from(status: Status) -> AdminError {
        if let Ok(error) = serde_json::from_slice(status.details()) {
            return error;
        }
        let code = match status.code() {
            Grpc::DeadlineExceeded | Grpc::Cancelled => Code::Deadline,
            Grpc::Unavailable => Code::Unreachable,
            Grpc::InvalidArgument | Grpc::Unimplemented => Code::InvalidArgument,
            Grpc::ResourceExhausted => Code::Overloaded,
            _ => Code::Internal,
        };
        AdminError::new(code, status.message())
    }
}
