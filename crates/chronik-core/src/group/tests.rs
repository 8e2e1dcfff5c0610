//! A group of one voter: when it leads, what it writes, and what it may promise.

use bytes::Bytes;

use super::*;

const SETTINGS: Settings = Settings {
    uid: GroupUid(9),
    replica: 1,
    boot: 1,
    election_ticks: 10,
    heartbeat_ticks: 2,
    applies_entries: false,
    lag: Lag {
        most_ticks: 40,
        return_ticks: 8,
    },
    planted: Planted::NOTHING,
};

/// Obeys at once and in order, like a disk without delay.
fn obey(group: &mut Group, stored: &mut Stored) -> Vec<String> {
    let mut trace = Vec::new();
    loop {
        let mut actions = Vec::new();
        group.drain(&mut actions);
        if actions.is_empty() {
            return trace;
        }
        for action in actions {
            match action {
                Action::Persist(persist) => {
                    trace.push(format!("persist {} entries", persist.entries.len()));
                    remember(stored, &persist);
                    let mut out = Vec::new();
                    group.persisted(persist.number, &mut out);
                    assert!(out.is_empty(), "nobody is there to be told");
                }
                Action::Committed { index } => trace.push(format!("committed {index}")),
                Action::Leadership(l) => trace.push(format!("leader {} term {}", l.leader, l.term)),
                Action::Apply(entries) => {
                    let last = entries.last().expect("never empty").index;
                    trace.push(format!("apply to {last}"));
                    stored.applied = last;
                    group.applied(last);
                }
                other => panic!("{other:?} in a group of one voter"),
            }
        }
    }
}

fn remember(stored: &mut Stored, persist: &Persist) {
    if let Some(hard_state) = persist.hard_state {
        stored.hard_state = hard_state;
    }
    persist.entries.iter().for_each(|entry| stored.entry(entry));
}

fn payload(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn a_single_voter_leads_after_its_own_sync_and_not_before() {
    let mut stored = Stored::new(vec![1]);
    let mut group = Group::new(&SETTINGS, stored.clone());
    assert!(group.is_alone());
    group.campaign();
    assert_eq!(
        group.propose([payload("early")]),
        Err(ProposeRefused::NotReady)
    );
    let trace = obey(&mut group, &mut stored);
    assert_eq!(
        trace,
        ["leader 1 term 2", "persist 1 entries", "committed 2"]
    );
    assert_eq!(group.propose([payload("a"), payload("b")]), Ok(3));
    assert_eq!(
        obey(&mut group, &mut stored),
        ["persist 2 entries", "committed 4"]
    );
}

#[test]
fn a_leader_serves_once_its_owner_was_told_what_is_committed() {
    let mut stored = Stored::new(vec![1]);
    let mut group = Group::new(&SETTINGS, stored.clone());
    group.campaign();
    obey(&mut group, &mut stored);
    group.propose([payload("kept")]).expect("it leads");
    obey(&mut group, &mut stored);
    // What was committed is not on disk, so the next life learns it anew.
    stored.hard_state.commit = 2;
    let mut group = Group::new(&SETTINGS, stored.clone());
    group.campaign();
    let mut actions = Vec::new();
    group.drain(&mut actions);
    for action in std::mem::take(&mut actions) {
        if let Action::Persist(persist) = action {
            group.persisted(persist.number, &mut actions);
        }
    }
    assert!(!group.serves(), "its owner does not know of entry 3 yet");
    group.drain(&mut actions);
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Committed { index: 4 }))
    );
    assert!(group.serves());
}

#[test]
fn nothing_is_committed_before_it_is_persisted() {
    let mut stored = Stored::new(vec![1]);
    let mut group = Group::new(&SETTINGS, stored.clone());
    group.campaign();
    obey(&mut group, &mut stored);
    group.propose([payload("a")]).unwrap();
    let mut first = Vec::new();
    group.drain(&mut first);
    group.propose([payload("b")]).unwrap();
    let mut second = Vec::new();
    group.drain(&mut second);
    let number = |actions: &[Action]| match actions {
        [Action::Persist(persist)] => persist.number,
        other => panic!("only a write was expected, not {other:?}"),
    };
    let (first, second) = (number(&first), number(&second));
    let mut out = Vec::new();
    group.persisted(first, &mut out);
    group.drain(&mut out);
    assert!(
        matches!(out[..], [Action::Committed { index: 3 }]),
        "{out:?}"
    );
    out.clear();
    group.persisted(second, &mut out);
    group.drain(&mut out);
    assert!(
        matches!(out[..], [Action::Committed { index: 4 }]),
        "{out:?}"
    );
}

#[test]
fn a_restart_raises_the_term_and_keeps_the_log() {
    let mut stored = Stored::new(vec![1]);
    for round in 1..4 {
        let mut group = Group::new(&SETTINGS, stored.clone());
        group.campaign();
        obey(&mut group, &mut stored);
        assert_eq!(group.term(), 1 + round);
        group.propose([payload("x")]).unwrap();
        obey(&mut group, &mut stored);
        let mut out = Writer::new();
        group.encode(&mut out);
        assert_eq!(
            Group::decode_terms(&mut Reader::new(&out.finish())).unwrap(),
            stored.terms
        );
        group.evict(u64::MAX);
        let trim = Trim {
            index: stored.last_index - 1,
            term: group.term_of(stored.last_index - 1).unwrap(),
        };
        group.trimmed(trim);
        stored.trim(trim);
    }
    assert_eq!(stored.last_index, 7);
}

#[test]
fn a_state_group_applies_what_it_had_not() {
    let mut stored = Stored::new(vec![1]);
    let settings = Settings {
        applies_entries: true,
        ..SETTINGS
    };
    let mut group = Group::new(&settings, stored.clone());
    group.campaign();
    obey(&mut group, &mut stored);
    let applied = stored.applied;
    group.propose([payload("a"), payload("b")]).unwrap();
    let trace = obey(&mut group, &mut stored);
    assert!(trace.contains(&"apply to 4".to_owned()), "{trace:?}");

    // Crashed before it applied the last two: their entries come from the log.
    stored.applied = applied;
    let entry = |index, text| Entry {
        index,
        term: 2,
        data: payload(text),
        ..Entry::default()
    };
    stored.tail = vec![entry(3, "a"), entry(4, "b")];
    let mut group = Group::new(&settings, stored.clone());
    group.campaign();
    let trace = obey(&mut group, &mut stored);
    assert_eq!(stored.applied, 5, "{trace:?}");
}
