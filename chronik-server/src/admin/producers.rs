//! Idempotent producers that a partition remembers.

use chronik_admin::v1::peer_answer::Answer;
use chronik_admin::v1::peer_question::Question;
use chronik_admin::v1::{Producer, ProducerList, ProducersRequest};
use chronik_admin::{AdminError, Code};
use chronik_core::partition::producers;

use super::desk::{Desk, ask_there};
use super::placement::locate;

impl Desk {
    pub(super) async fn producers(
        &self,
        request: ProducersRequest,
    ) -> Result<ProducerList, AdminError> {
        match self.producers_here(&request).await {
            Err(error) if error.code == Code::NotLeader => {
                let leader = self.leader_of(&request.group).await?;
                ask_there!(self, leader, Producers(request) -> Producers)
            }
            outcome => outcome,
        }
    }

    pub(super) async fn producers_here(
        &self,
        request: &ProducersRequest,
    ) -> Result<ProducerList, AdminError> {
        let broker = &self.rooms()?.broker;
        let view = broker.view();
        let (topic, number, partition) = locate(&view.catalog, &request.group)?;
        let name = format!("{}/{number}", topic.name);
        let known = broker.producers(partition.group).await;
        let known = known.map_err(|error| {
            AdminError::new(Code::NotLeader, format!("{name}: {error}"))
                .hint(format!("chronikctl raft status --group {name}"))
        })?;
        let known = known.iter().map(|(id, producer)| told(*id, producer));
        Ok(ProducerList {
            group: name,
            producers: known.collect(),
        })
    }
}

fn told(producer_id: i64, producer: &producers::Producer) -> Producer {
    let last = producer.batches.back();
    Producer {
        producer_id,
        epoch: producer.epoch.into(),
        last_sequence: last.map_or(-1, |batch| batch.last_sequence),
        last_offset: last.map_or(-1, |batch| batch.last_offset),
        last_timestamp_ms: last.map_or(-1, |batch| batch.max_timestamp),
    }
}
