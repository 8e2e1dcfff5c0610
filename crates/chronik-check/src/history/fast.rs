//! Reads the lines that make up nearly all of a history (sends and polls, exactly as our own writer writes them)
//! without a general JSON parser. Whatever looks different in any way is left to the general one.

use super::MAX_RUN_RECORDS;
use super::event::{
    Action, Attempt, AttemptResult, Content, Event, Isolation, Name, Outcome, Poll, PollMode,
    Record, SendEnd, SendInvoke, Value, Wire,
};

/// The event, or `None` where the general parser has to look: at rarer lines, and at damaged ones, for their faults.
pub(super) fn parse(bytes: &[u8], name: &mut dyn FnMut(&str) -> Name) -> Option<Event> {
    let mut scan = Scanner { rest: bytes };
    scan.literal(b"{\"t\":")?;
    let time_ns = scan.number()?;
    scan.literal(b",\"proc\":")?;
    let proc = scan.small()?;
    scan.literal(b",\"ty\":\"")?;
    let kind = scan.until_quote()?;
    scan.literal(b",\"f\":\"")?;
    let verb = scan.until_quote()?;
    scan.literal(b",\"op\":")?;
    let op = scan.number()?;
    let action = match (verb, kind) {
        (b"send", b"inv") => send_invoke(&mut scan, op, name)?,
        (b"send", b"ok") => send_end(&mut scan, op, Outcome::Ok, name)?,
        (b"send", b"info") => send_end(&mut scan, op, Outcome::Info, name)?,
        (b"send", b"fail") => send_end(&mut scan, op, Outcome::Fail, name)?,
        (b"poll", b"inv") => Action::PollInvoke { op },
        (b"poll", b"ok") => poll(&mut scan, op, name)?,
        _ => return None,
    };
    scan.literal(b"}")?;
    scan.rest.is_empty().then_some(Event {
        time_ns,
        proc,
        action,
    })
}

fn send_invoke(
    scan: &mut Scanner<'_>,
    op: u64,
    name: &mut dyn FnMut(&str) -> Name,
) -> Option<Action> {
    scan.literal(b",\"p\":\"")?;
    let partition = name(scan.text()?);
    scan.literal(b",\"v\":")?;
    let value = scan.value()?;
    let wire = if scan.takes(b",\"w\":") {
        Some(scan.wire()?)
    } else {
        None
    };
    scan.literal(b",\"n\":")?;
    let count = scan.small()?;
    scan.literal(b",\"acks\":")?;
    let acks = i16::try_from(scan.signed()?).ok()?;
    let transaction = if scan.takes(b",\"tx\":") {
        Some(scan.number()?)
    } else {
        None
    };
    is_run(value.seq, count).then_some(Action::SendInvoke(SendInvoke {
        op,
        partition,
        value,
        wire,
        count,
        acks,
        transaction,
    }))
}

fn send_end(
    scan: &mut Scanner<'_>,
    op: u64,
    outcome: Outcome,
    name: &mut dyn FnMut(&str) -> Name,
) -> Option<Action> {
    let partition = if scan.takes(b",\"p\":\"") {
        Some(name(scan.text()?))
    } else {
        None
    };
    let offset = if scan.takes(b",\"off\":") {
        let offset = scan.number()?;
        (offset <= LAST_OFFSET).then_some(Some(offset))?
    } else {
        None
    };
    let leader_epoch = if scan.takes(b",\"le\":") {
        Some(i32::try_from(scan.signed()?).ok()?)
    } else {
        None
    };
    let node = if scan.takes(b",\"node\":") {
        Some(scan.small()?)
    } else {
        None
    };
    let mut attempts = Vec::new();
    if scan.takes(b",\"att\":[") {
        loop {
            attempts.push(attempt(scan)?);
            if !scan.takes(b",") {
                break;
            }
        }
        scan.literal(b"]")?;
    }
    Some(Action::SendEnd(SendEnd {
        op,
        outcome,
        partition,
        offset,
        leader_epoch,
        node,
        attempts,
    }))
}

fn attempt(scan: &mut Scanner<'_>) -> Option<Attempt> {
    scan.literal(b"{")?;
    let node = if scan.takes(b"\"node\":") {
        let node = scan.small()?;
        scan.literal(b",")?;
        Some(node)
    } else {
        None
    };
    scan.literal(b"\"r\":\"")?;
    let result = AttemptResult::from_word(scan.text()?);
    let wire = if scan.takes(b",\"w\":") {
        Some(scan.wire()?)
    } else {
        None
    };
    scan.literal(b"}")?;
    Some(Attempt { node, result, wire })
}

fn poll(scan: &mut Scanner<'_>, op: u64, name: &mut dyn FnMut(&str) -> Name) -> Option<Action> {
    scan.literal(b",\"mode\":\"")?;
    let mode = match scan.until_quote()? {
        b"assign" => PollMode::Assign,
        b"group" => PollMode::Group,
        b"final" => PollMode::Final,
        _ => return None,
    };
    let group = if scan.takes(b",\"g\":\"") {
        Some(name(scan.text()?))
    } else {
        None
    };
    let generation = if scan.takes(b",\"gen\":") {
        Some(i32::try_from(scan.signed()?).ok()?)
    } else {
        None
    };
    let mut records = Vec::new();
    if scan.takes(b",\"recs\":{") {
        scan.pairs(|scan, text| {
            let name = name(text);
            records.push((name, runs(scan)?));
            Some(())
        })?;
    }
    let mut high_watermarks = Vec::new();
    if scan.takes(b",\"hw\":{") {
        scan.pairs(|scan, text| {
            high_watermarks.push((name(text), scan.number()?));
            Some(())
        })?;
    }
    Some(Action::Poll(Poll {
        op,
        mode,
        group,
        generation,
        isolation: Isolation::default(),
        transaction: None,
        records,
        high_watermarks,
    }))
}

fn runs(scan: &mut Scanner<'_>) -> Option<Vec<Record>> {
    scan.literal(b"[")?;
    let mut runs = Vec::new();
    if scan.takes(b"]") {
        return Some(runs);
    }
    loop {
        runs.push(run(scan)?);
        if !scan.takes(b",") {
            break;
        }
    }
    scan.literal(b"]")?;
    Some(runs)
}

fn run(scan: &mut Scanner<'_>) -> Option<Record> {
    scan.literal(b"[")?;
    let offset = scan.number()?;
    scan.literal(b",")?;
    // Words for damaged records are rare.
    let value = scan.value()?;
    let leader_epoch = if scan.takes(b",") {
        Some(i32::try_from(scan.signed()?).ok()?)
    } else {
        None
    };
    let count = if scan.takes(b",") { scan.small()? } else { 1 };
    scan.literal(b"]")?;
    (offset <= LAST_OFFSET && is_run(value.seq, count)).then_some(Record {
        offset,
        content: Content::Value(value),
        leader_epoch: leader_epoch.filter(|epoch| *epoch >= 0),
        count,
    })
}

/// The end of a run must be a number too.
const LAST_OFFSET: u64 = i64::MAX as u64 - MAX_RUN_RECORDS as u64;

fn is_run(seq: u64, count: u32) -> bool {
    (1..=MAX_RUN_RECORDS).contains(&count) && seq.checked_add(u64::from(count)).is_some()
}

/// What is left of a line.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn takes(&mut self, wanted: &[u8]) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, wanted: &[u8]) -> Option<()> {
        self.takes(wanted).then_some(())
    }

    /// Digits without a leading zero, as JSON has them.
    fn number(&mut self) -> Option<u64> {
        /// So many digits fit for certain; longer numbers are rare and left to the general parser.
        const DIGITS_MAX: usize = 19;
        let mut number = 0u64;
        let mut len = 0;
        while let Some(digit) = self.rest.get(len).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            if len == DIGITS_MAX {
                return None;
            }
            number = number * 10 + u64::from(digit);
            len += 1;
        }
        let has_leading_zero = len > 1 && self.rest[0] == b'0';
        if len == 0 || has_leading_zero {
            return None;
        }
        self.rest = &self.rest[len..];
        Some(number)
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let is_negative = self.takes(b"-");
        let number = i64::try_from(self.number()?).ok()?;
        // JSON's -0 is no integer.
        if is_negative && number == 0 {
            return None;
        }
        Some(if is_negative { -number } else { number })
    }

    fn until_quote(&mut self) -> Option<&'a [u8]> {
        let len = self.rest.iter().position(|byte| *byte == b'"')?;
        let (taken, rest) = self.rest.split_at(len);
        self.rest = &rest[1..];
        Some(taken)
    }

    /// Text up to its quote; escapes and control characters are for the general parser.
    fn text(&mut self) -> Option<&'a str> {
        let taken = self.until_quote()?;
        let is_plain = taken.iter().all(|byte| *byte >= b' ' && *byte != b'\\');
        is_plain.then(|| std::str::from_utf8(taken).ok())?
    }

    fn value(&mut self) -> Option<Value> {
        self.literal(b"[")?;
        let producer = self.small()?;
        self.literal(b",")?;
        let incarnation = self.small()?;
        self.literal(b",")?;
        let seq = self.number()?;
        self.literal(b"]")?;
        Some(Value {
            producer,
            incarnation,
            seq,
        })
    }

    fn wire(&mut self) -> Option<Wire> {
        self.literal(b"[")?;
        let producer_id = self.signed()?;
        self.literal(b",")?;
        let epoch = i16::try_from(self.signed()?).ok()?;
        self.literal(b",")?;
        let base_sequence = i32::try_from(self.signed()?).ok()?;
        self.literal(b"]")?;
        Some(Wire {
            producer_id,
            epoch,
            base_sequence,
        })
    }

    /// The entries of an object up to its end.
    fn pairs(&mut self, mut entry: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        if self.takes(b"}") {
            return Some(());
        }
        loop {
            self.literal(b"\"")?;
            let text = self.text()?;
            self.literal(b":")?;
            entry(self, text)?;
            if !self.takes(b",") {
                return self.literal(b"}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;
    use proptest::prelude::*;

    fn fast(text: &[u8]) -> Option<Event> {
        parse(text, &mut |text| Name::from(text))
    }

    /// What the fast way reads must be what the general one reads; what the general one refuses, it must not read.
    fn assert_agreement(text: &[u8]) {
        if let Some(event) = fast(text) {
            let general = line::parse_general(text, &mut |text| Name::from(text));
            assert_eq!(
                event,
                general.expect("the general parser reads what the fast one reads")
            );
        }
    }

    const LINES: [&str; 8] = [
        r#"{"t":1,"proc":7,"ty":"inv","f":"send","op":991,"p":"t3/1","v":[4,0,120],"w":[9001,2,40],"n":10,"acks":-1}"#,
        r#"{"t":1,"proc":7,"ty":"inv","f":"send","op":991,"p":"t3/1","v":[4,0,120],"n":1,"acks":0,"tx":9}"#,
        r#"{"t":2,"proc":7,"ty":"ok","f":"send","op":991,"off":4711,"le":5,"node":2,"att":[{"node":1,"r":"NOT_LEADER"},{"r":"OK","w":[1,-1,3]}]}"#,
        r#"{"t":3,"proc":7,"ty":"info","f":"send","op":991}"#,
        r#"{"t":4,"proc":7,"ty":"fail","f":"send","op":991,"p":"t/0","node":1,"att":[{"r":"NOT_SENT"}]}"#,
        r#"{"t":5,"proc":9,"ty":"inv","f":"poll","op":994}"#,
        r#"{"t":6,"proc":9,"ty":"ok","f":"poll","op":994,"mode":"group","g":"g1","gen":12,"recs":{"t3/1":[[4711,[4,0,120],5],[4712,[4,0,121],-1,7],[4719,[4,0,128]]],"t3/2":[]},"hw":{"t3/1":4800}}"#,
        r#"{"t":7,"proc":9,"ty":"ok","f":"poll","op":995,"mode":"final"}"#,
    ];

    #[test]
    fn the_usual_lines_are_read_the_fast_way_and_alike() {
        for text in LINES {
            assert!(fast(text.as_bytes()).is_some(), "{text}");
            assert_agreement(text.as_bytes());
        }
    }

    #[test]
    fn odd_lines_are_left_to_the_general_parser() {
        let odd = [
            r#"{"t":01,"proc":7,"ty":"inv","f":"poll","op":1}"#,
            r#"{"t":1,"proc":7,"ty":"inv","f":"poll","op":-0}"#,
            r#"{"t":1,"proc":7,"ty":"inv","f":"poll","op":99999999999999999999}"#,
            r#"{"t":1,"proc":7,"ty":"inv","f":"poll","op":1} "#,
            r#"{"t":1, "proc":7,"ty":"inv","f":"poll","op":1}"#,
            r#"{"t":1,"proc":7,"ty":"inv","f":"send","op":1,"p":"a\u0041","v":[1,0,0],"n":1,"acks":-1}"#,
            r#"{"t":1,"proc":7,"ty":"inv","f":"send","op":1,"p":"a","v":[1,0,0],"n":0,"acks":-1}"#,
            r#"{"t":1,"proc":7,"ty":"ok","f":"send","op":1,"off":-1}"#,
            r#"{"t":1,"proc":7,"ty":"ok","f":"poll","op":1,"mode":"assign","recs":{"t/0":[[1,"corrupt",3]]}}"#,
            r#"{"t":1,"proc":7,"ty":"ok","f":"assign","at":{"t/0":0}}"#,
        ];
        for text in odd {
            assert_eq!(fast(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_lines_are_read_alike_or_not_at_all(
            which in 0..LINES.len(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), "[-0-9,\\[\\]{}\":a-z\\\\ ]{0,3}", 0usize..4), 1..3),
        ) {
            let mut bytes = LINES[which].as_bytes().to_vec();
            for (at, put, removed) in damage {
                let at = at.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, put.bytes());
            }
            assert_agreement(&bytes);
        }
    }
}
