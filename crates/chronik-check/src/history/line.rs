//! One JSON line against one event: the only place that knows the field names.

use super::event::{
    Action, Attempt, AttemptResult, Commit, CommitEnd, Content, Event, FetchCommittedEnd,
    FinalRead, Invariant, Isolation, LeaderView, ListOffsetsEnd, LogDigest, Name, Outcome, Poll,
    PollMode, Positions, RaftStatus, Record, RunInfo, SendEnd, SendInvoke, Transaction, Value,
    Wire,
};
use super::{FORMAT, MAX_RUN_RECORDS, fast};
use crate::contract::Contract;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    #[error("not a history line: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the field `{field}` is missing")]
    Missing { field: &'static str },
    #[error("the field `{field}` is out of range")]
    OutOfRange { field: &'static str },
    #[error("format {found}; this program reads format {FORMAT}")]
    Format { found: u32 },
}

/// Reads one line; `name` turns text into a shared name.
pub(super) fn parse(bytes: &[u8], name: &mut dyn FnMut(&str) -> Name) -> Result<Event, LineFault> {
    match fast::parse(bytes, name) {
        Some(event) => Ok(event),
        None => parse_general(bytes, name),
    }
}

/// Reads one line of any kind, with its fields in any order.
pub(super) fn parse_general(
    bytes: &[u8],
    name: &mut dyn FnMut(&str) -> Name,
) -> Result<Event, LineFault> {
    let line: Line<'_> = serde_json::from_slice(bytes)?;
    let (time_ns, proc) = (line.t, line.proc);
    let action = line.into_action(name)?;
    Ok(Event {
        time_ns,
        proc,
        action,
    })
}

/// Appends one line without its newline.
pub(super) fn render(event: &Event, out: &mut Vec<u8>) {
    let line = Line::of(event);
    serde_json::to_writer(out, &line)
        .expect("a history line has only string keys and a Vec does not fail");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Inv,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Run,
    Send,
    Poll,
    Assign,
    Subscribe,
    Seek,
    Assigned,
    Revoked,
    Commit,
    FetchCommitted,
    ListOffsets,
    Txn,
    Metadata,
    RaftStatus,
    LogDigest,
    ProcStart,
    ProcExit,
    FaultStart,
    FaultStop,
    Final,
    Invariant,
    #[serde(other)]
    Note,
}

/// Every field of every kind of line; absent ones are not written.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    t: u64,
    #[serde(default)]
    proc: u32,
    ty: Kind,
    f: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    op: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    p: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<(u32, u32, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<(i64, i16, i32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acks: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tx: Option<u64>,
    /// Signed, because -1 is how Kafka says that it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    off: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    le: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<u32>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    att: Vec<AttemptLine<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<PollMode>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    g: Option<Text<'a>>,
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iso: Option<Isolation>,
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    recs: Pairs<'a, Vec<RecordLine>>,
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    hw: Pairs<'a, u64>,
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    at: Pairs<'a, Option<u64>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    offs: Pairs<'a, Option<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abort: Option<bool>,
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    groups: Pairs<'a, (u64, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    h: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<Contract>,
}

#[derive(Serialize, Deserialize)]
struct AttemptLine<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<u32>,
    #[serde(borrow)]
    r: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<(i64, i16, i32)>,
}

/// `[offset, value, leader epoch, count]`; the last two may be absent.
struct RecordLine(Record);

/// A string that borrows from the line wherever it has no escapes; `Option<Cow>` would always copy.
struct Text<'a>(Cow<'a, str>);

/// A JSON object in its own order, without a hash map.
struct Pairs<'a, T>(Vec<(Text<'a>, T)>);

impl<'a> Line<'a> {
    fn into_action(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        match (self.f, self.ty) {
            (Verb::Send, Kind::Inv) => self.send_invoke(name),
            (Verb::Send, _) => self.send_end(name),
            (Verb::Poll, Kind::Inv) => Ok(Action::PollInvoke {
                op: self.need_op()?,
            }),
            (Verb::Poll, Kind::Ok) => self.poll(name),
            (Verb::Poll, _) => Ok(Action::PollFailed {
                op: self.need_op()?,
            }),
            (Verb::Assign, Kind::Ok) => Ok(Action::Assign(self.at.named(name))),
            (Verb::Seek, Kind::Ok) => Ok(Action::Seek(self.at.named(name))),
            (Verb::Assigned, _) => Ok(Action::Assigned {
                group: need(self.g.as_ref(), "g").map(|group| name(&group.0))?,
                generation: need(self.generation, "gen")?,
                positions: self.at.named(name),
            }),
            (Verb::Revoked, _) => Ok(Action::Revoked {
                group: need(self.g.as_ref(), "g").map(|group| name(&group.0))?,
                generation: need(self.generation, "gen")?,
                partitions: self.parts.iter().map(|part| name(&part.0)).collect(),
            }),
            (Verb::Commit, Kind::Inv) => self.commit_invoke(name),
            (Verb::Commit, _) => Ok(Action::CommitEnd(CommitEnd {
                op: self.need_op()?,
                outcome: self.outcome(),
            })),
            (Verb::FetchCommitted, Kind::Inv) => Ok(Action::FetchCommittedInvoke {
                op: self.need_op()?,
                group: need(self.g.as_ref(), "g").map(|group| name(&group.0))?,
            }),
            (Verb::FetchCommitted, _) => Ok(Action::FetchCommittedEnd(FetchCommittedEnd {
                op: self.need_op()?,
                offsets: self.offs.named(name),
            })),
            (Verb::ListOffsets, Kind::Inv) => Ok(Action::ListOffsetsInvoke {
                op: self.need_op()?,
            }),
            (Verb::ListOffsets, _) => Ok(Action::ListOffsetsEnd(ListOffsetsEnd {
                op: self.need_op()?,
                latest: self.offs.present(name),
            })),
            (Verb::Txn, Kind::Inv) => Ok(Action::TransactionInvoke(Transaction {
                op: self.need_op()?,
                transaction: need(self.tx, "tx")?,
                commit: !self.abort.unwrap_or(false),
            })),
            (Verb::Txn, _) => Ok(Action::TransactionEnd {
                op: self.need_op()?,
                outcome: self.outcome(),
            }),
            (Verb::RaftStatus, Kind::Ok) => self.raft_status(name),
            (Verb::LogDigest, Kind::Ok) => Ok(Action::LogDigest(LogDigest {
                node: need(self.node, "node")?,
                partition: need(self.p.as_ref(), "p").map(|part| name(&part.0))?,
                commit: need(self.commit, "commit")?,
                digests: self.h,
            })),
            (Verb::Final, Kind::Ok) => Ok(Action::Final(FinalRead {
                partition: need(self.p.as_ref(), "p").map(|part| name(&part.0))?,
                start: need(self.start, "start")?,
                end: need(self.end, "end")?,
                reached: need(self.reached, "reached")?,
            })),
            (Verb::Invariant, _) => Ok(Action::Invariant(Invariant {
                node: self.node,
                kind: need(self.kind, "kind")?.0.into_owned(),
                text: self
                    .text
                    .map(|text| text.0.into_owned())
                    .unwrap_or_default(),
            })),
            (Verb::ProcExit, _) => Ok(Action::ProcExit {
                node: self.node,
                expected: self.expected.unwrap_or(true),
            }),
            (Verb::Run, _) => self.run_info(),
            _ => Ok(Action::Note),
        }
    }

    fn need_op(&self) -> Result<u64, LineFault> {
        need(self.op, "op")
    }

    fn outcome(&self) -> Outcome {
        match self.ty {
            Kind::Ok => Outcome::Ok,
            Kind::Fail => Outcome::Fail,
            Kind::Inv | Kind::Info => Outcome::Info,
        }
    }

    fn send_invoke(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        let (producer, incarnation, seq) = need(self.v, "v")?;
        let count = self.n.unwrap_or(1);
        if count == 0 || count > MAX_RUN_RECORDS || seq.checked_add(u64::from(count)).is_none() {
            return Err(LineFault::OutOfRange { field: "n" });
        }
        Ok(Action::SendInvoke(SendInvoke {
            op: self.need_op()?,
            partition: need(self.p.as_ref(), "p").map(|part| name(&part.0))?,
            value: Value {
                producer,
                incarnation,
                seq,
            },
            wire: self.w.map(wire),
            count,
            acks: self.acks.unwrap_or(-1),
            transaction: self.tx,
        }))
    }

    fn send_end(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        let attempts = self.att.iter().map(|attempt| Attempt {
            node: attempt.node,
            result: AttemptResult::from_word(&attempt.r.0),
            wire: attempt.w.map(wire),
        });
        let offset = match self.off {
            None | Some(-1) => None,
            // The end of the batch must be a number too.
            Some(offset) if offset >= 0 && offset <= i64::MAX - i64::from(MAX_RUN_RECORDS) => {
                Some(offset as u64)
            }
            Some(_) => return Err(LineFault::OutOfRange { field: "off" }),
        };
        Ok(Action::SendEnd(SendEnd {
            op: self.need_op()?,
            outcome: self.outcome(),
            partition: self.p.as_ref().map(|part| name(&part.0)),
            offset,
            leader_epoch: self.le,
            node: self.node,
            attempts: attempts.collect(),
        }))
    }

    fn poll(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        let records = self.recs.0.into_iter().map(|(part, records)| {
            let records = records.into_iter().map(|record| record.0).collect();
            (name(&part.0), records)
        });
        Ok(Action::Poll(Poll {
            op: need(self.op, "op")?,
            mode: need(self.mode, "mode")?,
            records: records.collect(),
            group: self.g.as_ref().map(|group| name(&group.0)),
            generation: self.generation,
            isolation: self.iso.unwrap_or_default(),
            transaction: self.tx,
            high_watermarks: self.hw.named(name),
        }))
    }

    fn commit_invoke(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        Ok(Action::CommitInvoke(Commit {
            op: self.need_op()?,
            group: need(self.g.as_ref(), "g").map(|group| name(&group.0))?,
            generation: need(self.generation, "gen")?,
            offsets: self.offs.present(name),
        }))
    }

    fn raft_status(self, name: &mut dyn FnMut(&str) -> Name) -> Result<Action, LineFault> {
        let node = need(self.node, "node")?;
        let views = self.groups.0.into_iter();
        let groups =
            views.map(|(group, (term, leader))| (name(&group.0), LeaderView { term, leader }));
        Ok(Action::RaftStatus(RaftStatus {
            node,
            groups: groups.collect(),
        }))
    }

    fn run_info(self) -> Result<Action, LineFault> {
        let format = need(self.format, "format")?;
        if format != FORMAT {
            return Err(LineFault::Format { found: format });
        }
        Ok(Action::Run(RunInfo {
            format,
            run: self.run.unwrap_or(0),
            contract: need(self.contract, "contract")?,
        }))
    }

    fn empty(event: &Event, f: Verb, ty: Kind) -> Line<'a> {
        Line {
            t: event.time_ns,
            proc: event.proc,
            ty,
            f,
            op: None,
            p: None,
            v: None,
            w: None,
            n: None,
            acks: None,
            tx: None,
            off: None,
            le: None,
            node: None,
            att: Vec::new(),
            mode: None,
            g: None,
            generation: None,
            iso: None,
            recs: Pairs::default(),
            hw: Pairs::default(),
            at: Pairs::default(),
            parts: Vec::new(),
            offs: Pairs::default(),
            commit: None,
            abort: None,
            groups: Pairs::default(),
            h: Vec::new(),
            start: None,
            end: None,
            reached: None,
            kind: None,
            text: None,
            expected: None,
            format: None,
            run: None,
            contract: None,
        }
    }

    fn of(event: &'a Event) -> Line<'a> {
        let line = |f, ty| Line::empty(event, f, ty);
        match &event.action {
            Action::Run(run) => Line {
                format: Some(run.format),
                run: Some(run.run),
                contract: Some(run.contract),
                ..line(Verb::Run, Kind::Ok)
            },
            Action::SendInvoke(send) => Line {
                op: Some(send.op),
                p: Some(Text::of(&send.partition)),
                v: Some((send.value.producer, send.value.incarnation, send.value.seq)),
                w: send.wire.map(wire_line),
                n: Some(send.count),
                acks: Some(send.acks),
                tx: send.transaction,
                ..line(Verb::Send, Kind::Inv)
            },
            Action::SendEnd(end) => Line::send_end_line(line(Verb::Send, kind(end.outcome)), end),
            Action::PollInvoke { op } => Line {
                op: Some(*op),
                ..line(Verb::Poll, Kind::Inv)
            },
            Action::PollFailed { op } => Line {
                op: Some(*op),
                ..line(Verb::Poll, Kind::Info)
            },
            Action::Poll(poll) => Line::poll_line(line(Verb::Poll, Kind::Ok), poll),
            Action::Assign(positions) => Line {
                at: Pairs::of(positions),
                ..line(Verb::Assign, Kind::Ok)
            },
            Action::Seek(positions) => Line {
                at: Pairs::of(positions),
                ..line(Verb::Seek, Kind::Ok)
            },
            Action::Assigned {
                group,
                generation,
                positions,
            } => Line {
                g: Some(Text::of(group)),
                generation: Some(*generation),
                at: Pairs::of(positions),
                ..line(Verb::Assigned, Kind::Ok)
            },
            Action::Revoked {
                group,
                generation,
                partitions,
            } => Line {
                g: Some(Text::of(group)),
                generation: Some(*generation),
                parts: partitions.iter().map(Text::of).collect(),
                ..line(Verb::Revoked, Kind::Ok)
            },
            other => Line::of_rest(event, other),
        }
    }

    fn of_rest(event: &'a Event, action: &'a Action) -> Line<'a> {
        let line = |f, ty| Line::empty(event, f, ty);
        match action {
            Action::CommitInvoke(commit) => Line {
                op: Some(commit.op),
                g: Some(Text::of(&commit.group)),
                generation: Some(commit.generation),
                offs: Pairs::of_present(&commit.offsets),
                ..line(Verb::Commit, Kind::Inv)
            },
            Action::CommitEnd(end) => Line {
                op: Some(end.op),
                ..line(Verb::Commit, kind(end.outcome))
            },
            Action::FetchCommittedInvoke { op, group } => Line {
                op: Some(*op),
                g: Some(Text::of(group)),
                ..line(Verb::FetchCommitted, Kind::Inv)
            },
            Action::FetchCommittedEnd(end) => Line {
                op: Some(end.op),
                offs: Pairs::of(&end.offsets),
                ..line(Verb::FetchCommitted, Kind::Ok)
            },
            Action::ListOffsetsInvoke { op } => Line {
                op: Some(*op),
                ..line(Verb::ListOffsets, Kind::Inv)
            },
            Action::ListOffsetsEnd(end) => Line {
                op: Some(end.op),
                offs: Pairs::of_present(&end.latest),
                ..line(Verb::ListOffsets, Kind::Ok)
            },
            Action::TransactionInvoke(transaction) => Line {
                op: Some(transaction.op),
                tx: Some(transaction.transaction),
                abort: Some(!transaction.commit),
                ..line(Verb::Txn, Kind::Inv)
            },
            Action::TransactionEnd { op, outcome } => Line {
                op: Some(*op),
                ..line(Verb::Txn, kind(*outcome))
            },
            Action::RaftStatus(status) => Line {
                node: Some(status.node),
                groups: Pairs::of_mapped(&status.groups, |view| (view.term, view.leader)),
                ..line(Verb::RaftStatus, Kind::Ok)
            },
            Action::LogDigest(digest) => Line {
                node: Some(digest.node),
                p: Some(Text::of(&digest.partition)),
                commit: Some(digest.commit),
                h: digest.digests.clone(),
                ..line(Verb::LogDigest, Kind::Ok)
            },
            Action::Final(read) => Line {
                p: Some(Text::of(&read.partition)),
                start: Some(read.start),
                end: Some(read.end),
                reached: Some(read.reached),
                ..line(Verb::Final, Kind::Ok)
            },
            Action::Invariant(invariant) => Line {
                node: invariant.node,
                kind: Some(Text(Cow::Borrowed(&invariant.kind))),
                text: Some(Text(Cow::Borrowed(&invariant.text))),
                ..line(Verb::Invariant, Kind::Info)
            },
            Action::ProcExit { node, expected } => Line {
                node: *node,
                expected: Some(*expected),
                ..line(Verb::ProcExit, Kind::Info)
            },
            _ => line(Verb::Note, Kind::Info),
        }
    }

    fn send_end_line(line: Line<'a>, end: &'a SendEnd) -> Line<'a> {
        let attempts = end.attempts.iter().map(|attempt| AttemptLine {
            node: attempt.node,
            r: Text(Cow::Borrowed(attempt.result.word())),
            w: attempt.wire.map(wire_line),
        });
        Line {
            op: Some(end.op),
            p: end.partition.as_ref().map(Text::of),
            off: end.offset.map(|offset| offset as i64),
            le: end.leader_epoch,
            node: end.node,
            att: attempts.collect(),
            ..line
        }
    }

    fn poll_line(line: Line<'a>, poll: &'a Poll) -> Line<'a> {
        Line {
            op: Some(poll.op),
            mode: Some(poll.mode),
            g: poll.group.as_ref().map(Text::of),
            generation: poll.generation,
            iso: (poll.isolation != Isolation::default()).then_some(poll.isolation),
            tx: poll.transaction,
            recs: Pairs::of_mapped(&poll.records, |records| {
                records.iter().map(|record| RecordLine(*record)).collect()
            }),
            hw: Pairs::of_mapped(&poll.high_watermarks, |offset| *offset),
            ..line
        }
    }
}

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, LineFault> {
    field.ok_or(LineFault::Missing { field: name })
}

fn kind(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::Ok => Kind::Ok,
        Outcome::Fail => Kind::Fail,
        Outcome::Info => Kind::Info,
    }
}

fn wire((producer_id, epoch, base_sequence): (i64, i16, i32)) -> Wire {
    Wire {
        producer_id,
        epoch,
        base_sequence,
    }
}

fn wire_line(wire: Wire) -> (i64, i16, i32) {
    (wire.producer_id, wire.epoch, wire.base_sequence)
}

impl<'a> Text<'a> {
    fn of(name: &'a Name) -> Text<'a> {
        Text(Cow::Borrowed(name.as_str()))
    }
}

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Pairs(Vec::new())
    }
}

impl<'a, T> Pairs<'a, T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn named(self, name: &mut dyn FnMut(&str) -> Name) -> Vec<(Name, T)> {
        self.0
            .into_iter()
            .map(|(text, value)| (name(&text.0), value))
            .collect()
    }

    fn of_mapped<S>(pairs: &'a [(Name, S)], map: impl Fn(&'a S) -> T) -> Pairs<'a, T> {
        Pairs(
            pairs
                .iter()
                .map(|(name, value)| (Text::of(name), map(value)))
                .collect(),
        )
    }
}

impl<'a> Pairs<'a, Option<u64>> {
    fn of(positions: &'a Positions) -> Self {
        Pairs::of_mapped(positions, |position| *position)
    }

    fn of_present(offsets: &'a [(Name, u64)]) -> Self {
        Pairs::of_mapped(offsets, |offset| Some(*offset))
    }

    fn present(self, name: &mut dyn FnMut(&str) -> Name) -> Vec<(Name, u64)> {
        let pairs = self.0.into_iter();
        pairs
            .filter_map(|(text, offset)| Some((name(&text.0), offset?)))
            .collect()
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<T: Serialize> Serialize for Pairs<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(text, value)| (text, value)))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Pairs<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
            type Value = Pairs<'de, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de, T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

impl Serialize for RecordLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.0;
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(&record.offset)?;
        match record.content {
            Content::Value(value) => {
                seq.serialize_element(&(value.producer, value.incarnation, value.seq))?
            }
            Content::Corrupt => seq.serialize_element("corrupt")?,
            Content::Misrouted => seq.serialize_element("misrouted")?,
            Content::Foreign => seq.serialize_element("foreign")?,
        }
        if record.leader_epoch.is_some() || record.count != 1 {
            seq.serialize_element(&record.leader_epoch.unwrap_or(-1))?;
        }
        if record.count != 1 {
            seq.serialize_element(&record.count)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for RecordLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordVisitor;
        impl<'de> Visitor<'de> for RecordVisitor {
            type Value = RecordLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[offset, value, leader epoch, count]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RecordLine, A::Error> {
                let offset: u64 = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::missing_field("offset"))?;
                let ContentLine(content) = seq
                    .next_element()?
                    .ok_or_else(|| de::Error::missing_field("value"))?;
                let leader_epoch: Option<i32> = seq.next_element()?;
                let count: u32 = seq.next_element()?.unwrap_or(1);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                let seq_fits = match content {
                    Content::Value(value) => value.seq.checked_add(u64::from(count)).is_some(),
                    _ => true,
                };
                let offset_fits = offset <= i64::MAX as u64 - u64::from(MAX_RUN_RECORDS);
                if count == 0 || count > MAX_RUN_RECORDS || !seq_fits || !offset_fits {
                    return Err(de::Error::custom("a run of records is out of range"));
                }
                Ok(RecordLine(Record {
                    offset,
                    content,
                    leader_epoch: leader_epoch.filter(|epoch| *epoch >= 0),
                    count,
                }))
            }
        }
        deserializer.deserialize_seq(RecordVisitor)
    }
}

struct ContentLine(Content);

impl<'de> Deserialize<'de> for ContentLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = ContentLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[producer, incarnation, sequence] or a word")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ContentLine, A::Error> {
                let missing = || de::Error::custom("a value has three numbers");
                let producer = seq.next_element()?.ok_or_else(missing)?;
                let incarnation = seq.next_element()?.ok_or_else(missing)?;
                let value_seq = seq.next_element()?.ok_or_else(missing)?;
                Ok(ContentLine(Content::Value(Value {
                    producer,
                    incarnation,
                    seq: value_seq,
                })))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<ContentLine, E> {
                match word {
                    "corrupt" => Ok(ContentLine(Content::Corrupt)),
                    "misrouted" => Ok(ContentLine(Content::Misrouted)),
                    "foreign" => Ok(ContentLine(Content::Foreign)),
                    other => Err(de::Error::unknown_variant(
                        other,
                        &["corrupt", "misrouted", "foreign"],
                    )),
                }
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}
