//! ListGroups: the groups that this node coordinates.

use chronik_core::consumer_group::message::GroupListing;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::convert::text;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

/// The only type of group there is here.
const CLASSIC: &str = "classic";

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    if !wants(&request.types_filter, CLASSIC) {
        return ListGroupsResponse::default();
    }
    match call.coordinator().list().await {
        Ok(groups) => {
            let wanted = groups
                .into_iter()
                .filter(|group| wants(&request.states_filter, group.state.name()));
            ListGroupsResponse::default().with_groups(wanted.map(listed).collect())
        }
        Err(error) => {
            ListGroupsResponse::default().with_error_code(ErrorCode::from(error).number())
        }
    }
}

/// No filter wants everything.
fn wants(filter: &[StrBytes], value: &str) -> bool {
    filter.is_empty()
        || filter
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(value))
}

fn listed(group: GroupListing) -> ListedGroup {
    ListedGroup::default()
        .with_group_id(GroupId(text(&group.group)))
        .with_protocol_type(text(&group.protocol_type))
        .with_group_state(text(group.state.name()))
        .with_group_type(text(CLASSIC))
}
