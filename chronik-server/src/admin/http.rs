//! Connections of the operators' door, HTTP/1 and HTTP/2 alike: few, short and small, whatever the other side does.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use chronik_admin::Method;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tracing::{debug, warn};

use super::gate::{Caller, Passage};
use super::routes::{self, Answer};
use super::{State, grpc};
use crate::limits;

/// Answers requests until told to stop, then lets answers in progress leave.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A connection too many is closed at once: one that waits would look like a dead node.
                    if let Ok(permit) = permits.clone().try_acquire_owned() {
                        connections.spawn(converse(stream, state.clone(), stopping.clone(), permit));
                    }
                }
                Err(error) => {
                    warn!(%error, "cannot accept an admin connection");
                    // Out of file descriptors is not cured by trying at once.
                    sleep(limits::ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Who is not done by then is cut off with the set.
    let _ = timeout(limits::ADMIN_DRAIN, drained).await;
    Ok(())
}

async fn converse(
    stream: TcpStream,
    state: State,
    mut stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // An answer is several small packets: none waits for the acknowledgement of another. If it fails, they do.
    _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(state.clone(), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_HEADER_TIMEOUT)
        .max_headers(limits::ADMIN_HEADERS)
        .max_buf_size(limits::ADMIN_BUFFER_BYTES);
    builder
        .http2()
        .max_concurrent_streams(limits::ADMIN_STREAMS)
        .max_header_list_size(limits::ADMIN_BUFFER_BYTES as u32);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let conversation = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    match timeout(limits::ADMIN_CONNECTION_LIFETIME, conversation).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "admin connection failed"),
        Err(_) => debug!("admin connection lived too long"),
    }
}

/// Both ways to a method lead through the gate.
async fn respond(state: State, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let headers = request.headers();
    let content_type = headers.get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let path = request.uri().path();
    let method = match is_grpc {
        true => Method::at_grpc(path),
        false => Method::at(path),
    };
    let passage = method.map(|method| Passage::open(Caller::of(headers), method, headers));
    let passage = match (passage.transpose(), is_grpc) {
        (Ok(passage), _) => passage,
        (Err(refusal), true) => return Ok(Status::from(refusal).into_http()),
        (Err(refusal), false) => return Ok(routes::refuse(&refusal)),
    };
    let mut answer = match (is_grpc, method) {
        (true, _) => grpc::answer(state.desk.clone(), request).await,
        (false, Some(method)) => routes::call(&state, method, request).await,
        (false, None) => routes::page(&state, &request).await,
    };
    if let Some(passage) = passage {
        passage.mark(&mut answer);
    }
    Ok(answer)
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // The panic itself was logged by the panic hook; its connection is gone, the node is not.
        warn!(%error, "an admin connection's task failed");
    }
}
