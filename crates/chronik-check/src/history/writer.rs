//! Writes events as canonical lines; where the bytes go is the caller's business.

use super::event::Event;
use super::line;

/// Appends the event's line with its newline.
pub fn write_line(event: &Event, out: &mut Vec<u8>) {
    line::render(event, out);
    out.push(b'\n');
}
