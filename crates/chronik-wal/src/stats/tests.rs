//! Quantiles are within a quarter of the truth.

use super::*;

#[test]
fn quantiles_are_close() {
    let counters = Counters::default();
    for us in 1..=1000 {
        counters.synced(Duration::from_micros(us));
    }
    let stats = counters.view(false);
    assert!(
        (500..=625).contains(&stats.sync_p50_us),
        "{}",
        stats.sync_p50_us
    );
    assert!(
        (990..=1250).contains(&stats.sync_p99_us),
        "{}",
        stats.sync_p99_us
    );
    assert_eq!((stats.sync_max_us, stats.sync_total_us), (1000, 500_500));
    assert_eq!(Counters::default().view(false).sync_p99_us, 0);
}

#[test]
fn no_duration_is_out_of_range() {
    let counters = Counters::default();
    counters.synced(Duration::ZERO);
    counters.synced(Duration::MAX);
    assert_eq!(counters.view(false).sync_max_us, u64::MAX);
}
