//! Where in a partition: its edges, an offset, or a moment.

use std::collections::BTreeMap;

use chronik_admin::Code;

use super::topic::{EARLIEST, LATEST, Offsets, every_offset, find};
use crate::clock;
use crate::exit::Failure;
use crate::kafka::Kafka;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    End,
    Offset(i64),
    /// The first record that is not older, in milliseconds since 1970.
    Time(i64),
}

/// A partition's edges, and the offset that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) at: i64,
}

impl Place {
    /// `start`, `end`, an offset, `@MS`, or a time such as `2026-11-21T18:55:40Z`.
    pub(crate) fn parse(text: &str) -> Result<Place, String> {
        let expected = || {
            format!(
                "{text:?} is neither start, nor end, nor an offset, nor a time as 2026-11-21T18:55:40Z or @MS"
            )
        };
        if let Some(ms) = text.strip_prefix('@') {
            return ms.parse().map(Place::Time).map_err(|_| expected());
        }
        match (text, text.parse::<i64>()) {
            ("start", _) => Ok(Place::Start),
            ("end", _) => Ok(Place::End),
            (_, Ok(offset)) if offset >= 0 => Ok(Place::Offset(offset)),
            _ => {
                let ms = clock::ms_of(text).and_then(|ms| i64::try_from(ms).ok());
                ms.map(Place::Time).ok_or_else(expected)
            }
        }
    }

    /// The offset in each partition of a topic, or in one of them, within the edges of its log.
    pub(crate) async fn find(
        self,
        kafka: &mut Kafka,
        topic: &str,
        partition: Option<i32>,
    ) -> Result<BTreeMap<i32, Found>, Failure> {
        let found = find(kafka, topic).await?;
        let known = found.partitions.iter().map(|known| known.partition_index);
        let wanted: Vec<i32> = known
            .filter(|known| partition.is_none_or(|wanted| wanted == *known))
            .collect();
        if let (Some(partition), true) = (partition, wanted.is_empty()) {
            let count = found.partitions.len();
            let message = format!("{topic} has {count} partitions, not {partition}");
            return Err(Failure::new(Code::NotFound, message)
                .hint(format!("chronikctl topic describe {topic}")));
        }
        let start = every_offset(kafka, topic, &wanted, EARLIEST).await?;
        let end = every_offset(kafka, topic, &wanted, LATEST).await?;
        let at = match self {
            Place::Time(ms) => every_offset(kafka, topic, &wanted, ms).await?,
            _ => Offsets::new(),
        };
        let place = |partition| {
            let at = at.get(&partition).copied();
            let found = self.within(start[&partition], end[&partition], at);
            (partition, found)
        };
        Ok(wanted.into_iter().map(place).collect())
    }

    fn within(self, start: i64, end: i64, at: Option<i64>) -> Found {
        let at = match self {
            Place::Start => start,
            Place::End => end,
            Place::Offset(offset) => offset.clamp(start, end),
            // Nothing is that young: the end.
            Place::Time(_) => at.filter(|at| *at >= 0).unwrap_or(end),
        };
        Found { start, end, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_stay_within_the_log() {
        assert_eq!(Place::parse("start"), Ok(Place::Start));
        assert_eq!(Place::parse("17"), Ok(Place::Offset(17)));
        assert_eq!(Place::parse("@5"), Ok(Place::Time(5)));
        let time = Place::Time(951_782_400_000);
        assert_eq!(Place::parse("2000-02-29T00:00:00Z"), Ok(time));
        for text in ["", "-1", "soon", "@", "2026-13-01T00:00:00Z"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
        let at = |place: Place, at| place.within(40, 100, at).at;
        assert_eq!(at(Place::Offset(7), None), 40);
        assert_eq!(at(Place::Offset(900), None), 100);
        assert_eq!(at(time, Some(60)), 60);
        assert_eq!(at(time, Some(-1)), 100);
    }
}
