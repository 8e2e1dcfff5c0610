//! The admin API as gRPC: each method unpacks a question, asks the desk, and packs the answer.

use std::sync::Arc;

use chronik_admin::v1::cluster_server::{Cluster, ClusterServer};
use chronik_admin::v1::configs_server::{Configs, ConfigsServer};
use chronik_admin::v1::groups_server::{Groups, GroupsServer};
use chronik_admin::v1::node_server::{Node, NodeServer};
use chronik_admin::v1::placement_server::{Placement, PlacementServer};
use chronik_admin::v1::raft_server::{Raft, RaftServer};
use chronik_admin::v1::snapshots_server::{Snapshots, SnapshotsServer};
use chronik_admin::v1::topics_server::{Topics, TopicsServer};
use chronik_admin::v1::*;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tonic::body::Body;
use tonic::{Response as Reply, Status};
use tower_service::Service;

use super::calls::for_each_call;
use super::desk::Desk;
use crate::limits;

/// Answers one gRPC request.
pub(super) async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Response<Body> {
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let desk = Door(desk);
    let most = limits::ADMIN_BODY_BYTES;
    macro_rules! serve {
        ($server:ident, $most:expr) => {
            $server::new(desk)
                .max_decoding_message_size($most)
                .call(request)
                .await
        };
    }
    let answer = match service {
        "chronik.admin.v1.Node" => serve!(NodeServer, most),
        "chronik.admin.v1.Cluster" => serve!(ClusterServer, most),
        "chronik.admin.v1.Raft" => serve!(RaftServer, most),
        "chronik.admin.v1.Placement" => serve!(PlacementServer, limits::ADMIN_PLAN_BYTES),
        "chronik.admin.v1.Topics" => serve!(TopicsServer, most),
        "chronik.admin.v1.Configs" => serve!(ConfigsServer, most),
        "chronik.admin.v1.Groups" => serve!(GroupsServer, most),
        "chronik.admin.v1.Snapshots" => serve!(SnapshotsServer, most),
        _ => Ok(Status::unimplemented("there is no such service").into_http()),
    };
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

struct Door(Arc<Desk>);

/// Everything is one object but what happens in a cluster, which has no end, and a snapshot, which comes in pieces.
macro_rules! implement {
    ($($service:ident {
        $($name:ident: $rpc:ident($question:ident) -> $answer:ident = $verb:ident;)+
    })+) => {
        $(implement!(@one $service { $($rpc($question) -> $answer = $verb;)+ });)+
    };
    (@one Cluster { $($row:tt)+ }) => {
        implement!(@service Cluster { $($row)+ } {
            type EventsStream = BoxStream<'static, Result<ClusterEvent, Status>>;

            async fn events(
                &self,
                request: tonic::Request<EventsRequest>,
            ) -> Result<Reply<Self::EventsStream>, Status> {
                let events = self.0.events().follow(&request.into_inner());
                Ok(Reply::new(events.map(Ok).boxed()))
            }
        });
    };
    (@one Snapshots { $($row:tt)+ }) => {
        implement!(@service Snapshots { $($row)+ } {
            type DownloadStream = BoxStream<'static, Result<SnapshotChunk, Status>>;

            async fn download(
                &self,
                request: tonic::Request<SnapshotDownloadRequest>,
            ) -> Result<Reply<Self::DownloadStream>, Status> {
                let chunks = self.0.clone().snapshot_download(request.into_inner());
                Ok(Reply::new(chunks.map_err(Status::from).boxed()))
            }
        });
    };
    (@one $service:ident { $($row:tt)+ }) => {
        implement!(@service $service { $($row)+ } {});
    };
    (@service $service:ident {
        $($rpc:ident($question:ident) -> $answer:ident = $verb:ident;)+
    } { $($more:tt)* }) => {
        #[tonic::async_trait]
        impl $service for Door {
            $(async fn $rpc(
                &self,
                request: tonic::Request<$question>,
            ) -> Result<Reply<$answer>, Status> {
                Ok(Reply::new(self.0.$verb(request.into_inner()).await?))
            })+

            $($more)*
        }
    };
}

for_each_call!(implement);
