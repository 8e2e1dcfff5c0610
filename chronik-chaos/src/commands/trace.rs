//! `trace`: the life of one place in the log, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use chronik_check::history::{Action, Content, Event, Name, Reader, Value};

use super::{CommandFault, Done};
use crate::output;

pub(crate) fn trace(run_dir: &Path, offset: &str) -> Done {
    let refused = || CommandFault::Usage(format!("`{offset}` is not TOPIC/PARTITION:OFFSET"));
    let (place, offset) = offset.rsplit_once(':').ok_or_else(refused)?;
    let offset: u64 = offset.parse().map_err(|_| refused())?;
    let path = run_dir.join("history.jsonl");
    let open = || File::open(&path).map_err(CommandFault::file("open", &path));
    let mut trail = Trail::new(Name::from(place), offset);
    for event in Reader::new(BufReader::new(open()?)) {
        let (line, event) = event.map_err(crate::verdict::JudgeFault::from)?;
        trail.learn(line, &event);
    }
    // A batch that was never acknowledged is known only once its records were read: hence a second look.
    let mut lines = trail.lines.clone();
    for event in Reader::new(BufReader::new(open()?)) {
        let (line, event) = event.map_err(crate::verdict::JudgeFault::from)?;
        if trail.is_send_of_a_known_value(&event) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    for (number, line) in (1u64..).zip(BufReader::new(open()?).lines()) {
        let line = line.map_err(CommandFault::file("read", &path))?;
        if lines.binary_search(&number).is_ok() {
            output::line(format!("{number:>8}  {line}"));
        }
    }
    Ok(0)
}

struct Trail {
    place: Name,
    offset: u64,
    /// Batches for the place that wait for their end.
    open: Vec<(u64, u64, u32)>,
    values: Vec<Value>,
    operations: Vec<u64>,
    lines: Vec<u64>,
}

impl Trail {
    fn new(place: Name, offset: u64) -> Trail {
        Trail {
            place,
            offset,
            open: Vec::new(),
            values: Vec::new(),
            operations: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn learn(&mut self, line: u64, event: &Event) {
        match &event.action {
            Action::SendInvoke(send) if send.partition == self.place => {
                self.open.push((send.op, line, send.count));
            }
            Action::SendEnd(end) => {
                let Some(place) = self.open.iter().position(|(op, _, _)| *op == end.op) else {
                    return;
                };
                let (_, invoked, count) = self.open.swap_remove(place);
                let holds = end
                    .offset
                    .is_some_and(|first| (first..first + u64::from(count)).contains(&self.offset));
                if holds {
                    self.operations.push(end.op);
                    self.lines.extend([invoked, line]);
                }
            }
            Action::Poll(poll) => {
                let records = poll.records.iter().filter(|(name, _)| *name == self.place);
                for record in records.flat_map(|(_, records)| records) {
                    let end = record.offset + u64::from(record.count);
                    if (record.offset..end).contains(&self.offset) {
                        self.lines.push(line);
                        if let Content::Value(first) = record.content {
                            self.values.push(first.plus(self.offset - record.offset));
                        }
                    }
                }
            }
            Action::Final(read) if read.partition == self.place => self.lines.push(line),
            _ => {}
        }
    }

    fn is_send_of_a_known_value(&mut self, event: &Event) -> bool {
        match &event.action {
            Action::SendInvoke(send) if send.partition == self.place => {
                let holds = self.values.iter().any(|value| {
                    value.producer == send.value.producer
                        && value.incarnation == send.value.incarnation
                        && (send.value.seq..send.value.seq + u64::from(send.count))
                            .contains(&value.seq)
                });
                if holds {
                    self.operations.push(send.op);
                }
                holds
            }
            Action::SendEnd(end) => self.operations.contains(&end.op),
            _ => false,
        }
    }
}
