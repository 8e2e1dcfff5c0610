//! What the text looks like, and that the table is sound.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

#[test]
fn names_are_unique_and_well_formed() {
    let mut names = BTreeSet::new();
    Metrics::default().visit(&mut |definition, series| {
        let name = definition.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(
            name.starts_with("chronik_") || name.starts_with("process_"),
            "{name}"
        );
        assert!(definition.sentence.ends_with('.'), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            series.kind() == "counter" && !name.ends_with("_count"),
            "{name}"
        );
    });
}

#[test]
fn a_histogram_counts_cumulatively() {
    let metrics = Metrics::default();
    let total = metrics.produce.latency.at(ProducePhase::Total);
    for duration_us in [1, 50, 51, 40_000_000] {
        total.observe(Duration::from_micros(duration_us));
    }
    let text = metrics.render();
    for line in [
        "# TYPE chronik_produce_latency_seconds histogram",
        "chronik_produce_latency_seconds_bucket{phase=\"total\",le=\"0.00005\"} 2",
        "chronik_produce_latency_seconds_bucket{phase=\"total\",le=\"0.0001\"} 3",
        "chronik_produce_latency_seconds_bucket{phase=\"total\",le=\"30\"} 3",
        "chronik_produce_latency_seconds_bucket{phase=\"total\",le=\"+Inf\"} 4",
        "chronik_produce_latency_seconds_sum{phase=\"total\"} 40.000102",
        "chronik_produce_latency_seconds_count{phase=\"total\"} 4",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn milliseconds_are_told_in_milliseconds() {
    let metrics = Metrics::default();
    metrics
        .raft
        .commit_latency
        .observe(Duration::from_millis(3));
    let text = metrics.render();
    assert!(text.contains("chronik_raft_commit_latency_ms_bucket{le=\"5\"} 1\n"));
    assert!(text.contains("chronik_raft_commit_latency_ms_sum 3\n"));
}

#[test]
fn sparse_series_appear_once_they_count() {
    let metrics = Metrics::default();
    assert!(!metrics.render().contains("api=\"Produce\""));
    metrics.kafka.requests.at(ApiKey::Produce).increment();
    metrics.kafka.errors.at(ErrorNumber(6)).add(2);
    metrics.kafka.errors.at(ErrorNumber(-1)).increment();
    metrics.kafka.errors.at(ErrorNumber(i16::MIN)).increment();
    metrics.kafka.errors.at(ErrorNumber(i16::MAX)).increment();
    let text = metrics.render();
    for line in [
        "chronik_kafka_requests_total{api=\"Produce\"} 1\n",
        "chronik_kafka_errors_total{error=\"6\"} 2\n",
        "chronik_kafka_errors_total{error=\"-1\"} 1\n",
        "chronik_kafka_errors_total{error=\"other\"} 2\n",
        "chronik_queue_depth{queue=\"shard\"} 0\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn the_process_is_measured() {
    let metrics = Metrics::default();
    let text = metrics.render();
    assert!(metrics.process.resident_memory.get() > 1 << 20);
    assert!(metrics.process.open_files.get() > 2);
    assert!(metrics.process.threads.get() > 0);
    assert!(metrics.process.start_time.get() > 1_600_000_000);
    assert!(text.contains("chronik_build_info{version=\""));
}

#[test]
fn every_line_is_a_comment_or_a_sample() {
    for line in Metrics::default().render().lines() {
        let is_sample = line
            .rsplit_once(' ')
            .is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(line.starts_with("# ") || is_sample, "{line}");
    }
}

#[test]
fn the_reference_is_the_same_every_time_and_mentions_every_metric() {
    assert_eq!(docs::reference(), docs::reference());
    Metrics::default().visit(&mut |definition, _| {
        assert!(docs::reference().contains(&format!("| `{}` |", definition.name)));
    });
}
