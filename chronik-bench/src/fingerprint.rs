//! Which machine made a result: numbers of different ones are different experiments.

use std::fs;
use std::thread;

use chronik_check::header::body_hash;

use crate::model::Fingerprint;

/// Half a gigabyte of difference is a kernel's mood, not another machine.
const MEMORY_STEP: u64 = 1 << 30;

/// This machine, next to brokers or not.
pub(crate) fn of_this_machine(co_located: bool) -> Fingerprint {
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy().into_owned();
    let kernel = name.release().to_string_lossy().into_owned();
    let cpu = cpu_model();
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let memory_bytes = memory_bytes();
    let identity = format!("{cpu}|{cores}|{}|{kernel}", memory_bytes / MEMORY_STEP);
    Fingerprint {
        class: format!("{:012x}", body_hash(identity.as_bytes()) >> 16),
        host,
        cpu,
        cores,
        memory_bytes,
        kernel,
        network_mb_per_second: network_mb_per_second(),
        co_located,
    }
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    value("model name")
        .or_else(|| value("CPU part"))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Loopback and most virtual interfaces do not say.
fn network_mb_per_second() -> Option<f64> {
    let interfaces = fs::read_dir("/sys/class/net").ok()?;
    let megabits = interfaces
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("speed")).ok())
        .filter_map(|text| text.trim().parse::<f64>().ok())
        .filter(|megabits| *megabits > 0.0);
    megabits.reduce(f64::max).map(|megabits| megabits / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_itself() {
        let one = of_this_machine(true);
        assert_eq!(one, of_this_machine(true));
        assert_eq!(one.class, of_this_machine(false).class);
        assert!(one.cores > 0 && one.memory_bytes > 0);
    }
}
