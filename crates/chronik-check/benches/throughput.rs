//! How fast the checker is and what it costs: events a second on one core, and a day of soak in bounded memory.
//!
//! `cargo bench -p chronik-check`, with `-- --hours 24 --batch 1` for other soaks.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use chronik_check::history::*;
use chronik_check::{Checker, Contract, Report};
use std::hint::black_box;
use std::time::{Duration, Instant};

const PARTITIONS: u64 = 6;
const PRODUCERS: u64 = 4;
const RECORDS_PER_SECOND: u64 = 2_000;
const SECONDS_PER_HOUR: u64 = 3_600;

/// Batches between two polls of one partition.
const BATCHES_PER_POLL: u64 = 20;

/// One in so many batches is never answered, though it is in the log.
const UNANSWERED_EVERY: u64 = 1_000;

fn main() {
    // `cargo test --all-targets` runs this too, and asks for no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let option = |name: &str, default: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        let value = arguments.nth(1);
        value.map_or(default, |value| {
            value.parse().expect("an option is a number")
        })
    };
    let (hours, batch) = (option("--hours", 24), option("--batch", 10));
    // First, while the heap is small, because what is freed stays resident.
    measure_soak(hours, batch);
    measure_rates(batch);
    measure_rates(1);
}

fn measure_rates(batch: u64) {
    let mut day = Day::new(batch, 2 * SECONDS_PER_HOUR);
    let mut events = Vec::new();
    while events.len() < 2_000_000
        && let Some(event) = day.next_event()
    {
        events.push(event);
    }
    let mut text = Vec::new();
    for event in &events {
        write_line(event, &mut text);
    }
    println!(
        "{} events, {batch} record(s) in a batch, {} bytes of JSON a line",
        events.len(),
        text.len() / events.len()
    );
    let checked = |checker: Checker| {
        check(
            checker,
            events
                .iter()
                .enumerate()
                .map(|(at, event)| (at as u64 + 1, event)),
        )
    };
    rate("  offline checker", events.len(), || {
        checked(Checker::offline(Contract::Chronik)).events
    });
    rate("  online checker", events.len(), || {
        checked(Checker::online(Contract::Chronik)).events
    });
    rate("  JSON reader", events.len(), || {
        Reader::new(&text[..])
            .map(|event| event.expect("it was just written").0)
            .sum()
    });
    rate("  JSON reader and offline checker", events.len(), || {
        let mut checker = Checker::offline(Contract::Chronik);
        for event in Reader::new(&text[..]) {
            let (line, event) = event.expect("it was just written");
            checker
                .feed(line, &event)
                .expect("the history is well formed");
        }
        clean(checker.finish()).events
    });
}

fn check<'a>(mut checker: Checker, events: impl Iterator<Item = (u64, &'a Event)>) -> Report {
    for (line, event) in events {
        checker
            .feed(line, event)
            .expect("the history is well formed");
    }
    clean(checker.finish())
}

fn clean(report: Report) -> Report {
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(report.incomplete.is_empty(), "{:?}", report.incomplete);
    report
}

fn rate(what: &str, events: usize, run: impl Fn() -> u64) {
    let timed = |_| {
        let (wall, cpu) = (Instant::now(), cpu_time());
        black_box(run());
        (wall.elapsed(), cpu_time() - cpu)
    };
    let runs: Vec<(Duration, Duration)> = (0..3).map(timed).collect();
    let million_a_second = |time: Option<Duration>| {
        events as f64 / time.expect("three runs were made").as_secs_f64() / 1e6
    };
    println!(
        "{what}: {:.2} M events a CPU second, {:.2} M a second",
        million_a_second(runs.iter().map(|(_, cpu)| *cpu).min()),
        million_a_second(runs.iter().map(|(wall, _)| *wall).min()),
    );
}

/// CPU time of this process so far, in ticks of 10 ms: other work on the machine does not count.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(
        ticks
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>()
            * 10,
    )
}

fn measure_soak(hours: u64, batch: u64) {
    let seconds = hours * SECONDS_PER_HOUR;
    let mut day = Day::new(batch, seconds);
    let mut checker = Checker::online(Contract::Chronik);
    let before_kib = resident_kib("VmRSS:");
    let (mut line, mut in_checker, mut most_kib) = (0, Duration::ZERO, 0);
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        while chunk.len() < 100_000
            && let Some(event) = day.next_event()
        {
            chunk.push(event);
        }
        if chunk.is_empty() {
            break;
        }
        let start = cpu_time();
        for event in &chunk {
            line += 1;
            checker
                .feed(line, event)
                .expect("the history is well formed");
        }
        in_checker += cpu_time() - start;
        most_kib = most_kib.max(resident_kib("VmRSS:"));
    }
    let report = clean(checker.finish());
    println!(
        "{hours} h at {RECORDS_PER_SECOND} records/s, batches of {batch}: {} records, {} events, {:.1} CPU s in the checker ({:.2} M events a CPU second)",
        seconds * RECORDS_PER_SECOND,
        report.events,
        in_checker.as_secs_f64(),
        report.events as f64 / in_checker.as_secs_f64() / 1e6,
    );
    println!(
        "  resident: {} MiB before, {} MiB at most",
        before_kib / 1024,
        most_kib / 1024
    );
    assert!(
        most_kib.saturating_sub(before_kib) < 200 * 1024,
        "the online checker takes 200 MB or more"
    );
}

fn resident_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A day of a healthy cluster, made as it is read: batch `k` of a partition is a function of `k`.
struct Day {
    batch: u64,
    batches: u64,
    ns_per_batch: u64,
    per_hour: u64,
    names: Vec<Name>,
    produced: u64,
    op: u64,
    time_ns: u64,
    queue: std::collections::VecDeque<Event>,
    /// How many batches the tail auditor and the rereading one have read of each partition.
    tail: Vec<u64>,
    again: Vec<u64>,
}

const TAIL_AUDITOR: u32 = 100;
const REREADING_AUDITOR: u32 = 101;

impl Day {
    fn new(batch: u64, seconds: u64) -> Day {
        let per_second = RECORDS_PER_SECOND / batch;
        let mut day = Day {
            batch,
            batches: seconds * per_second,
            ns_per_batch: 1_000_000_000 / per_second,
            // Producers crash and come back each hour.
            per_hour: per_second * SECONDS_PER_HOUR / PARTITIONS,
            names: (0..PARTITIONS)
                .map(|n| Name::from(format!("soak/{n}").as_str()))
                .collect(),
            produced: 0,
            op: 0,
            time_ns: 0,
            queue: Default::default(),
            tail: vec![0; PARTITIONS as usize],
            again: vec![0; PARTITIONS as usize],
        };
        day.assign(TAIL_AUDITOR);
        day.assign(REREADING_AUDITOR);
        day
    }

    fn next_event(&mut self) -> Option<Event> {
        while self.queue.is_empty() && self.produced < self.batches {
            self.produce();
        }
        self.queue.pop_front()
    }

    fn push(&mut self, proc: u32, action: Action) {
        let time_ns = self.time_ns;
        self.queue.push_back(Event {
            time_ns,
            proc,
            action,
        });
    }

    fn assign(&mut self, proc: u32) {
        let positions = self
            .names
            .iter()
            .map(|name| (name.clone(), Some(0)))
            .collect();
        self.push(proc, Action::Assign(positions));
    }

    /// The value of a partition's batch `k`.
    fn value(&self, k: u64) -> Value {
        let (incarnation, within) = (k / self.per_hour, k % self.per_hour);
        Value {
            producer: (within % PRODUCERS) as u32,
            incarnation: incarnation as u32,
            seq: within / PRODUCERS * self.batch,
        }
    }

    fn produce(&mut self) {
        let (partition, k) = (
            (self.produced % PARTITIONS) as usize,
            self.produced / PARTITIONS,
        );
        self.produced += 1;
        self.op += 1;
        self.time_ns += self.ns_per_batch;
        let (op, value) = (self.op, self.value(k));
        let wire = Wire {
            producer_id: i64::from(value.producer) + i64::from(value.incarnation) * 100,
            epoch: 0,
            base_sequence: value.seq as i32,
        };
        let invoke = SendInvoke {
            op,
            partition: self.names[partition].clone(),
            value,
            wire: Some(wire),
            count: self.batch as u32,
            acks: -1,
            transaction: None,
        };
        self.push(value.producer, Action::SendInvoke(invoke));
        let answered = !k.is_multiple_of(UNANSWERED_EVERY);
        let end = SendEnd {
            op,
            outcome: if answered { Outcome::Ok } else { Outcome::Info },
            partition: None,
            offset: answered.then_some(k * self.batch),
            leader_epoch: Some(5),
            node: Some(1),
            attempts: Vec::new(),
        };
        self.push(value.producer, Action::SendEnd(end));
        if !answered {
            self.send_into_the_void(partition, k);
        }
        if (k + 1).is_multiple_of(BATCHES_PER_POLL) {
            self.tail[partition] = self.poll(TAIL_AUDITOR, partition, self.tail[partition], k + 1);
            // The second auditor begins anew whenever it meets the tail; it reads three times as fast.
            let again = self.again[partition];
            let to = (again + 3 * BATCHES_PER_POLL).min(k + 1);
            self.again[partition] = self.poll(REREADING_AUDITOR, partition, again, to);
            if to == k + 1 && to > 100_000 {
                self.again[partition] = 0;
                let positions = vec![(self.names[partition].clone(), Some(0))];
                self.push(REREADING_AUDITOR, Action::Seek(positions));
            }
        }
    }

    /// A send that times out and never lands.
    fn send_into_the_void(&mut self, partition: usize, k: u64) {
        self.op += 1;
        let op = self.op;
        let value = Value {
            producer: 9,
            incarnation: 0,
            seq: k,
        };
        let invoke = SendInvoke {
            op,
            partition: self.names[partition].clone(),
            value,
            wire: None,
            count: 1,
            acks: -1,
            transaction: None,
        };
        self.push(9, Action::SendInvoke(invoke));
        let end = SendEnd {
            op,
            outcome: Outcome::Info,
            partition: None,
            offset: None,
            leader_epoch: None,
            node: None,
            attempts: Vec::new(),
        };
        self.push(9, Action::SendEnd(end));
    }

    fn poll(&mut self, proc: u32, partition: usize, from: u64, to: u64) -> u64 {
        self.op += 1;
        let op = self.op;
        self.push(proc, Action::PollInvoke { op });
        let records = (from..to).map(|k| Record {
            offset: k * self.batch,
            content: Content::Value(self.value(k)),
            leader_epoch: Some(5),
            count: self.batch as u32,
        });
        let poll = Poll {
            op,
            mode: PollMode::Assign,
            group: None,
            generation: None,
            isolation: Isolation::Uncommitted,
            transaction: None,
            records: vec![(self.names[partition].clone(), records.collect())],
            high_watermarks: Vec::new(),
        };
        self.push(proc, Action::Poll(poll));
        to
    }
}
