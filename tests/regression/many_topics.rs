//! Ten thousand topics: created, listed, written, and all there again after a crash.

use crate::support::{Broker, JAVA_CLIENTS, drive, java};

const TOPICS: &str = "10000";
const MEBIBYTE: u64 = 1024 * 1024;

#[test]
fn ten_thousand_topics_are_recovered() {
    let mut broker = Broker::start();
    let bootstrap = broker.bootstrap();
    let mut fill = java(JAVA_CLIENTS[1], "ManyTopics");
    drive("fill", fill.args(["fill", &bootstrap, TOPICS]));
    print_cost("before the crash", &broker);
    broker.kill_and_restart();
    println!("served again after {:?}", broker.time_to_serve());
    let mut verify = java(JAVA_CLIENTS[1], "ManyTopics");
    drive("verify", verify.args(["verify", &bootstrap, TOPICS]));
    print_cost("after the restart", &broker);
    broker.finish();
}

fn print_cost(when: &str, broker: &Broker) {
    let sample = broker.sample().expect("a running broker");
    println!(
        "{when}: {} MiB resident, {} MiB at its peak, {} files open",
        sample.resident_bytes / MEBIBYTE,
        sample.resident_peak_bytes / MEBIBYTE,
        sample.open_files,
    );
}
