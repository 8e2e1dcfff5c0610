//! Kafka's own performance tools: how they are called, and what their output says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chronik_local::{foreign, kafka};

use super::cell::{Cell, Phase};
use crate::error::XtaskError;

/// How long the consumer waits for the next record before it gives up.
const CONSUME_TIMEOUT_MS: u32 = 30_000;

/// What the producer reports besides its rate.
pub(super) struct Produced {
    pub(super) records: u64,
    pub(super) records_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
}

/// What the consumer reports.
pub(super) struct Consumed {
    pub(super) records: u64,
    pub(super) records_per_second: f64,
}

/// The time and the client's processor time of a finished tool.
pub(super) struct Cost {
    pub(super) wall: Duration,
    pub(super) client_cpu: Duration,
}

impl Cost {
    pub(super) fn phase(&self, records_per_second: f64, bytes: u64, broker_cpu: f64) -> Phase {
        Phase {
            records_per_second,
            bytes,
            broker_cpu_seconds: broker_cpu,
            client_cpu_seconds: self.client_cpu.as_secs_f64(),
            wall_seconds: self.wall.as_secs_f64(),
        }
    }
}

pub(super) fn create_topic(
    dir: &Path,
    bootstrap: &str,
    topic: &str,
    partitions: u32,
    replicas: usize,
) -> Result<(), XtaskError> {
    let mut tool = kafka::tool(dir, "org.apache.kafka.tools.TopicCommand")?;
    tool.args(["--bootstrap-server", bootstrap, "--create"])
        .args(["--topic", topic])
        .args(["--replication-factor", &replicas.to_string()])
        .args(["--partitions", &partitions.to_string()]);
    foreign::run("kafka-topics --create", &mut tool)?;
    Ok(())
}

pub(super) fn produce(
    dir: &Path,
    bootstrap: &str,
    cell: Cell,
    records: u64,
) -> Result<(Produced, Cost), XtaskError> {
    let mut tool = kafka::tool(dir, "org.apache.kafka.tools.ProducerPerformance")?;
    tool.args(["--bootstrap-server", bootstrap, "--topic", &cell.topic()])
        .args(["--num-records", &records.to_string()])
        .args(["--record-size", &cell.record_bytes.to_string()])
        .args(["--throughput", "-1", "--command-property", "acks=all"]);
    let (output, cost) = timed("kafka-producer-perf-test", &mut tool)?;
    Ok((parse_producer(&output)?, cost))
}

pub(super) fn consume(
    dir: &Path,
    bootstrap: &str,
    cell: Cell,
    records: u64,
) -> Result<(Consumed, Cost), XtaskError> {
    let mut tool = kafka::tool(dir, "org.apache.kafka.tools.ConsumerPerformance")?;
    tool.args(["--bootstrap-server", bootstrap, "--topic", &cell.topic()])
        .args(["--num-records", &records.to_string(), "--hide-header"])
        .args(["--timeout", &CONSUME_TIMEOUT_MS.to_string()]);
    let (output, cost) = timed("kafka-consumer-perf-test", &mut tool)?;
    Ok((parse_consumer(&output)?, cost))
}

fn timed(what: &str, tool: &mut Command) -> Result<(String, Cost), XtaskError> {
    let cpu_before = children_cpu()?;
    let begin = Instant::now();
    let output = foreign::run(what, tool)?;
    let cost = Cost {
        wall: begin.elapsed(),
        client_cpu: children_cpu()?.saturating_sub(cpu_before),
    };
    Ok((output, cost))
}

/// Processor time of children that ended; the broker still runs, so between two looks only the tool is added.
pub(super) fn children_cpu() -> Result<Duration, XtaskError> {
    const PATH: &str = "/proc/self/stat";
    /// `USER_HZ`, which Linux has fixed for programs on every platform we build for.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = fs::read_to_string(PATH).map_err(XtaskError::file("read", PATH))?;
    let ticks = || -> Option<u64> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(13);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    };
    match ticks() {
        Some(ticks) => Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND)),
        None => Err(XtaskError::Unreadable { tool: PATH, text }),
    }
}

/// `1000 records sent, 98.7 records/sec (0.1 MB/sec), 3.1 ms avg latency, 5.0 ms max latency, 3 ms 50th, ...`
fn parse_producer(output: &str) -> Result<Produced, XtaskError> {
    let parse = || -> Option<Produced> {
        let line = output.lines().rev().find(|line| line.contains("99th"))?;
        let number_before = |words: &str| -> Option<f64> {
            line.split(", ")
                .find_map(|part| part.split_once(words))
                .and_then(|(number, _)| number.trim().parse().ok())
        };
        Some(Produced {
            records: number_before(" records sent")? as u64,
            records_per_second: number_before(" records/sec")?,
            p50_ms: number_before(" ms 50th")?,
            p99_ms: number_before(" ms 99th")?,
            p999_ms: number_before(" ms 99.9th")?,
        })
    };
    parse().ok_or_else(|| XtaskError::Unreadable {
        tool: "kafka-producer-perf-test",
        text: output.to_owned(),
    })
}

/// `start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s`
fn parse_consumer(output: &str) -> Result<Consumed, XtaskError> {
    let parse = || -> Option<Consumed> {
        let line = output
            .lines()
            .rev()
            .find(|line| line.split(", ").count() == 10)?;
        let fields: Vec<&str> = line.split(", ").map(str::trim).collect();
        Some(Consumed {
            records: fields[4].parse().ok()?,
            // Without the time of joining the group, which is a setting and not a rate.
            records_per_second: fields[9].parse().ok()?,
        })
    };
    parse().ok_or_else(|| XtaskError::Unreadable {
        tool: "kafka-consumer-perf-test",
        text: output.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_producers_last_line_is_understood() {
        let output = "\
12000 records sent, 2399.5 records/sec (2.34 MB/sec), 3.0 ms avg latency, 300.0 ms max latency.
20000 records sent, 4166.66 records/sec (4.07 MB/sec), 12.31 ms avg latency, 301.00 ms max latency, 9 ms 50th, 40 ms 95th, 77 ms 99th, 80 ms 99.9th.
";
        let produced = parse_producer(output).unwrap();
        assert_eq!(produced.records, 20_000);
        assert_eq!(produced.records_per_second, 4166.66);
        assert_eq!((produced.p50_ms, produced.p99_ms), (9.0, 77.0));
        assert_eq!(produced.p999_ms, 80.0);
    }

    #[test]
    fn the_consumers_line_is_understood() {
        let output = "2026-11-21 13:00:00:000, 2026-11-21 13:00:02:000, 95.3, 47.6, 100000, 50000.0, 400, 1600, 59.6, 62500.0\n";
        let consumed = parse_consumer(output).unwrap();
        assert_eq!(consumed.records, 100_000);
        assert_eq!(consumed.records_per_second, 62_500.0);
    }

    #[test]
    fn anything_else_is_refused_with_its_text() {
        let refused = parse_producer("Killed").err().unwrap();
        assert!(refused.to_string().contains("Killed"));
    }
}
