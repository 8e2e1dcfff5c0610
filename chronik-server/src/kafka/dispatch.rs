//! From a frame to a handler: one table of APIs gives the decoder and the dispatcher.

use std::future::Future;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use tracing::error;

use super::api::{self, fetch::FetchRequest, produce::ProduceRequest};
use super::call::Call;
use super::header::{Header, Opening};
use super::response::{Response, Unencodable};
use super::versions;
use super::walker::{self, WalkError};
use super::wire::WireError;

/// A request that may be served: every count in it is backed by bytes.
#[derive(Debug)]
pub struct Request {
    pub(super) header: Header,
    body: Body,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Respond(Response),
    /// Produce with acks=0 is not answered.
    Silent,
    Close(CloseReason),
}

/// Why a request costs its connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
    #[error("a produce with acks=0 failed, and closing is the only way to tell")]
    UnansweredFailure,
}

/// Why a frame is not a request. The connection is closed, because the bytes after it cannot be trusted either.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("API {key} version {version} is not served")]
    NotServed { key: i16, version: i16 },
    #[error("malformed header: {0}")]
    Header(#[source] BadBytes),
    #[error("malformed body of API {key} version {version}: {source}")]
    Body {
        key: i16,
        version: i16,
        source: BadBytes,
    },
}

/// What is wrong with bytes from the network.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadBytes(String);

pub(super) type Reply = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Every API of the generated codec: its name, its request, and the function that answers it.
macro_rules! apis {
    ($($api:ident($request:ident) => $module:ident::$handle:ident,)*) => {
        #[derive(Debug)]
        pub(super) enum Body {
            Produce(ProduceRequest),
            Fetch(FetchRequest),
            /// `None`: the client asks in a version that this node does not know.
            ApiVersions(Option<Box<ApiVersionsRequest>>),
            $($api(Box<$request>),)*
        }

        impl Body {
            pub(super) fn api(&self) -> ApiKey {
                match self {
                    Body::Produce(_) => ApiKey::Produce,
                    Body::Fetch(_) => ApiKey::Fetch,
                    Body::ApiVersions(_) => ApiKey::ApiVersions,
                    $(Body::$api(_) => ApiKey::$api,)*
                }
            }
        }

        fn decode_generated(api: ApiKey, version: i16, body: &mut Bytes) -> Result<Body, BadBytes> {
            match api {
                $(ApiKey::$api => Ok(Body::$api(Box::new($request::decode(body, version).map_err(bad)?))),)*
                other => Err(BadBytes(format!("no decoder for {other:?}"))),
            }
        }

        /// Begins to serve a request. A produce is handed over before this returns: that keeps arrival order.
        pub(super) fn start(call: Call, body: Body) -> Reply {
            match body {
                Body::Produce(request) => api::produce::start(call, request),
                Body::Fetch(request) => Box::pin(api::fetch::handle(call, request)),
                Body::ApiVersions(request) => {
                    let response = api::api_versions::handle(call.version(), request.as_deref());
                    Box::pin(std::future::ready(respond(&call, &response)))
                }
                $(Body::$api(request) => Box::pin(async move {
                    let response = api::$module::$handle(&call, *request).await;
                    respond(&call, &response)
                }),)*
            }
        }

        #[cfg(test)]
        pub(super) const GENERATED: &[ApiKey] = &[$(ApiKey::$api,)*];
    };
}

apis! {
    ListOffsets(ListOffsetsRequest) => list_offsets::handle,
    Metadata(MetadataRequest) => metadata::handle,
    OffsetCommit(OffsetCommitRequest) => offset_commit::handle,
    OffsetFetch(OffsetFetchRequest) => offset_fetch::handle,
    FindCoordinator(FindCoordinatorRequest) => find_coordinator::handle,
    JoinGroup(JoinGroupRequest) => join_group::handle,
    Heartbeat(HeartbeatRequest) => heartbeat::handle,
    LeaveGroup(LeaveGroupRequest) => leave_group::handle,
    SyncGroup(SyncGroupRequest) => sync_group::handle,
    DescribeGroups(DescribeGroupsRequest) => describe_groups::handle,
    ListGroups(ListGroupsRequest) => list_groups::handle,
    CreateTopics(CreateTopicsRequest) => create_topics::handle,
    DeleteTopics(DeleteTopicsRequest) => delete_topics::handle,
    DeleteRecords(DeleteRecordsRequest) => delete_records::handle,
    InitProducerId(InitProducerIdRequest) => init_producer_id::handle,
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) => offset_for_leader_epoch::handle,
    DescribeAcls(DescribeAclsRequest) => acls::describe,
    CreateAcls(CreateAclsRequest) => acls::create,
    DeleteAcls(DeleteAclsRequest) => acls::delete,
    DescribeConfigs(DescribeConfigsRequest) => describe_configs::handle,
    AlterConfigs(AlterConfigsRequest) => alter_configs::handle,
    DescribeLogDirs(DescribeLogDirsRequest) => describe_log_dirs::handle,
    CreatePartitions(CreatePartitionsRequest) => create_partitions::handle,
    DeleteGroups(DeleteGroupsRequest) => delete_groups::handle,
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) => incremental_alter_configs::handle,
    ElectLeaders(ElectLeadersRequest) => elect_leaders::handle,
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest) => alter_partition_reassignments::handle,
    ListPartitionReassignments(ListPartitionReassignmentsRequest) => list_partition_reassignments::handle,
    OffsetDelete(OffsetDeleteRequest) => offset_delete::handle,
    DescribeQuorum(DescribeQuorumRequest) => describe_quorum::handle,
    DescribeCluster(DescribeClusterRequest) => describe_cluster::handle,
    UnregisterBroker(UnregisterBrokerRequest) => unregister_broker::handle,
}

impl Request {
    pub(super) fn into_parts(self) -> (Header, Body) {
        (self.header, self.body)
    }
}

/// Every API key and version that is served, for tests that try them all.
#[doc(hidden)]
pub fn served() -> impl Iterator<Item = (i16, i16)> {
    let rows = versions::ROWS.iter();
    rows.flat_map(|row| row.served.clone().map(|version| (row.api as i16, version)))
}

/// The first version of an API whose header and fields are flexible.
#[doc(hidden)]
pub fn flexible_from(key: i16) -> i16 {
    walker::schema(key).map_or(walker::NEWEST, |schema| schema.flexible_from)
}

/// The one door for bytes of the network: header, version, walk over the schema, decode.
pub fn decode(mut frame: BytesMut) -> Result<Request, Refused> {
    let opening = Opening::read(&frame).map_err(|error| Refused::Header(error.into()))?;
    let Opening { key, version, .. } = opening;
    let not_served = Refused::NotServed { key, version };
    let row = versions::find(key).ok_or(not_served)?;
    if !row.served.contains(&version) {
        return unknown_version(opening);
    }
    let flexible = walker::schema(key).is_some_and(|schema| version >= schema.flexible_from);
    let (header, header_bytes) = opening
        .complete(&frame, flexible)
        .map_err(|error| Refused::Header(error.into()))?;
    frame.advance(header_bytes);
    let body = decode_body(row.api, version, flexible, frame).map_err(|source| Refused::Body {
        key,
        version,
        source,
    })?;
    Ok(Request { header, body })
}

fn decode_body(
    api: ApiKey,
    version: i16,
    flexible: bool,
    mut frame: BytesMut,
) -> Result<Body, BadBytes> {
    walker::walk(api as i16, version, &frame)?;
    match api {
        ApiKey::Produce => Ok(Body::Produce(ProduceRequest::decode(flexible, &mut frame)?)),
        ApiKey::Fetch => Ok(Body::Fetch(FetchRequest::decode(
            version, flexible, &frame,
        )?)),
        other => {
            let mut body = frame.freeze();
            match other {
                ApiKey::ApiVersions => {
                    let request = ApiVersionsRequest::decode(&mut body, version).map_err(bad)?;
                    Ok(Body::ApiVersions(Some(Box::new(request))))
                }
                other => decode_generated(other, version, &mut body),
            }
        }
    }
}

/// KIP-511: a client that is too new for us learns what we speak; of any other API not even the layout is known.
fn unknown_version(opening: Opening) -> Result<Request, Refused> {
    let Opening {
        key,
        version,
        correlation_id,
    } = opening;
    if key != ApiKey::ApiVersions as i16 {
        return Err(Refused::NotServed { key, version });
    }
    let header = Header {
        key,
        version: 0,
        correlation_id,
        client_id: None,
    };
    Ok(Request {
        header,
        body: Body::ApiVersions(None),
    })
}

fn respond<T: Encodable + HeaderVersion>(call: &Call, response: &T) -> Outcome {
    match Response::encode(&call.header, response) {
        Ok(response) => Outcome::Respond(response),
        Err(error) => {
            error!(%error, "an answer cannot be encoded");
            Outcome::Close(error.into())
        }
    }
}

fn bad(error: impl std::fmt::Display) -> BadBytes {
    BadBytes(format!("{error:#}"))
}

impl From<WireError> for BadBytes {
    fn from(error: WireError) -> Self {
        bad(error)
    }
}

impl From<WalkError> for BadBytes {
    fn from(error: WalkError) -> Self {
        bad(error)
    }
}
