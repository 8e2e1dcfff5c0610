//! A connection to one node's operators' door, with a bound on everything.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, Uri};

use crate::error::{AdminError, Code};
use crate::v1::cluster_client::ClusterClient;
use crate::v1::configs_client::ConfigsClient;
use crate::v1::groups_client::GroupsClient;
use crate::v1::node_client::NodeClient;
use crate::v1::placement_client::PlacementClient;
use crate::v1::raft_client::RaftClient;
use crate::v1::snapshots_client::SnapshotsClient;
use crate::v1::topics_client::TopicsClient;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connect: Duration,
    /// Each call, from its first byte to the last of its answer.
    pub call: Duration,
}

/// One node, connected.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    origin: Uri,
    bounds: Bounds,
    channel: Channel,
}

/// The HTTP/2 connection in the form that generated clients want.
#[derive(Clone, Debug)]
pub struct Channel {
    sender: SendRequest<Body>,
}

/// What happens, as it comes.
pub type Events = tonic::Streaming<crate::v1::ClusterEvent>;

/// Answers may name every group of a large cluster.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A method for each service, over the same connection.
macro_rules! services {
    ($($name:ident: $client:ident,)+) => {
        impl Client {
            $(pub fn $name(&self) -> $client<Channel> {
                $client::with_origin(self.channel.clone(), self.origin.clone())
                    .max_decoding_message_size(MAX_ANSWER_BYTES)
            })+
        }
    };
}

services! {
    node: NodeClient,
    cluster: ClusterClient,
    raft: RaftClient,
    placement: PlacementClient,
    topics: TopicsClient,
    configs: ConfigsClient,
    groups: GroupsClient,
    snapshots: SnapshotsClient,
}

impl Client {
    /// Connects to `HOST:PORT`.
    pub async fn connect(address: &str, bounds: Bounds) -> Result<Client, AdminError> {
        let unreachable = |why: String| {
            AdminError::new(
                Code::Unreachable,
                format!("{address} cannot be reached: {why}"),
            )
        };
        let dial = async {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| unreachable(error.to_string()))?;
            // A call is one small packet: it must not wait for a second one.
            stream
                .set_nodelay(true)
                .map_err(|error| unreachable(error.to_string()))?;
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| unreachable(error.to_string()))
        };
        let (sender, connection) = timeout(bounds.connect, dial)
            .await
            .map_err(|_| unreachable(format!("no connection within {:?}", bounds.connect)))??;
        // It ends when the last sender is dropped; its error reaches whoever waits for an answer.
        tokio::spawn(connection);
        let origin = format!("http://{address}").parse().map_err(|_| {
            AdminError::new(Code::InvalidArgument, format!("{address} is no HOST:PORT"))
        })?;
        Ok(Client {
            address: address.to_owned(),
            origin,
            bounds,
            channel: Channel { sender },
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// A request of the HTTP mirror, over the same connection: the status and the body of the answer.
    pub async fn http(
        &self,
        verb: &str,
        path: &str,
        body: String,
    ) -> Result<(u16, Bytes), AdminError> {
        let failed = |why: &dyn std::fmt::Display| {
            AdminError::new(Code::Unreachable, format!("{}: {why}", self.address))
        };
        let request = Request::builder()
            .method(verb)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .body(Body::new(Full::new(Bytes::from(body))))
            .map_err(|error| AdminError::new(Code::InvalidArgument, error.to_string()))?;
        let mut sender = self.channel.sender.clone();
        let ask = async move {
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        match timeout(self.bounds.call, ask).await {
            Ok(answer) => answer.map_err(|error| failed(&error)),
            Err(_) => Err(failed(&format!("no answer within {:?}", self.bounds.call))),
        }
    }

    /// Waits for an answer, but not for ever.
    pub async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, AdminError> {
        match timeout(self.bounds.call, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(status.into()),
            Err(_) => {
                let (address, bound) = (&self.address, self.bounds.call);
                let message = format!("{address} did not answer within {bound:?}");
                Err(AdminError::new(Code::Deadline, message))
            }
        }
    }
}

impl tower_service::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
