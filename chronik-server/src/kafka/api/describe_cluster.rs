//! DescribeCluster: the nodes and who coordinates them.

use std::sync::Arc;

use chronik_core::catalog::Node;
use chronik_core::ids::GroupUid;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::convert::{CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, broker_id, text};
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// What a client may ask the endpoints of.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let view = call.broker().view();
    let response = DescribeClusterResponse::default()
        .with_error_message(None)
        .with_endpoint_type(request.endpoint_type)
        .with_cluster_id(text(&view.catalog.cluster_id))
        .with_cluster_authorized_operations(OPERATIONS_NOT_ASKED);
    if request.endpoint_type != BROKERS {
        let error = match request.endpoint_type {
            CONTROLLERS => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        return response
            .with_error_code(error.number())
            .with_error_message(Some(text("this is a broker's endpoint")));
    }
    let controller = view
        .reachable_leader(GroupUid::META)
        .node
        .unwrap_or(call.broker().settings().node);
    let operations = match request.include_cluster_authorized_operations {
        true => CLUSTER_OPERATIONS,
        false => OPERATIONS_NOT_ASKED,
    };
    response
        .with_controller_id(broker_id(controller))
        .with_brokers(view.present_nodes().map(broker).collect())
        .with_cluster_authorized_operations(operations)
}

fn broker(node: &Arc<Node>) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(broker_id(node.id))
        .with_host(text(&node.kafka_host))
        .with_port(node.kafka_port.into())
        .with_rack(node.rack.as_deref().map(text))
}
