//! DeleteGroups: ends groups without members, with everything they committed.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for GroupId(id) in request.groups_names {
        let error = call.coordinator().delete_group(id.to_string()).await.err();
        let code = error.map_or(ErrorCode::None, ErrorCode::from);
        results.push(
            DeletableGroupResult::default()
                .with_group_id(GroupId(id))
                .with_error_code(code.number()),
        );
    }
    DeleteGroupsResponse::default().with_results(results)
}
