//! Moves packets between the hosts, and loses, delays, doubles and reorders them as the links say.
//!
//! Chance comes from one seeded stream for each directed link, so that a run's dice can be thrown again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host::{Host, address_of};
use super::link::{Link, Links, Tally};
use crate::seed::Stream;

/// Larger than any packet of a device with the usual limit of 1,500 bytes.
const PACKET_BYTES_MAX: usize = 65_536;
/// Packets on their way; further ones are lost, as in any full queue.
const IN_FLIGHT_MAX: usize = 1 << 16;
/// How long a reordered packet is held back at least: long enough for a few others to pass.
const REORDER_HOLD: Duration = Duration::from_millis(10);
const MILLION: u64 = 1_000_000;

/// The switch's thread; dropping the handle ends it.
#[derive(Debug)]
pub(crate) struct Switch {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    pub(super) fn start(hosts: &[Host], links: Arc<Links>, seed: u64) -> io::Result<Switch> {
        let devices = hosts.iter().map(|host| host.device.try_clone());
        let devices = devices.collect::<io::Result<Vec<File>>>()?;
        let (stopped, stop) = io::pipe()?;
        let mut state = State::new(devices, links, seed);
        let thread = thread::Builder::new()
            .name("switch".into())
            .spawn(move || state.run(&stopped))?;
        Ok(Switch {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the switch has shown in the run already: nothing passed any more.
            let _ = thread.join();
        }
    }
}

struct State {
    devices: Vec<File>,
    links: Arc<Links>,
    chances: Vec<Stream>,
    /// When each link has sent what it was given, if it has a bandwidth.
    free_at: Vec<Instant>,
    in_flight: BinaryHeap<Reverse<Packet>>,
    serial: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Instant,
    /// Keeps packets with the same time in order.
    serial: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl State {
    fn new(devices: Vec<File>, links: Arc<Links>, seed: u64) -> State {
        let count = devices.len();
        let chances = (0..count * count).map(|link| Stream::new(seed, &format!("link {link}")));
        State {
            chances: chances.collect(),
            free_at: vec![Instant::now(); count * count],
            devices,
            links,
            in_flight: BinaryHeap::new(),
            serial: 0,
        }
    }

    fn run(&mut self, stopped: &PipeReader) {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        loop {
            let ready = match self.wait(stopped) {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            let Some(ready) = ready else {
                return;
            };
            for from in ready {
                self.drain(from, &mut packet);
            }
            self.deliver();
        }
    }

    /// The devices with packets, or `None` at the end.
    fn wait(&self, stopped: &PipeReader) -> rustix::io::Result<Option<Vec<usize>>> {
        let mut polled: Vec<PollFd<'_>> = self
            .devices
            .iter()
            .map(|device| PollFd::new(device, PollFlags::IN))
            .collect();
        polled.push(PollFd::new(stopped, PollFlags::IN));
        let next = self.in_flight.peek().map(|Reverse(packet)| {
            let wait = packet.due.saturating_duration_since(Instant::now());
            Timespec::try_from(wait).expect("packets are due soon")
        });
        poll(&mut polled, next.as_ref())?;
        let is_stopped = !polled[self.devices.len()].revents().is_empty();
        let ready = polled[..self.devices.len()].iter().enumerate();
        let ready = ready.filter(|(_, device)| device.revents().contains(PollFlags::IN));
        Ok((!is_stopped).then(|| ready.map(|(from, _)| from).collect()))
    }

    fn drain(&mut self, from: usize, buffer: &mut [u8]) {
        /// Others wait too.
        const PACKETS_A_TURN: u32 = 64;
        for _ in 0..PACKETS_A_TURN {
            let Ok(len) = (&self.devices[from]).read(buffer) else {
                return;
            };
            if let Some(to) = self.destination(&buffer[..len]) {
                self.accept(from, to, &buffer[..len]);
            }
        }
    }

    /// The host whose address an IPv4 packet names.
    fn destination(&self, packet: &[u8]) -> Option<usize> {
        const VERSION_4: u8 = 4;
        if packet.first()? >> 4 != VERSION_4 {
            return None;
        }
        let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
        (0..self.devices.len()).find(|host| {
            let host = u32::try_from(*host).expect("a run has few hosts");
            address_of(host).octets() == address
        })
    }

    fn accept(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let links = Arc::clone(&self.links);
        let place = from * self.devices.len() + to;
        let link = links.of(
            u32::try_from(from).expect("a run has few hosts"),
            u32::try_from(to).expect("a run has few hosts"),
        );
        if link.is_cut() {
            return link.tally(Tally::Cut);
        }
        let chance = &mut self.chances[place];
        // Four throws for each packet, whatever is set, so that one fault does not move another one's dice.
        let [lost, doubled, late, jitter] = [(); 4].map(|()| chance.fraction());
        if happens(lost, &link.loss_ppm) || self.in_flight.len() >= IN_FLIGHT_MAX {
            return link.tally(Tally::Lost);
        }
        let now = Instant::now();
        let mut due = self.after_bandwidth(place, link, now, bytes.len()) + link.delay(jitter);
        if happens(late, &link.reorder_ppm) {
            due += REORDER_HOLD;
            link.tally(Tally::Reordered);
        }
        if due > now {
            link.tally(Tally::Delayed);
        }
        link.tally(Tally::Passed);
        if happens(doubled, &link.duplicate_ppm) {
            link.tally(Tally::Duplicated);
            self.queue(due, to, bytes);
        }
        self.queue(due, to, bytes);
    }

    fn after_bandwidth(
        &mut self,
        place: usize,
        link: &Link,
        now: Instant,
        bytes: usize,
    ) -> Instant {
        let rate = link.bytes_per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return now;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let free_at = self.free_at[place].max(now) + takes;
        self.free_at[place] = free_at;
        free_at
    }

    fn queue(&mut self, due: Instant, to: usize, bytes: &[u8]) {
        self.serial += 1;
        self.in_flight.push(Reverse(Packet {
            due,
            serial: self.serial,
            to,
            bytes: bytes.to_vec(),
        }));
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(packet)) = self.in_flight.peek()
            && packet.due <= now
        {
            let Some(Reverse(packet)) = self.in_flight.pop() else {
                return;
            };
            // A full device loses packets, as real ones do.
            let _ = (&self.devices[packet.to]).write(&packet.bytes);
        }
    }
}

fn happens(throw: f64, ppm: &AtomicU64) -> bool {
    throw < ppm.load(Ordering::Relaxed) as f64 / MILLION as f64
}
