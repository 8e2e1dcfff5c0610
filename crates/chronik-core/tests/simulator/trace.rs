//! What happened, as a hash of every step and, if wanted, as text.

use std::fmt::Write as _;

/// The story of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    text: Option<String>,
    /// Only what people want to read in a script.
    told: Option<String>,
}

impl Trace {
    /// Keeps every step as a line of text.
    pub(crate) fn verbatim() -> Trace {
        Trace {
            text: Some(String::new()),
            ..Trace::default()
        }
    }

    /// Keeps what [`Trace::tell`] is told.
    pub(crate) fn telling() -> Trace {
        Trace {
            told: Some(String::new()),
            ..Trace::default()
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// One step: what it was and the numbers that describe it.
    pub(crate) fn step(&mut self, what: &'static str, numbers: [u64; 4]) {
        let mut hash = self.hash ^ what.len() as u64;
        for number in numbers {
            hash = (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
            hash ^= hash >> 29;
        }
        self.hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(text) = &mut self.text {
            let [a, b, c, d] = numbers;
            writeln!(text, "{what} {a} {b} {c} {d}").expect("a string takes everything");
        }
    }

    /// A line for a script's reader.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            writeln!(told, "  {}", line()).expect("a string takes everything");
        }
    }

    pub(crate) fn take_told(&mut self) -> String {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
