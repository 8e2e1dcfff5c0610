//! Which situations a run went through: a simulator that never meets a situation proves nothing about it.

use std::fmt;

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// How often each situation occurred.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Coverage { $(pub(crate) $name: u64),* }

        impl Coverage {
            pub(crate) fn add(&mut self, other: &Coverage) {
                $(self.$name += other.$name;)*
            }

            /// The situations that never occurred.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($name), self.$name)),*];
                all.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }
        }

        impl fmt::Display for Coverage {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>12} {}", self.$name, stringify!($name))?;)*
                Ok(())
            }
        }
    };
}

counters!(
    steps,
    elections,
    commits,
    truncations,
    snapshots_sent,
    snapshots_installed,
    states_installed,
    fetches,
    trims,
    checkpoints,
    segments_recycled,
    member_changes,
    joint_states,
    replicas_born,
    replicas_destroyed,
    transfers,
    batches_parked,
    batches_written,
    replicas_missed,
    logs_shortened,
    catch_ups_held,
    catch_ups_released,
    suspicions,
    abdications,
    kills,
    power_cuts,
    frames_lost,
    frames_torn,
    frames_cached,
    restarts,
    disk_stalls,
    disks_full,
    cuts,
    one_way_cuts,
    messages_lost,
    messages_duplicated,
    messages_overtaken,
    clock_drifts,
    batches_acknowledged,
    plain_acknowledged,
    batches_repeated,
    duplicates_answered,
    sequences_refused,
    fates_unknown,
    reads_confirmed,
);
