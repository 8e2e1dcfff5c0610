//! What the log complained of: each place in the program that warned once, with how often and what it said last.
//!
//! There are as many places as the program has, so it needs no bound but one for the length of what they say.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, callsite};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock;

/// Warnings and errors since the process began.
#[derive(Debug, Default)]
pub struct Digest {
    places: Mutex<HashMap<callsite::Identifier, Complaint>>,
}

/// Lines that come from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub level: Level,
    pub target: &'static str,
    /// Of the last one.
    pub message: String,
    /// Of the last one, besides its message.
    pub fields: String,
    pub count: u64,
    pub first_at_ms: u64,
    pub last_at_ms: u64,
}

/// Feeds a digest with every line.
pub(super) struct Remember(pub(super) Arc<Digest>);

/// So much of a text is remembered.
const MAX_TEXT_BYTES: usize = 512;

impl Digest {
    /// What was said since then, in milliseconds since 1970; the most recent first.
    pub fn since(&self, at_ms: u64) -> Vec<Complaint> {
        let places = self.places();
        let young = places.values().filter(|known| known.last_at_ms >= at_ms);
        let mut complaints: Vec<Complaint> = young.cloned().collect();
        complaints.sort_by(|one, other| {
            let age = other.last_at_ms.cmp(&one.last_at_ms);
            age.then_with(|| one.message.cmp(&other.message))
        });
        complaints
    }

    fn note(&self, event: &Event<'_>, now_ms: u64) {
        let mut words = Words::default();
        event.record(&mut words);
        let metadata = event.metadata();
        let mut places = self.places();
        let known = places.entry(metadata.callsite());
        let known = known.or_insert_with(|| Complaint {
            level: *metadata.level(),
            target: metadata.target(),
            message: String::new(),
            fields: String::new(),
            count: 0,
            first_at_ms: now_ms,
            last_at_ms: now_ms,
        });
        known.message = cut(words.message);
        known.fields = cut(words.fields);
        known.count += 1;
        known.last_at_ms = now_ms;
    }

    fn places(&self) -> MutexGuard<'_, HashMap<callsite::Identifier, Complaint>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Remember {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.note(event, clock::wall_ms().unsigned_abs());
    }
}

/// What an event says, as text.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if self.fields.is_empty() => write!(self.fields, "{name}={value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use tracing::{error, info, warn};
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn each_place_complains_once_with_its_last_words() {
        let digest = Arc::new(Digest::default());
        let layer = Remember(digest.clone()).with_filter(LevelFilter::WARN);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for node in 1..=3 {
                warn!(node, "node {node} is slow");
            }
            info!("all is well");
            error!(error = %"no space", "{}", "long ".repeat(1000));
        });
        let complaints = digest.since(0);
        assert_eq!(complaints.len(), 2);
        let slow = complaints.iter().find(|known| known.level == Level::WARN);
        let slow = slow.unwrap();
        assert_eq!(
            (slow.count, slow.message.as_str(), slow.fields.as_str()),
            (3, "node 3 is slow", "node=3")
        );
        let long = complaints.iter().find(|known| known.level == Level::ERROR);
        let long = long.unwrap();
        assert!(long.message.len() < MAX_TEXT_BYTES + 8);
        assert_eq!(long.fields, "error=no space");
        assert_eq!(digest.since(u64::MAX), []);
    }
}
