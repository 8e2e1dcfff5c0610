//! Why a command could not do its work, and which exit code says so.

use std::io;
use std::path::PathBuf;

use chronik_local::LocalError;
use rdkafka::error::KafkaError;

use crate::exit::Exit;
use crate::units::UnitError;

/// Every failure names what failed and, where there is one, the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("{action} at {bootstrap} failed")]
    Cluster {
        action: String,
        bootstrap: String,
        #[source]
        source: Box<KafkaError>,
    },
    #[error("a client cannot be made of this configuration")]
    Client(#[source] Box<KafkaError>),
    #[error("{action} failed: {code}")]
    Refused { action: String, code: String },
    #[error("topic {topic} is not there; leave out --no-create, or create it first")]
    NoTopic { topic: String },
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a result of this tool")]
    NotAResult {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("no results in {0}")]
    NoResults(PathBuf),
    #[error(transparent)]
    Local(Box<LocalError>),
    #[error("interrupted")]
    Interrupted,
    #[error("{0}")]
    CouldNotRun(String),
}

impl From<LocalError> for BenchError {
    fn from(source: LocalError) -> Self {
        Self::Local(Box::new(source))
    }
}

impl BenchError {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn cluster(action: &str, bootstrap: &str) -> impl FnOnce(KafkaError) -> Self {
        let (action, bootstrap) = (action.to_owned(), bootstrap.to_owned());
        move |source| Self::Cluster {
            action,
            bootstrap,
            source: Box::new(source),
        }
    }

    pub(crate) fn client(source: KafkaError) -> Self {
        Self::Client(Box::new(source))
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Unit(_) | Self::NotAResult { .. } | Self::NoResults(_) => {
                Exit::Usage
            }
            Self::Interrupted => Exit::Interrupted,
            _ => Exit::CouldNotRun,
        }
    }
}
