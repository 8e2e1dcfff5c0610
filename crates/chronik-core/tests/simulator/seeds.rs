//! Seeds that found a mistake, and what it was. They run with every test.
//!
//! A change of what seeds decide gives each of them another story; a story worth keeping for ever is a script.

/// The seed, and the promise that it saw broken.
pub(crate) const PINNED: &[(u64, &str)] = &[
    (
        158,
        "a cluster without faults agrees: a removed leader forgot with its restart that its removal was committed",
    ),
    (
        1376,
        "all replicas know the same members: a leader whose disk is slow applies later than its followers",
    ),
    (
        1886,
        "acknowledged is held by as many as asked for: a voter more made a majority of before look like one of now",
    ),
];
