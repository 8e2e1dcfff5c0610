//! A proxy in front of a broker that lies about records, once, in a way that every checksum of the wire survives.
//!
//! Consumers do not check batch checksums by default, so a changed payload reaches them as it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chronik_local::{ChronikOptions, free_port};

use crate::support::{Broker, server, test_dir};

/// The first bytes of a payload's header.
const MAGIC: &[u8] = b"CHK\x01";
/// As the test asks for.
const PAYLOAD_BYTES: usize = 100;
/// A frame longer than this is none of ours.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What the proxy does to the first fetched records it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    FlipBit,
    /// A record is replaced by one that nobody knows.
    LoseRecord,
    /// A record is replaced by the one before it.
    RepeatRecord,
    SwapRecords,
}

/// Ends with the test's process; its threads wait in reads only.
pub(super) struct Proxy;

/// A broker that tells its clients to connect to a lying proxy.
pub(super) fn start(lie: Lie) -> (Broker, Proxy) {
    let dir = test_dir();
    let port = free_port().expect("a free port");
    let node = ChronikOptions::new(server(), dir.path())
        .with("kafka.advertised", &format!("127.0.0.1:{port}"))
        .start()
        .expect("a broker");
    let broker = node.kafka_address();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the free port");
    let has_lied = Arc::new(AtomicBool::new(lie == Lie::None));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            serve(client, broker, lie, &has_lied);
        }
    });
    (Broker::of(node, dir), Proxy)
}

fn serve(client: TcpStream, broker: SocketAddr, lie: Lie, has_lied: &Arc<AtomicBool>) {
    let Ok(upstream) = TcpStream::connect(broker) else {
        return;
    };
    let (mut client_reads, mut upstream_writes) = (
        client.try_clone().expect("a second handle"),
        upstream.try_clone().expect("a second handle"),
    );
    thread::spawn(move || {
        // Requests pass unchanged; whoever hangs up ends both directions.
        let _ = std::io::copy(&mut client_reads, &mut upstream_writes);
        let _ = upstream_writes.shutdown(std::net::Shutdown::Both);
    });
    let has_lied = Arc::clone(has_lied);
    thread::spawn(move || {
        let _ = answer(upstream, &client, lie, &has_lied);
        let _ = client.shutdown(std::net::Shutdown::Both);
    });
}

/// Passes whole frames on, because a payload must not be cut.
fn answer(
    mut upstream: TcpStream,
    mut client: &TcpStream,
    lie: Lie,
    has_lied: &AtomicBool,
) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        upstream.read_exact(&mut length)?;
        let bytes = u32::from_be_bytes(length) as usize;
        assert!(bytes <= FRAME_BYTES_MAX, "a frame of {bytes} bytes");
        let mut frame = vec![0; bytes];
        upstream.read_exact(&mut frame)?;
        if !has_lied.load(Ordering::SeqCst) && tell(lie, &mut frame) {
            has_lied.store(true, Ordering::SeqCst);
        }
        client.write_all(&length)?;
        client.write_all(&frame)?;
    }
}

/// Changes the frame if it holds enough records.
fn tell(lie: Lie, frame: &mut [u8]) -> bool {
    let places: Vec<usize> = frame
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == MAGIC)
        .map(|(at, _)| at)
        .filter(|at| at + PAYLOAD_BYTES <= frame.len())
        .collect();
    let [first, second, ..] = places[..] else {
        return false;
    };
    match lie {
        Lie::None => {}
        Lie::FlipBit => frame[second + PAYLOAD_BYTES - 1] ^= 0x10,
        Lie::LoseRecord => frame[second..second + PAYLOAD_BYTES].fill(b'?'),
        Lie::RepeatRecord => frame.copy_within(first..first + PAYLOAD_BYTES, second),
        Lie::SwapRecords => {
            let (head, tail) = frame.split_at_mut(second);
            head[first..first + PAYLOAD_BYTES].swap_with_slice(&mut tail[..PAYLOAD_BYTES]);
        }
    }
    true
}
