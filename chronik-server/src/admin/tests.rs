//! The door as an operator's tools use it: over a socket.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use chronik_core::ids::NodeId;

use super::*;
use crate::logging::LogControl;

/// A served door and the handles that steer it.
struct Door {
    address: SocketAddr,
    readiness: watch::Sender<Readiness>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Door {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (readiness, receiver) = watch::channel(Readiness::starting());
        let metrics = Arc::new(Metrics::default());
        let (stop, stopped) = oneshot::channel();
        let state = State {
            metrics: metrics.clone(),
            readiness: receiver.clone(),
            desk: Arc::new(Desk::new(
                about(),
                metrics.clone(),
                receiver,
                LogControl::silent(),
            )),
        };
        let served = tokio::spawn(serve(listener, state, async move {
            let _ = stopped.await;
        }));
        Self {
            address,
            readiness,
            metrics,
            stop,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("the door is open")
    }

    /// Sends a request and returns the whole answer.
    async fn ask(&self, request_line: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("{request_line} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("taken");
        read_all(&mut stream).await
    }
}

fn about() -> About {
    let address = "127.0.0.1:0".to_owned();
    About {
        node: NodeId(1),
        kafka_address: address.clone(),
        peer_address: address.clone(),
        admin_address: address,
        rack: None,
        data_dir: ".".into(),
        settings: Vec::new(),
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is the other side's way to close, not a failure.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn every_route_answers() {
    let door = Door::open().await;
    door.metrics.produce.records.add(7);
    assert!(door.ask("GET /healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(door.ask("GET /").await.contains("/readyz"));
    let metrics = door.ask("GET /metrics").await;
    assert!(metrics.contains("text/plain; version=0.0.4"));
    assert!(metrics.contains("chronik_produce_records_total 7\n"));
    let head = door.ask("HEAD /healthz").await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn readiness_follows_the_node() {
    let door = Door::open().await;
    let starting = door.ask("GET /readyz").await;
    assert!(starting.starts_with("HTTP/1.1 503 "));
    assert!(starting.contains("\"ready\":false") && starting.contains("the node starts"));
    door.readiness.send_replace(Readiness::serving());
    assert!(door.ask("GET /readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn refusals_are_json_with_a_hint() {
    let door = Door::open().await;
    let missing = door.ask("GET /nothing").await;
    assert!(missing.starts_with("HTTP/1.1 404 "));
    for part in [
        "\"code\":\"NOT_FOUND\"",
        "\"hint\":",
        "\"message\":",
        "\"retryable\":false",
    ] {
        assert!(missing.contains(part), "{part}: {missing}");
    }
    let posted = door.ask("POST /metrics").await;
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD"));
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let door = Door::open().await;
    let path = "a".repeat(crate::limits::ADMIN_BUFFER_BYTES);
    let answer = door.ask(&format!("GET /{path}")).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let door = Door::open().await;
    let mut held = Vec::new();
    for _ in 0..crate::limits::ADMIN_CONNECTIONS {
        let mut stream = door.connect().await;
        // An answer proves that this connection has its permit.
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n")
            .await
            .expect("taken");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        held.push(stream);
    }
    assert_eq!(read_all(&mut door.connect().await).await, "");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut_off() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\n")
        .await
        .expect("taken");
    let answer = read_all(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
}

#[tokio::test]
async fn the_door_closes_when_told() {
    let door = Door::open().await;
    assert!(door.ask("GET /").await.starts_with("HTTP/1.1 200 "));
    door.stop.send(()).expect("the door listens");
    door.served.await.expect("no panic").expect("no error");
    TcpStream::connect(door.address).await.expect_err("closed");
}

#[tokio::test]
async fn a_node_that_starts_says_so_to_every_question() {
    let door = Door::open().await;
    let status = door.ask("GET /v1/node/status").await;
    assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
    assert!(status.contains("\"ready\":false"), "{status}");
    let cluster = door.ask("GET /v1/cluster/view").await;
    assert!(cluster.starts_with("HTTP/1.1 503 "), "{cluster}");
    assert!(cluster.contains("\"code\":\"NOT_READY\"") && cluster.contains("\"retryable\":true"));
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_with_a_hint() {
    let door = Door::open().await;
    let unknown = door.ask("GET /v1/raft/status?colour=blue").await;
    assert!(unknown.starts_with("HTTP/1.1 400 "), "{unknown}");
    assert!(unknown.contains("/openapi.json"));
    let read = door.ask("GET /v1/raft/step-down").await;
    assert!(
        read.starts_with("HTTP/1.1 405 ") && read.contains("allow: POST"),
        "{read}"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let door = Door::open().await;
    let document = door.ask("GET /openapi.json").await;
    assert!(document.contains("\"openapi\":\"3.1.0\"") && document.contains("/v1/raft/status"));
}
