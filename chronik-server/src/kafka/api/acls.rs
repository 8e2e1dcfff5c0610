//! The three ACL APIs: there is no authorizer, and Kafka has an error that says so.

use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

const REASON: Option<StrBytes> = Some(StrBytes::from_static_str("no authorizer is configured"));
const DISABLED: i16 = ErrorCode::SecurityDisabled.number();

pub(in crate::kafka) async fn describe(_: &Call, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(DISABLED)
        .with_error_message(REASON)
}

pub(in crate::kafka) async fn create(_: &Call, request: CreateAclsRequest) -> CreateAclsResponse {
    let result = AclCreationResult::default()
        .with_error_code(DISABLED)
        .with_error_message(REASON);
    CreateAclsResponse::default().with_results(vec![result; request.creations.len()])
}

pub(in crate::kafka) async fn delete(_: &Call, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let result = DeleteAclsFilterResult::default()
        .with_error_code(DISABLED)
        .with_error_message(REASON);
    DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()])
}
