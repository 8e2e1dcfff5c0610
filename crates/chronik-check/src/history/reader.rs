//! Reads a history from anything that buffers: a file, a decompressor, a slice.

use super::MAX_LINE_BYTES;
use super::event::{Event, Name};
use super::line::{self, LineFault};
use memchr::memchr;
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
            match self.parse_line()? {
                Parsed::Event(event) => return Ok(Some((line, event))),
                Parsed::Empty => {}
                Parsed::End => return Ok(None),
            }
        }
    }

    /// Parses one line, in the input's own buffer where it lies there as a whole.
    fn parse_line(&mut self) -> Result<Parsed, ReadError> {
        let line = self.line_number;
        self.line.clear();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ReadError::Io { line, source }),
            };
            let newline = memchr(b'\n', available);
            let ends = newline.is_some() || available.is_empty();
            let taken = newline.unwrap_or(available.len());
            if self.line.len() + taken > MAX_LINE_BYTES {
                return Err(ReadError::TooLong { line });
            }
            if ends && self.line.is_empty() && taken > 0 {
                let parsed = parse(&available[..taken], &mut self.names, line);
                self.input.consume(taken + 1);
                return parsed;
            }
            self.line.extend_from_slice(&available[..taken]);
            self.input.consume(taken + usize::from(newline.is_some()));
            if ends {
                return match (newline, self.line.is_empty()) {
                    (None, true) => Ok(Parsed::End),
                    (Some(_), true) => Ok(Parsed::Empty),
                    _ => parse(&self.line, &mut self.names, line),
                };
            }
        }
    }
}

/// What a line turned out to be.
enum Parsed {
    Event(Event),
    Empty,
    End,
}

fn parse(bytes: &[u8], names: &mut FxHashSet<Name>, line: u64) -> Result<Parsed, ReadError> {
    let event = line::parse(bytes, &mut |text| shared(names, text));
    match event {
        Ok(event) => Ok(Parsed::Event(event)),
        Err(source) => Err(ReadError::Line { line, source }),
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<(u64, Event), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
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
