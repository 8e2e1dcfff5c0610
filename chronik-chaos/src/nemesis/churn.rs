//! Topics that come and go while others are written to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Active, Hold, NemesisFault, Proof, World};
use crate::wire::{Connection, create_topic, delete_topic, error_code};
use crate::workload::{rest, spawn};

const PARTITIONS: i32 = 6;
const CALL_BOUND: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The threads that make and delete topics.
#[derive(Debug)]
pub(super) struct Churn {
    ends: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) fn begin(world: &mut World, active: &mut Active) -> Result<(), NemesisFault> {
    let mut churn = Churn {
        ends: Arc::default(),
        made: Arc::default(),
        threads: Vec::new(),
    };
    let replicas = i16::try_from(world.target.nodes.len().min(3)).expect("at most three");
    for number in &active.victims.nodes {
        let (address, number) = (world.target.node(*number).kafka, *number);
        let (ends, made) = (Arc::clone(&churn.ends), Arc::clone(&churn.made));
        let work = move || stir(address, number, replicas, &ends, &made);
        let thread = spawn("churn", world.network.as_ref(), work);
        churn
            .threads
            .push(thread.map_err(Active::node_fault("the churn", number))?);
    }
    active.hold = Hold::Churn(churn);
    Ok(())
}

pub(super) fn end(active: Active) -> Result<Option<Proof>, NemesisFault> {
    let Hold::Churn(churn) = active.hold else {
        return Ok(None);
    };
    churn.ends.store(true, Ordering::Relaxed);
    for thread in churn.threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    Ok(Some(match churn.made.load(Ordering::Relaxed) {
        0 => Err("no topic was made and deleted".into()),
        made => Ok(format!("{made} topics made and deleted")),
    }))
}

fn stir(address: SocketAddr, node: u32, replicas: i16, ends: &AtomicBool, made: &AtomicU64) {
    for turn in 0u64.. {
        if ends.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("churn-{node}-{turn}");
        let done = Connection::open(address, CALL_BOUND).and_then(|mut connection| {
            let configs = &[];
            create_topic(
                &mut connection,
                &name,
                PARTITIONS,
                replicas,
                configs,
                CALL_BOUND,
            )?;
            rest(PAUSE);
            delete_topic(&mut connection, &name, CALL_BOUND)
        });
        if matches!(done, Ok(error_code::NONE)) {
            made.fetch_add(1, Ordering::Relaxed);
        }
        rest(PAUSE);
    }
}
