//! The anomaly table, one file for each rule. Rules judge; the checker decides when.

pub(crate) mod aborted_read;
pub(crate) mod ack_offset_implausible;
pub(crate) mod commit_regress;
pub(crate) mod corrupt;
pub(crate) mod dirty_then_lost;
pub(crate) mod double_owner;
pub(crate) mod duplicate;
pub(crate) mod epoch_regress;
pub(crate) mod final_lost;
pub(crate) mod g1c;
pub(crate) mod group;
pub(crate) mod group_hole;
pub(crate) mod group_redelivery;
pub(crate) mod idempotent_gap;
pub(crate) mod inconsistent_offset;
pub(crate) mod invariant_log;
pub(crate) mod lost_write;
pub(crate) mod misrouted;

pub(crate) mod nonmonotonic_poll;
pub(crate) mod nonmonotonic_send;
pub(crate) mod offset_hole;
pub(crate) mod phantom;
pub(crate) mod poll_skip;
pub(crate) mod precommitted_read;
pub(crate) mod realtime_order;
pub(crate) mod replica_divergence;
pub(crate) mod split_brain_ack;
pub(crate) mod stale_tail;
pub(crate) mod torn_txn;
pub(crate) mod transaction;
pub(crate) mod unseen;
pub(crate) mod zombie_commit;
