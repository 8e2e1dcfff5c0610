//! The topic of a run: made before the load, and removed afterwards where the cluster is somebody else's.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Plan, RunFault, Stage, TICK};
use crate::output::Progress as Screen;
use crate::target::TargetKind;
use crate::wire::{CallFailed, Connection, create_topic, delete_topic, error_code};
use crate::workload::{TOPIC, rest};

const CREATED_BOUND: Duration = Duration::from_secs(60);
const CALL_BOUND: Duration = Duration::from_secs(10);

impl Stage {
    /// Creates the topic and waits until every partition has a leader.
    pub(super) fn create_topic(&mut self, plan: &Plan) -> Result<(), RunFault> {
        let deadline = Instant::now() + CREATED_BOUND;
        let is_ours = !matches!(plan.target, TargetKind::Attached(_));
        self.at_clients(|stage| {
            let (mut is_made, mut said) = (is_ours, String::new());
            while Instant::now() < deadline {
                for address in stage.bootstrap.iter() {
                    match stage.create_at(*address, plan) {
                        Ok(error_code::TOPIC_ALREADY_EXISTS) if !is_made => {
                            return Err(RunFault::Occupied);
                        }
                        Ok(error_code::NONE | error_code::TOPIC_ALREADY_EXISTS) => {
                            is_made = true;
                            if stage.view().leaders.iter().all(Option::is_some) {
                                return Ok(());
                            }
                            said = "not every partition has a leader".into();
                        }
                        Ok(code) => said = format!("error {code}"),
                        Err(failed) => said = failed.to_string(),
                    }
                }
                rest(TICK * 10);
            }
            Err(RunFault::Topic(CREATED_BOUND, said))
        })
    }

    /// Leaves a cluster as it was found. What cannot be removed is said, and is no fault of the cluster.
    pub(super) fn remove_topic(&self, screen: &Screen) {
        let mut addresses = self.bootstrap.iter();
        let is_removed = addresses.any(|address| {
            let removed = Connection::open(*address, CALL_BOUND)
                .and_then(|mut connection| delete_topic(&mut connection, TOPIC, CALL_BOUND));
            matches!(removed, Ok(error_code::NONE))
        });
        if !is_removed {
            screen.say(&format!(
                "the topic `{TOPIC}` could not be removed and is left behind"
            ));
        }
    }

    fn create_at(&self, address: SocketAddr, plan: &Plan) -> Result<i16, CallFailed> {
        let cluster = &plan.scenario.cluster;
        let partitions = i32::try_from(cluster.partitions).expect("a topic has few partitions");
        // Somebody else's cluster may be smaller than the one that the scenario has in mind.
        let replicas = cluster.rf.min(self.nodes());
        let least_replicas = cluster.min_isr.min(replicas);
        let configs = [("min.insync.replicas", least_replicas.to_string())];
        let configs = if replicas > 1 { &configs[..] } else { &[] };
        let mut connection = Connection::open(address, CALL_BOUND)?;
        create_topic(
            &mut connection,
            TOPIC,
            partitions,
            i16::try_from(replicas).expect("a cluster has few nodes"),
            configs,
            CALL_BOUND,
        )
    }
}
