//! How long messages are: one size, a uniform range, or a distribution from a file.

use std::fs;
use std::str::FromStr;

use crate::units::{self, UnitError};

const EXPECTED: &str = "a size such as 1024, 1k, 100..2k or dist:FILE (lines of `size weight`)";
/// Brokers refuse more by default, and a pool of larger bodies would hold hardly any.
const SIZE_MAX: u64 = 16_000_000;

/// A distribution of payload lengths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SizeSpec {
    Fixed(usize),
    Range {
        from: usize,
        to: usize,
    },
    /// Sizes with their cumulative weights; the last weight is the total.
    Table(Vec<(usize, f64)>),
}

impl SizeSpec {
    pub(crate) fn mean_bytes(&self) -> f64 {
        match self {
            Self::Fixed(size) => *size as f64,
            Self::Range { from, to } => f64::midpoint(*from as f64, *to as f64),
            Self::Table(rows) => {
                let mut below = 0.0;
                let mut sum = 0.0;
                for (size, cumulative) in rows {
                    sum += *size as f64 * (cumulative - below);
                    below = *cumulative;
                }
                sum / below
            }
        }
    }

    pub(crate) fn min_bytes(&self) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Range { from, .. } => *from,
            Self::Table(rows) => rows.iter().map(|(size, _)| *size).min().unwrap_or(0),
        }
    }

    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Range { from, to } => random.usize(*from..=*to),
            Self::Table(rows) => {
                let total = rows.last().map_or(0.0, |(_, weight)| *weight);
                let at = random.f64() * total;
                let row = rows.partition_point(|(_, cumulative)| *cumulative <= at);
                rows[row.min(rows.len() - 1)].0
            }
        }
    }

    fn table(text: &str) -> Option<Self> {
        let mut rows = Vec::new();
        let mut total = 0.0;
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (size, weight) = line.split_once(char::is_whitespace).unwrap_or((line, "1"));
            let weight: f64 = weight.trim().parse().ok().filter(|weight| *weight > 0.0)?;
            total += weight;
            rows.push((bounded(size)?, total));
        }
        (!rows.is_empty()).then_some(Self::Table(rows))
    }
}

impl FromStr for SizeSpec {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::new(text, EXPECTED);
        if let Some(path) = text.strip_prefix("dist:") {
            let table = fs::read_to_string(path).map_err(|_| error())?;
            return Self::table(&table).ok_or_else(error);
        }
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (
                bounded(from).ok_or_else(error)?,
                bounded(to).ok_or_else(error)?,
            );
            return if from <= to {
                Ok(Self::Range { from, to })
            } else {
                Err(error())
            };
        }
        bounded(text).map(Self::Fixed).ok_or_else(error)
    }
}

fn bounded(text: &str) -> Option<usize> {
    let size = units::count(text).ok()?;
    (1..=SIZE_MAX).contains(&size).then_some(size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!("1024".parse(), Ok(SizeSpec::Fixed(1024)));
        assert_eq!(
            "100..2k".parse(),
            Ok(SizeSpec::Range {
                from: 100,
                to: 2_000
            })
        );
        for wrong in ["0", "5..1", "99G", "", "dist:/nowhere"] {
            assert!(wrong.parse::<SizeSpec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_is_drawn_by_weight() {
        let table = SizeSpec::table("# size weight\n100 9\n1k 1\n").unwrap();
        assert_eq!(table.mean_bytes(), 190.0);
        assert_eq!(table.min_bytes(), 100);
        let mut random = fastrand::Rng::with_seed(1);
        let large = (0..10_000)
            .filter(|_| table.draw(&mut random) == 1_000)
            .count();
        assert!((900..1_100).contains(&large), "{large}");
        assert_eq!(SizeSpec::table("100 -1"), None);
        assert_eq!(SizeSpec::table("\n# nothing\n"), None);
    }
}
