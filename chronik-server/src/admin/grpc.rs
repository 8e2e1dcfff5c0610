//! The admin API as gRPC: each method unpacks a question, asks the desk, and packs the answer.

use std::sync::Arc;

use chronik_admin::v1::cluster_server::{Cluster, ClusterServer};
use chronik_admin::v1::node_server::{Node, NodeServer};
use chronik_admin::v1::placement_server::{Placement, PlacementServer};
use chronik_admin::v1::raft_server::{Raft, RaftServer};
use chronik_admin::v1::snapshots_server::{Snapshots, SnapshotsServer};
use chronik_admin::v1::topics_server::{Topics, TopicsServer};
use chronik_admin::v1::{
    ApplyRequest, ClusterEvent, ClusterView, ClusterViewRequest, EventsRequest, Health,
    HealthRequest, LogLevel, NodeRemoved, NodeStatus, NodeStatusRequest, Operation, OperationList,
    OperationRequest, OperationsRequest, PlacementPlan, PlanRequest, RaftHistory,
    RaftHistoryRequest, RaftStatus, RaftStatusRequest, RemoveNodeRequest, SetLogLevelRequest,
    SnapshotChunk, SnapshotContent, SnapshotCreateRequest, SnapshotDeleteRequest, SnapshotDeleted,
    SnapshotDownloadRequest, SnapshotInspectRequest, SnapshotList, SnapshotListRequest,
    SnapshotVerification, SnapshotVerifyRequest, StepDownRequest, Throttle, ThrottleRequest, Topic,
    TopicDescribeRequest, TopicList, TopicListRequest, Transfer, TransferRequest, Verification,
    VerifyRequest,
};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tonic::body::Body;
use tonic::{Response as Reply, Status};
use tower_service::Service;

use super::desk::Desk;
use crate::limits;

/// Answers one gRPC request.
pub(super) async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Response<Body> {
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let desk = Door(desk);
    let most = limits::ADMIN_BODY_BYTES;
    let answer = match service {
        "chronik.admin.v1.Node" => {
            NodeServer::new(desk)
                .max_decoding_message_size(most)
                .call(request)
                .await
        }
        "chronik.admin.v1.Cluster" => {
            ClusterServer::new(desk)
                .max_decoding_message_size(most)
                .call(request)
                .await
        }
        "chronik.admin.v1.Raft" => {
            RaftServer::new(desk)
                .max_decoding_message_size(most)
                .call(request)
                .await
        }
        "chronik.admin.v1.Placement" => {
            PlacementServer::new(desk)
                .max_decoding_message_size(limits::ADMIN_PLAN_BYTES)
                .call(request)
                .await
        }
        "chronik.admin.v1.Snapshots" => {
            SnapshotsServer::new(desk)
                .max_decoding_message_size(most)
                .call(request)
                .await
        }
        "chronik.admin.v1.Topics" => {
            TopicsServer::new(desk)
                .max_decoding_message_size(most)
                .call(request)
                .await
        }
        _ => Ok(Status::unimplemented("there is no such service").into_http()),
    };
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

struct Door(Arc<Desk>);

#[tonic::async_trait]
impl Node for Door {
    async fn status(
        &self,
        _: tonic::Request<NodeStatusRequest>,
    ) -> Result<Reply<NodeStatus>, Status> {
        Ok(Reply::new(self.0.status().await))
    }

    async fn set_log_level(
        &self,
        request: tonic::Request<SetLogLevelRequest>,
    ) -> Result<Reply<LogLevel>, Status> {
        Ok(Reply::new(
            self.0.set_log_level(request.into_inner()).await?,
        ))
    }
}

#[tonic::async_trait]
impl Cluster for Door {
    async fn view(
        &self,
        _: tonic::Request<ClusterViewRequest>,
    ) -> Result<Reply<ClusterView>, Status> {
        Ok(Reply::new(self.0.cluster_view().await?))
    }

    async fn health(
        &self,
        request: tonic::Request<HealthRequest>,
    ) -> Result<Reply<Health>, Status> {
        Ok(Reply::new(self.0.health(request.into_inner()).await?))
    }

    type EventsStream = BoxStream<'static, Result<ClusterEvent, Status>>;

    async fn events(
        &self,
        request: tonic::Request<EventsRequest>,
    ) -> Result<Reply<Self::EventsStream>, Status> {
        let events = self.0.events().follow(&request.into_inner());
        Ok(Reply::new(events.map(Ok).boxed()))
    }
}

#[tonic::async_trait]
impl Placement for Door {
    async fn plan(
        &self,
        request: tonic::Request<PlanRequest>,
    ) -> Result<Reply<PlacementPlan>, Status> {
        Ok(Reply::new(self.0.plan(request.into_inner()).await?))
    }

    async fn apply(
        &self,
        request: tonic::Request<ApplyRequest>,
    ) -> Result<Reply<Operation>, Status> {
        Ok(Reply::new(self.0.apply(request.into_inner()).await?))
    }

    async fn operations(
        &self,
        request: tonic::Request<OperationsRequest>,
    ) -> Result<Reply<OperationList>, Status> {
        Ok(Reply::new(self.0.operations(request.into_inner()).await?))
    }

    async fn throttle(
        &self,
        request: tonic::Request<ThrottleRequest>,
    ) -> Result<Reply<Throttle>, Status> {
        Ok(Reply::new(self.0.throttle(request.into_inner()).await?))
    }

    async fn pause(
        &self,
        request: tonic::Request<OperationRequest>,
    ) -> Result<Reply<Operation>, Status> {
        Ok(Reply::new(self.0.pause(request.into_inner()).await?))
    }

    async fn resume(
        &self,
        request: tonic::Request<OperationRequest>,
    ) -> Result<Reply<Operation>, Status> {
        Ok(Reply::new(self.0.resume(request.into_inner()).await?))
    }

    async fn cancel(
        &self,
        request: tonic::Request<OperationRequest>,
    ) -> Result<Reply<Operation>, Status> {
        Ok(Reply::new(self.0.cancel(request.into_inner()).await?))
    }

    async fn rollback(
        &self,
        request: tonic::Request<OperationRequest>,
    ) -> Result<Reply<Operation>, Status> {
        Ok(Reply::new(self.0.roll_back(request.into_inner()).await?))
    }

    async fn verify(
        &self,
        request: tonic::Request<VerifyRequest>,
    ) -> Result<Reply<Verification>, Status> {
        Ok(Reply::new(self.0.verify(&request.into_inner())?))
    }

    async fn remove_node(
        &self,
        request: tonic::Request<RemoveNodeRequest>,
    ) -> Result<Reply<NodeRemoved>, Status> {
        Ok(Reply::new(self.0.remove_node(request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl Raft for Door {
    async fn status(
        &self,
        request: tonic::Request<RaftStatusRequest>,
    ) -> Result<Reply<RaftStatus>, Status> {
        Ok(Reply::new(self.0.raft_status(request.into_inner()).await?))
    }

    async fn history(
        &self,
        request: tonic::Request<RaftHistoryRequest>,
    ) -> Result<Reply<RaftHistory>, Status> {
        Ok(Reply::new(self.0.history(request.into_inner()).await?))
    }

    async fn step_down(
        &self,
        request: tonic::Request<StepDownRequest>,
    ) -> Result<Reply<Transfer>, Status> {
        Ok(Reply::new(self.0.step_down(request.into_inner()).await?))
    }

    async fn transfer(
        &self,
        request: tonic::Request<TransferRequest>,
    ) -> Result<Reply<Transfer>, Status> {
        Ok(Reply::new(self.0.transfer(request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl Snapshots for Door {
    async fn list(
        &self,
        request: tonic::Request<SnapshotListRequest>,
    ) -> Result<Reply<SnapshotList>, Status> {
        Ok(Reply::new(
            self.0.snapshot_list(request.into_inner()).await?,
        ))
    }

    async fn inspect(
        &self,
        request: tonic::Request<SnapshotInspectRequest>,
    ) -> Result<Reply<SnapshotContent>, Status> {
        Ok(Reply::new(
            self.0.snapshot_inspect(request.into_inner()).await?,
        ))
    }

    async fn verify(
        &self,
        request: tonic::Request<SnapshotVerifyRequest>,
    ) -> Result<Reply<SnapshotVerification>, Status> {
        Ok(Reply::new(
            self.0.snapshot_verify(request.into_inner()).await?,
        ))
    }

    type DownloadStream = BoxStream<'static, Result<SnapshotChunk, Status>>;

    async fn download(
        &self,
        request: tonic::Request<SnapshotDownloadRequest>,
    ) -> Result<Reply<Self::DownloadStream>, Status> {
        let chunks = self.0.clone().snapshot_download(request.into_inner());
        Ok(Reply::new(chunks.map_err(Status::from).boxed()))
    }

    async fn create(
        &self,
        request: tonic::Request<SnapshotCreateRequest>,
    ) -> Result<Reply<SnapshotList>, Status> {
        Ok(Reply::new(
            self.0.snapshot_create(request.into_inner()).await?,
        ))
    }

    async fn delete(
        &self,
        request: tonic::Request<SnapshotDeleteRequest>,
    ) -> Result<Reply<SnapshotDeleted>, Status> {
        Ok(Reply::new(
            self.0.snapshot_delete(request.into_inner()).await?,
        ))
    }
}

#[tonic::async_trait]
impl Topics for Door {
    async fn list(
        &self,
        request: tonic::Request<TopicListRequest>,
    ) -> Result<Reply<TopicList>, Status> {
        Ok(Reply::new(self.0.topic_list(request.into_inner()).await?))
    }

    async fn describe(
        &self,
        request: tonic::Request<TopicDescribeRequest>,
    ) -> Result<Reply<Topic>, Status> {
        Ok(Reply::new(
            self.0.topic_describe(request.into_inner()).await?,
        ))
    }
}
