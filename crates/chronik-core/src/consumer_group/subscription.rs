//! The one look into a member's metadata: which topics a consumer subscribed to.
//!
//! Offsets of topics that nobody reads any more may expire or be deleted while the group lives, and only the
//! members' own words tell which ones these are. Anything unreadable counts as "subscribed to everything".

use std::collections::BTreeSet;

/// The protocol type whose metadata has a format we know.
pub(super) const CONSUMER: &str = "consumer";

/// Topics of a consumer's subscription: a version, then a counted list of texts; the rest varies by version.
pub(super) fn topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let (_version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut topics = BTreeSet::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let len = usize::try_from(i16::from_be_bytes(*len)).ok()?;
        let (name, tail) = tail.split_at_checked(len)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = tail;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_what_follows_is_ignored() {
        let metadata = b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff";
        assert_eq!(
            topics(metadata),
            Some(BTreeSet::from(["a".to_owned(), "bc".to_owned()]))
        );
    }

    #[test]
    fn short_bytes_are_no_subscription() {
        assert_eq!(topics(b"\x00\x01\x7f\xff\xff\xff\x00\x01a"), None);
        assert_eq!(topics(b""), None);
    }
}
