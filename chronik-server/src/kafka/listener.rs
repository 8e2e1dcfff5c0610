//! Accepts clients: one permit per connection, every connection's task owned here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Door, connection, stopped};
use crate::metrics::Closing;

/// What accepting waits after an error: out of file descriptors is not cured by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take to notice that it was hung up on.
const LINGER: Duration = Duration::from_secs(1);
/// What is read at once of requests that come too late.
const DISCARDED_BYTES: usize = 4 << 10;

/// Files that are no client's: the log's segments, other doors.
const OTHER_FILES: u64 = 512;

/// Accepts and serves connections until `stopping` turns true and the last connection has been drained.
pub async fn serve(listener: TcpListener, door: Arc<Door>, mut stopping: watch::Receiver<bool>) {
    allow_files(door.limits.connections);
    let permits = Arc::new(Semaphore::new(
        door.limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let for_connections = stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = accept(&listener, &permits) => match accepted {
                Ok(accepted) => _ = connections.spawn(handle(door.clone(), accepted, for_connections.clone())),
                Err(error) => {
                    warn!(%error, "cannot accept a Kafka connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    let permit = permits.clone().try_acquire_owned().ok();
    Ok(Accepted {
        stream,
        peer,
        permit,
    })
}

async fn handle(door: Arc<Door>, accepted: Accepted, stopping: watch::Receiver<bool>) {
    let Accepted {
        mut stream,
        peer,
        permit,
    } = accepted;
    let metrics = &door.metrics().kafka;
    let Some(_permit) = permit else {
        // Closed at once: a client that is told so tries another node, one that is left in the backlog hangs.
        debug!(%peer, "too many connections");
        metrics.closed.at(Closing::Refused).increment();
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "connection lost before it began");
        return;
    }
    metrics.accepted.increment();
    metrics.connections.add(1);
    let served = connection::serve(door.clone(), stream.split(), peer, stopping).await;
    metrics.connections.add(-1);
    match served {
        Ok(ending) => {
            metrics.closed.at(ending).increment();
            if ending != Closing::Client {
                hang_up(stream).await;
            }
        }
        Err(reason) => {
            debug!(%peer, %reason, "connection closed");
            metrics.closed.at(reason.closing()).increment();
        }
    }
}

/// Ends a connection so that the client gets all its answers. Closing it while requests wait to be read resets it, and
/// what the client has not taken yet is lost with it.
async fn hang_up(mut stream: TcpStream) {
    let mut unread = [0; DISCARDED_BYTES];
    let discard = async {
        if stream.shutdown().await.is_ok() {
            while matches!(stream.read(&mut unread).await, Ok(1..)) {}
        }
    };
    // Whoever goes on sending after that gets its reset.
    _ = timeout(LINGER, discard).await;
}

/// Every connection is an open file, and the usual soft limit is a tenth of what the node is meant to bear.
fn allow_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the limit of open files stays as it was");
    }
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if allowed < connections as u64 + OTHER_FILES {
        warn!(
            allowed,
            connections, "fewer open files are allowed than limits.connections may need"
        );
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // The panic itself was logged by the panic hook; its connection is gone, the node is not.
        warn!(%error, "a connection's task failed");
    }
}
