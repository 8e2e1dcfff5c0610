//! A second, tiny process that watches this one. Whoever is stopped, traced or busy dumping its memory keeps its
//! connections open and says nothing, and clients wait for it by their own long timeouts although others lead by now.
//! The guard hears the node's beat. When that stays away, the guard hangs up on the node's clients and answers the door
//! only to shut it again, until the node runs on.

mod sockets;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PTracer, Pid, set_ptracer};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::limits::{GUARD_BEAT, GUARD_LOOK};
use sockets::Door;

/// What a guard is told on its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ward {
    /// The process that is watched.
    pub process: i32,
    /// Where it listens for clients.
    pub port: u16,
    /// Silence after which others take over.
    pub silence: Duration,
}

/// The guard of this process; it ends when this process does.
pub(crate) struct Guard {
    process: Child,
    beats: OwnedFd,
}

impl Guard {
    /// Starts the guard of a node that listens for clients at `kafka`.
    pub(crate) fn start(kafka: SocketAddr, silence: Duration) -> io::Result<Guard> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("guard")
            .args(["--process", &std::process::id().to_string()])
            .args(["--port", &kafka.port().to_string()])
            .args(["--silence-ms", &silence.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let beats = OwnedFd::from(process.stdin.take().expect("the pipe was asked for"));
        // A guard that does not read must not stop the node.
        rustix::io::ioctl_fionbio(&beats, true)?;
        let guard = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        // Where only ancestors may take descriptors, others have to be named; elsewhere this is refused and not needed.
        let named = guard.map(|guard| set_ptracer(PTracer::ProcessID(guard)));
        debug!(guard = process.id(), ?named, "the guard watches");
        Ok(Guard { process, beats })
    }

    /// Beats for as long as there is a guard: without one the node runs on.
    pub(crate) async fn beat(mut self) {
        let mut beat = interval(GUARD_BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            match rustix::io::write(&self.beats, &[1]) {
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let ended = self.process.try_wait();
        warn!(
            ?ended,
            "the guard is gone: should this process freeze, clients wait for it by their own timeouts"
        );
    }
}

/// The guard's own life, until the node's end of the pipe is closed.
pub fn keep(ward: Ward) -> io::Result<()> {
    let beats = io::stdin();
    let mut silence = Silence::default();
    loop {
        let begun = Instant::now();
        match hear(&beats)? {
            Heard::End => return Ok(()),
            Heard::Beat => silence = Silence::default(),
            Heard::Nothing => silence.lasts(begun.elapsed()),
        }
        if silence.0 >= ward.silence {
            Door::of(ward)?.shut()?;
        }
    }
}

enum Heard {
    Beat,
    Nothing,
    End,
}

/// Listens for a moment.
fn hear(beats: &io::Stdin) -> io::Result<Heard> {
    let mut look = [PollFd::new(beats, PollFlags::IN)];
    let moment = Timespec::try_from(GUARD_LOOK).expect("it is a moment");
    match poll(&mut look, Some(&moment)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Heard::Nothing),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(match rustix::io::read(beats, &mut [0; 64])? {
        0 => Heard::End,
        _ => Heard::Beat,
    })
}

/// For how long nothing was heard.
#[derive(Clone, Copy, Debug, Default)]
struct Silence(Duration);

impl Silence {
    /// A look in vain counts if it took as long as it should: on a machine that gives the guard no time, the node may
    /// get none either, and is as well as it can be.
    fn lasts(&mut self, look: Duration) {
        if look < 2 * GUARD_LOOK {
            self.0 += GUARD_LOOK;
        }
    }
}
