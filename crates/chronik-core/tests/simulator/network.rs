//! The wires between nodes: two lanes per direction, ordered like a stream, with all that can happen to a stream.

use std::collections::{BTreeMap, BTreeSet};

use chronik_core::group::eraftpb::{Message, MessageType};

use crate::coverage::Coverage;
use crate::rng::Rng;

/// How bad the network is, in parts of a thousand messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    /// A stream is opened anew while the old one still has messages: they arrive later.
    pub(crate) overtaken: u64,
    pub(crate) least_delay_us: u64,
    pub(crate) most_delay_us: u64,
}

/// What is sent apart, so that a large append never delays a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Control,
    Bulk,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) weather: Weather,
    /// Directions in which nothing passes.
    cuts: BTreeSet<(usize, usize)>,
    /// When the newest message of a lane arrives.
    last_arrival: BTreeMap<(usize, usize, Lane), u64>,
}

impl Network {
    pub(crate) fn new(weather: Weather) -> Network {
        Network {
            weather,
            ..Network::default()
        }
    }

    /// When copies of a message arrive; never, if the list is empty.
    pub(crate) fn send(
        &mut self,
        now: u64,
        (from, to): (usize, usize),
        message: &Message,
        rng: &mut Rng,
        coverage: &mut Coverage,
    ) -> Vec<u64> {
        let weather = self.weather;
        if self.is_cut(from, to) || rng.per_mille(weather.lost) {
            coverage.messages_lost += 1;
            return Vec::new();
        }
        let lane = match message.get_msg_type() {
            MessageType::MsgAppend | MessageType::MsgSnapshot => Lane::Bulk,
            _ => Lane::Control,
        };
        let mut arrives = now + rng.within(weather.least_delay_us, weather.most_delay_us);
        let last = self.last_arrival.entry((from, to, lane)).or_default();
        if rng.per_mille(weather.overtaken) {
            arrives += rng.within(3, 40) * weather.most_delay_us;
            coverage.messages_overtaken += 1;
        } else {
            arrives = arrives.max(*last);
            *last = arrives;
        }
        let mut arrivals = vec![arrives];
        if rng.per_mille(weather.duplicated) {
            arrivals.push(arrives + rng.within(0, 2 * weather.most_delay_us));
            coverage.messages_duplicated += 1;
        }
        arrivals
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }
}
