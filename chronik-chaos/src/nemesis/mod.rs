//! Brings faults and takes them back, and shows for each that it had an effect.

mod churn;
mod clock;
mod disk;
mod drain;
mod limits;
mod link;
mod power;
mod process;
mod storm;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use chronik_local::LocalError;

use crate::contain::{Group, UndoLog};
use crate::net::{Counts, Network};
use crate::scenario::{Cut, Fault, Parameters};
use crate::seed::Stream;
use crate::target::Target;

/// Everything that faults can touch.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) target: Target,
    pub(crate) network: Option<Network>,
    pub(crate) undo: UndoLog,
    /// Tells this run's control groups from another run's.
    pub(crate) run_name: String,
    pub(crate) chance: Stream,
}

/// Whom a fault hits, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Victims {
    pub(crate) nodes: Vec<u32>,
    pub(crate) links: Vec<(u32, u32)>,
}

/// A fault that lasts.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    pub(crate) victims: Victims,
    with: Parameters,
    hold: Hold,
    /// Known at the injection, unless only the heal can tell.
    pub(crate) proof: Option<Proof>,
}

/// What has to be kept to take a fault back.
#[derive(Debug)]
enum Hold {
    Nothing,
    Links(Vec<Counts>),
    Groups(Vec<(u32, Group)>),
    Files(Vec<(u32, rustix::process::Rlimit)>),
    Storm(storm::Storm),
    Clocks(Vec<(u32, clock::Moving)>),
    Churn(churn::Churn),
}

/// `Ok` says what shows the effect, `Err` why there seems to be none.
pub(crate) type Proof = Result<String, String>;

/// A fault could not be brought or taken back: the run says nothing then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NemesisFault {
    #[error("{fault} needs {what}; `chronik-chaos doctor` says what is missing")]
    Needs { fault: Fault, what: &'static str },
    #[error("{what} of node {node}")]
    Node {
        what: &'static str,
        node: u32,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Local(#[from] LocalError),
}

impl World {
    /// Brings a fault. Without victims it is a miss, which the proof says.
    pub(crate) fn inject(
        &mut self,
        fault: Fault,
        victims: Victims,
        with: &Parameters,
        lasts: Option<Duration>,
    ) -> Result<Active, NemesisFault> {
        let victims = self.within_reach(fault, victims);
        let mut nodes = victims.nodes.iter();
        if let Some(what) = nodes.find_map(|node| self.target.node(*node).lacks(fault)) {
            return Err(NemesisFault::Needs { fault, what });
        }
        let mut active = Active {
            fault,
            victims,
            with: with.clone(),
            hold: Hold::Nothing,
            proof: None,
        };
        if active.victims.nodes.is_empty() && active.victims.links.is_empty() {
            active.proof = Some(Err(
                "nobody to hit: no such node now, or it is down already".into(),
            ));
            return Ok(active);
        }
        match fault {
            Fault::Kill => process::kill(self, &mut active)?,
            Fault::Stop => process::stop(self, &mut active)?,
            Fault::Restart => process::restart(self, &mut active)?,
            Fault::Pause => process::pause(self, &mut active)?,
            Fault::Partition
            | Fault::Delay
            | Fault::Loss
            | Fault::Duplicate
            | Fault::Reorder
            | Fault::Bandwidth => link::change(self, &mut active, lasts)?,
            Fault::Storm => storm::begin(self, &mut active)?,
            Fault::PowerLoss => power::cut(self, &mut active)?,
            Fault::DiskFull => disk::fill(self, &mut active)?,
            Fault::SlowDisk => disk::slow(self, &mut active)?,
            Fault::DeadDisk => disk::kill(self, &mut active)?,
            Fault::CorruptAtRest => disk::corrupt(self, &mut active)?,
            Fault::Cpu => limits::cpu(self, &mut active)?,
            Fault::Memory => limits::memory(self, &mut active)?,
            Fault::Files => limits::files(self, &mut active)?,
            Fault::Drain => drain::begin(self, &mut active)?,
            Fault::Churn => churn::begin(self, &mut active)?,
            Fault::Clock => clock::set(self, &mut active)?,
        }
        Ok(active)
    }

    /// Takes a fault back and says whether it had an effect.
    pub(crate) fn heal(&mut self, active: Active) -> Result<Proof, NemesisFault> {
        let early = active.proof.clone();
        let late = match active.fault {
            Fault::Kill | Fault::Stop => process::start_again(self, &active)?,
            Fault::Restart => None,
            Fault::Pause => process::resume(self, &active)?,
            Fault::Partition
            | Fault::Delay
            | Fault::Loss
            | Fault::Duplicate
            | Fault::Reorder
            | Fault::Bandwidth => link::restore(self, &active),
            Fault::Storm => storm::end(active)?,
            Fault::PowerLoss => power::restore(self, &active)?,
            Fault::DiskFull => disk::empty(self, &active)?,
            Fault::SlowDisk | Fault::Cpu | Fault::Memory => limits::lift(self, &active)?,
            Fault::DeadDisk => disk::revive(self, &active)?,
            Fault::CorruptAtRest => None,
            Fault::Files => limits::lift_files(&active)?,
            Fault::Drain => drain::end(self, &active)?,
            Fault::Churn => churn::end(active)?,
            Fault::Clock => clock::set_right(self, active)?,
        };
        Ok(match (early, late) {
            (Some(Ok(first)), Some(Ok(second))) => Ok(format!("{first}; {second}")),
            (Some(Err(doubt)), _) | (_, Some(Err(doubt))) => Err(doubt),
            (Some(Ok(proof)), None) | (None, Some(Ok(proof))) => Ok(proof),
            (None, None) => Err("nothing was observed".into()),
        })
    }

    /// Resolved cut of a text that was checked when the scenario was read.
    pub(crate) fn cut_links(
        cut: &Cut,
        cluster: &crate::scenario::Cluster,
        chance: &mut Stream,
    ) -> BTreeSet<(u32, u32)> {
        cut.resolve(cluster, chance)
    }

    /// Runs something on the clients' host.
    pub(crate) fn at_clients<T: Send>(&self, work: impl FnOnce(&World) -> T + Send) -> T {
        match &self.network {
            Some(network) => network.hosts[0].enter(|| work(self)),
            None => work(self),
        }
    }

    /// A node that is down cannot be killed again, and its disk may be away.
    fn within_reach(&mut self, fault: Fault, victims: Victims) -> Victims {
        if fault.is_between_hosts() {
            return victims;
        }
        let nodes = victims.nodes.into_iter();
        let nodes = nodes.filter(|node| {
            !self.target.node(*node).is_held() && self.target.node(*node).is_running()
        });
        Victims {
            nodes: nodes.collect(),
            links: victims.links,
        }
    }
}

impl Active {
    fn node_fault(what: &'static str, node: u32) -> impl FnOnce(io::Error) -> NemesisFault {
        move |source| NemesisFault::Node { what, node, source }
    }
}
