//! Reads a history from anything that buffers: a file, a decompressor, a slice.

use super::MAX_LINE_BYTES;
use super::event::{Event, Name};
use super::line::{self, LineFault};
use rustc_hash::FxHashSet;
use std::io::{self, BufRead};

/// Distinct names that are kept for sharing; beyond it a name is copied each time.
const MAX_SHARED_NAMES: usize = 1 << 17;

/// An iterator over the events of a history with their line numbers, counted from 1.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line_number: u64,
    line: Vec<u8>,
    names: FxHashSet<Name>,
}

/// Why a history cannot be read on; each one names its line.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("line {line} cannot be read")]
    Io {
        line: u64,
        #[source]
        source: io::Error,
    },
    #[error("line {line} is longer than {MAX_LINE_BYTES} bytes")]
    TooLong { line: u64 },
    #[error("line {line} is wrong")]
    Line {
        line: u64,
        #[source]
        source: LineFault,
    },
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input,
            line_number: 0,
            line: Vec::new(),
            names: FxHashSet::default(),
        }
    }

    /// The next event, `None` at the end. An empty line is skipped, but counted.
    pub fn next_event(&mut self) -> Result<Option<(u64, Event)>, ReadError> {
        loop {
            self.line_number += 1;
            let line = self.line_number;
            if !self.fill_line()? {
                return Ok(None);
            }
            if self.line.is_empty() {
                continue;
            }
            let names = &mut self.names;
            let event = line::parse(&self.line, &mut |text| shared(names, text));
            return match event {
                Ok(event) => Ok(Some((line, event))),
                Err(source) => Err(ReadError::Line { line, source }),
            };
        }
    }

    /// Takes one line without its newline into the buffer; false at the end of the input.
    fn fill_line(&mut self) -> Result<bool, ReadError> {
        let line = self.line_number;
        self.line.clear();
        let mut saw_bytes = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ReadError::Io { line, source }),
            };
            if available.is_empty() {
                return Ok(saw_bytes);
            }
            saw_bytes = true;
            let newline = memchr(available);
            let taken = newline.unwrap_or(available.len());
            if self.line.len() + taken > MAX_LINE_BYTES {
                return Err(ReadError::TooLong { line });
            }
            self.line.extend_from_slice(&available[..taken]);
            self.input.consume(taken + usize::from(newline.is_some()));
            if newline.is_some() {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<(u64, Event), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

fn shared(names: &mut FxHashSet<Name>, text: &str) -> Name {
    if let Some(name) = names.get(text) {
        return name.clone();
    }
    let name = Name::from(text);
    if names.len() < MAX_SHARED_NAMES {
        names.insert(name.clone());
    }
    name
}
