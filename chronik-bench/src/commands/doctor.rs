//! `doctor`: what on this machine would spoil a measurement, and what to do about it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::util::get_rdkafka_version;

use crate::cli::DoctorArguments;
use crate::commands::run::tool_client;
use crate::error::BenchError;
use crate::exit::Exit;
use crate::fingerprint;
use crate::output;
use crate::topic::Cluster;
use crate::units::latency;

const NAP: Duration = Duration::from_micros(100);
const NAPS: usize = 500;
const OVERSHOOT_P99_MAX_US: f64 = 500.0;
const OPEN_FILES_MIN: u64 = 8_192;
const CORES_MIN: u32 = 4;
const DRIFT_MAX_US: f64 = 200.0;

/// One thing that was looked at.
struct Sign {
    is_good: bool,
    what: String,
    advice: &'static str,
}

pub(crate) fn run(arguments: &DoctorArguments) -> Result<Exit, BenchError> {
    let machine = fingerprint::of_this_machine(false);
    output::line(&format!(
        "{}: {}, {} cores, {:.1} GB, Linux {}, class {}, librdkafka {}",
        machine.host,
        machine.cpu,
        machine.cores,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel,
        machine.class,
        get_rdkafka_version().1,
    ));
    let mut signs = vec![
        cores(machine.cores),
        timers(),
        governor(),
        clock_source(),
        open_files(),
        load(),
        drift(),
    ];
    if let Some(bootstrap) = &arguments.bootstrap_servers {
        signs.push(cluster(bootstrap));
    }
    for sign in &signs {
        let word = if sign.is_good { "good" } else { "BAD " };
        output::line(&format!("  {word} {}", sign.what));
        if !sign.is_good {
            output::line(&format!("       {}", sign.advice));
        }
    }
    Ok(match signs.iter().all(|sign| sign.is_good) {
        true => Exit::Pass,
        false => Exit::Fail,
    })
}

fn cores(cores: u32) -> Sign {
    Sign {
        is_good: cores >= CORES_MIN,
        what: format!("{cores} cores"),
        advice: "caller, poll thread and broker threads want a core each: expect amber audits, gate at fixed rates",
    }
}

fn timers() -> Sign {
    let mut overshoots: Vec<f64> = (0..NAPS)
        .map(|_| {
            let begin = Instant::now();
            thread::sleep(NAP);
            (begin.elapsed() - NAP).as_secs_f64() * 1e6
        })
        .collect();
    overshoots.sort_by(f64::total_cmp);
    let p99 = overshoots[NAPS * 99 / 100];
    Sign {
        is_good: p99 <= OVERSHOOT_P99_MAX_US,
        what: format!(
            "a sleep of 100 us is late by p50 {}, p99 {}",
            latency(overshoots[NAPS / 2]),
            latency(p99)
        ),
        advice: "sends will be late by as much: use a quieter machine or, with cores to spare, let it spin",
    }
}

fn governor() -> Sign {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    let governor = fs::read_to_string(path).map(|text| text.trim().to_owned());
    Sign {
        is_good: governor
            .as_deref()
            .map_or(true, |found| found == "performance"),
        what: format!(
            "frequency governor: {}",
            governor.as_deref().unwrap_or("not visible")
        ),
        advice: "cpupower frequency-set -g performance",
    }
}

fn clock_source() -> Sign {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source =
        fs::read_to_string(path).map_or_else(|_| "?".into(), |text| text.trim().to_owned());
    Sign {
        is_good: [
            "tsc",
            "kvm-clock",
            "arch_sys_counter",
            "hyperv_clocksource_tsc_page",
        ]
        .contains(&source.as_str()),
        what: format!("clock source: {source}"),
        advice: "reading this clock costs a system call: each message reads it twice",
    }
}

fn open_files() -> Sign {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(u64::MAX);
    Sign {
        is_good: limit >= OPEN_FILES_MIN,
        what: format!("open files: {limit}"),
        advice: "ulimit -n 65536",
    }
}

fn load() -> Sign {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0);
    Sign {
        is_good: load < 0.5,
        what: format!("load of the last minute: {load}"),
        advice: "somebody else uses this machine: wait, or measure in turn and often",
    }
}

fn drift() -> Sign {
    let clock = crate::clock::Clock::start();
    thread::sleep(Duration::from_millis(200));
    let drift_us = clock.drift_us();
    Sign {
        is_good: drift_us.abs() < DRIFT_MAX_US,
        what: format!("wall against monotonic clock over 200 ms: {drift_us:.0} us"),
        advice: "the wall clock is being stepped: wait until it is in step",
    }
}

fn cluster(bootstrap: &str) -> Sign {
    let brokers = tool_client(bootstrap, &[])
        .and_then(|client| Cluster::connect(bootstrap, &client))
        .and_then(|cluster| cluster.brokers());
    let (is_good, what) = match brokers {
        Ok(brokers) => (
            true,
            format!("{} brokers answer at {bootstrap}", brokers.len()),
        ),
        Err(failed) => (false, format!("{bootstrap}: {failed}")),
    };
    Sign {
        is_good,
        what,
        advice: "check the address, and that the brokers' advertised names resolve here",
    }
}
