//! The next step from the members that a group has to those that it should have.
//!
//! A replica learns first, and votes only once it has caught up; whom it replaces leaves in the same step, through a
//! joint state, so that the group never has fewer voters that can be reached.

use crate::group::{Change, Members, Peer};

/// The changes to propose now; none if the group is as it should be or must wait. `wanted` are the voters that
/// should be, `learners` those that should only learn, `peers` what the leader knows of the present members,
/// `committed` how far the leader is.
pub fn next_step(
    members: &Members,
    wanted: &[u64],
    learners: &[u64],
    peers: &[Peer],
    committed: u64,
) -> Option<Vec<Change>> {
    if members.is_joint() || wanted.is_empty() {
        return None;
    }
    let mut all = wanted.iter().chain(learners);
    let missing = all.find(|replica| !members.contains(**replica));
    if let Some(replica) = missing {
        return Some(vec![Change::Learner(*replica)]);
    }
    let is_ready = |replica: u64| {
        let peer = peers.iter().find(|peer| peer.replica == replica);
        // One that never answered counts as active at first, and lacks little of a short log.
        peer.is_some_and(|peer| {
            peer.is_active && peer.matched > 0 && peer.matched + MOST_BEHIND >= committed
        })
    };
    let learns = |replica: &&u64| members.learners.contains(replica);
    let ready = wanted
        .iter()
        .filter(learns)
        .find(|replica| is_ready(**replica));
    let leaving = members.voters.iter().find(|voter| !wanted.contains(voter));
    match (ready, leaving) {
        (Some(ready), Some(leaving)) => Some(vec![Change::Voter(*ready), Change::Remove(*leaving)]),
        (Some(ready), None) => Some(vec![Change::Voter(*ready)]),
        // Nobody leaves before those who stay can vote.
        (None, _)
            if wanted
                .iter()
                .any(|replica| members.learners.contains(replica)) =>
        {
            None
        }
        (None, Some(leaving)) => Some(vec![Change::Remove(*leaving)]),
        (None, None) => {
            let stray = members
                .learners
                .iter()
                .find(|learner| !wanted.contains(learner) && !learners.contains(learner));
            stray.map(|learner| vec![Change::Remove(*learner)])
        }
    }
}

/// The voters and learners that a group should have while its move stands still: those that it has. `present` is the
/// number that the same node has now, which is another one if it was wiped.
pub fn as_they_are(members: &Members, present: impl Fn(u64) -> u64) -> (Vec<u64>, Vec<u64>) {
    let voters: Vec<u64> = members.voters.iter().copied().map(&present).collect();
    let learners = members.learners.iter().copied().map(&present);
    let learners = learners.filter(|learner| !voters.contains(learner));
    let learners = learners.collect();
    (voters, learners)
}

/// Entries that a learner may lack when it becomes a voter.
const MOST_BEHIND: u64 = 64;
