//! The coordinator's rules, as scripts; its invariants, under random events.

mod invariants;
mod script;

use script::check;

/// Each script is one story; its indented lines are what the coordinator answers.
macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(include_str!(concat!("scripts/", stringify!($name), ".txt"))); })*
    };
}

stories![
    one_member_from_join_to_leave,
    two_members_share_the_work,
    a_member_is_named_before_it_joins,
    who_waits_is_alive,
    the_silent_are_removed,
    a_follower_that_knows_all_keeps_its_generation,
    a_lost_join_answer_is_repeated,
    protocols_are_voted_for,
    a_static_member_comes_back,
    static_replacement_is_undone_if_the_log_refuses,
    the_first_round_waits_for_more,
    an_assignment_counts_once_it_is_written,
    members_that_never_sync_are_removed,
    refusals_of_every_verb,
    offsets_are_committed_and_fetched,
    a_group_and_its_offsets_are_deleted,
    offsets_grow_old,
    a_restart_keeps_the_generation,
    a_group_is_bounded,
    all_members_together_are_bounded,
    stopping_answers_everyone,
];
