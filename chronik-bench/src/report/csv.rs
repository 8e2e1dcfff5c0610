//! `intervals.csv`: the seconds of a run for programs that like columns.

use std::fmt::Write as _;

use crate::collect::Row;

const HEAD: &str = "second,phase,sent,acked,acked_bytes,failed,consumed,consumed_bytes,operations,outstanding,blocked,timed,p50_us,p90_us,p99_us,p999_us,max_us\n";

/// One line for each second; the latency is the one that a person looks at first.
pub(crate) fn intervals(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},",
            row.second,
            row.phase,
            row.sent,
            row.acked,
            row.acked_bytes,
            row.failed,
            row.consumed,
            row.consumed_bytes,
            row.operations,
            row.outstanding,
            row.blocked
        );
        let _ = match row.headline() {
            Some((name, found)) => writeln!(
                text,
                "{name},{},{},{},{},{}",
                found.p50, found.p90, found.p99, found.p999, found.max
            ),
            None => writeln!(text, ",,,,,"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_as_many_columns_as_the_head() {
        let mut row = Row::default();
        let bare = intervals(std::slice::from_ref(&row));
        row.latency_us.insert("e2e".to_owned(), Default::default());
        let timed = intervals(&[row]);
        for text in [bare, timed] {
            let columns = text.lines().map(|line| line.split(',').count());
            assert_eq!(columns.collect::<Vec<_>>(), [17, 17], "{text}");
        }
    }
}
