//! What is in a snapshot, and whether it can be trusted: read in one pass, a section at a time.

use std::io::Read;
use std::path::Path;

use chronik_core::catalog::Catalog;
use chronik_core::consumer_group::{Image, RestoreError};
use chronik_core::ids::GroupUid;
use chronik_core::partition::Log;
use chronik_core::wire::WireError;

use super::format::{FormatError, Header, SnapshotReader, Summary, VERSION};
use super::part::Part;
use super::shelf::Made;
use super::{folder, hex};

/// Everything that there is to say of a snapshot that is sound.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) header: Header,
    pub(crate) made: Made,
    /// None if it is of one group that is not the metadata group.
    pub(crate) catalog: Option<Catalog>,
    pub(crate) groups: Vec<GroupSummary>,
}

/// One group in a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSummary {
    pub(crate) group: GroupUid,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) start_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) producers: usize,
    pub(crate) consumer_groups: usize,
    /// About what it takes, before it is compressed.
    pub(crate) bytes: usize,
}

/// A snapshot that was read to its end, or to where it cannot be trusted.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) checks: Vec<Check>,
    outcome: Result<Content, FormatError>,
}

/// Something that must be so, and whether it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) passed: bool,
    pub(crate) message: String,
}

/// Checksums are right, and yet it makes no sense: another version wrote it, or a program with a fault.
#[derive(Debug, thiserror::Error)]
enum Senseless {
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    ConsumerGroups(#[from] RestoreError),
    #[error("its end says {said} groups, and it has none")]
    Empty { said: u32 },
}

/// Reads all of it; an error is the first thing that is wrong.
pub(crate) fn inspect(path: &Path) -> Result<Content, FormatError> {
    verify(path).outcome
}

/// Reads all of it, and says what it looked at.
pub(crate) fn verify(path: &Path) -> Verified {
    Verified::of(folder::open(path))
}

/// The same for bytes, wherever they come from.
pub fn is_sound(bytes: &[u8]) -> bool {
    Verified::of(SnapshotReader::open(bytes)).is_sound()
}

/// The parts of a snapshot, as far as it can be trusted.
pub(crate) fn parts(path: &Path) -> Result<(Content, Vec<Part>), FormatError> {
    let content = inspect(path)?;
    let mut reader = folder::open(path)?;
    let mut parts = Vec::new();
    while let Some(section) = reader.section()? {
        parts.extend(section);
    }
    Ok((content, parts))
}

impl Verified {
    fn of<R: Read>(opened: Result<SnapshotReader<R>, FormatError>) -> Verified {
        let mut checks = Vec::new();
        let outcome = look(opened, &mut checks);
        Verified { checks, outcome }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.outcome.is_ok()
    }

    pub(crate) fn content(&self) -> Option<&Content> {
        self.outcome.as_ref().ok()
    }

    pub(crate) fn into_sound(self) -> Result<Content, FormatError> {
        self.outcome
    }

    /// What is wrong with it, unless it is sound.
    pub(crate) fn fault(&self) -> Option<&FormatError> {
        self.outcome.as_ref().err()
    }
}

fn look<R: Read>(
    opened: Result<SnapshotReader<R>, FormatError>,
    checks: &mut Vec<Check>,
) -> Result<Content, FormatError> {
    let mut reader = note(checks, "FORMAT", opened, |reader| {
        let header = reader.header();
        format!(
            "format {VERSION}, made by node {} of cluster {}",
            header.node, header.cluster_id
        )
    })?;
    let mut content = Content {
        header: reader.header().clone(),
        made: Made::default(),
        catalog: None,
        groups: Vec::new(),
    };
    let mut sense = Ok(());
    let read = loop {
        match reader.section() {
            Ok(Some(parts)) => {
                // What is damaged is told before what makes no sense.
                sense = sense.and_then(|()| parts.iter().try_for_each(|part| content.add(part)));
            }
            Ok(None) => break Ok(reader.summary()),
            Err(error) => break Err(error),
        }
    };
    let summary = note(checks, "CHECKSUMS", read, |summary| {
        format!("{} sections and the whole", summary.sections)
    })?;
    let (bytes, sha256) = reader.digest();
    content.made.bytes = bytes;
    content.made.sha256 = hex(&sha256);
    content.made.groups = content.groups.len();
    let sense = sense.and_then(|()| content.is_of_something(summary));
    let sense = sense.map_err(|error| FormatError::Damaged {
        at: bytes,
        what: error.to_string(),
    });
    note(checks, "CONTENT", sense, |()| {
        format!("{} groups can be read", content.groups.len())
    })?;
    Ok(content)
}

/// Writes down what a step came to.
fn note<T>(
    checks: &mut Vec<Check>,
    name: &'static str,
    outcome: Result<T, FormatError>,
    told: impl FnOnce(&T) -> String,
) -> Result<T, FormatError> {
    let (passed, message) = match &outcome {
        Ok(value) => (true, told(value)),
        Err(FormatError::Io(error)) => (false, error.to_string()),
        Err(error) => (false, error.to_string()),
    };
    checks.push(Check {
        name,
        passed,
        message,
    });
    outcome
}

impl Content {
    fn add(&mut self, part: &Part) -> Result<(), Senseless> {
        let state = &part.install.state;
        let producers = match part.group {
            GroupUid::META => {
                self.catalog = Some(Catalog::decode(state)?);
                0
            }
            _ => Log::installed(state)?.producers().iter().count(),
        };
        let image = part.consumer_groups.as_deref().map(Image::restore);
        let image = image.transpose()?;
        // The metadata group comes last, and the one group of another snapshot is alone.
        (self.made.index, self.made.term) = (part.committed, part.committed_term);
        self.groups.push(GroupSummary {
            group: part.group,
            index: part.committed,
            term: part.committed_term,
            start_offset: part.start_offset,
            end_offset: part.high_watermark,
            producers,
            consumer_groups: image.map_or(0, |image| image.groups().count()),
            bytes: part.weight_bytes(),
        });
        Ok(())
    }

    fn is_of_something(&self, summary: Summary) -> Result<(), Senseless> {
        match self.groups.is_empty() {
            true => Err(Senseless::Empty {
                said: summary.groups,
            }),
            false => Ok(()),
        }
    }
}
