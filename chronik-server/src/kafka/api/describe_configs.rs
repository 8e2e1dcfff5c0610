//! DescribeConfigs: every key of a topic or node, with its value and where it comes from.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::config_entries::{self, Detail, Resource};
use super::convert::text;
use crate::broker::Broker;
use crate::kafka::call::Call;
use crate::kafka::error_code::ErrorCode;

type Described = Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)>;

pub(in crate::kafka) async fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let detail = Detail {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let mut resources = request.resources;
    // Asking twice is answered once: the answer must not grow faster than the cluster.
    resources.sort_by(|a, b| {
        (a.resource_type, &a.resource_name).cmp(&(b.resource_type, &b.resource_name))
    });
    resources.dedup_by(|a, b| {
        (a.resource_type, &a.resource_name) == (b.resource_type, &b.resource_name)
    });
    let results = resources
        .into_iter()
        .map(|resource| result(call.broker(), resource, detail));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn result(
    broker: &Broker,
    resource: DescribeConfigsResource,
    detail: Detail,
) -> DescribeConfigsResult {
    let described = describe(broker, &resource, detail);
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match described {
        Ok(mut entries) => {
            if let Some(mut keys) = resource.configuration_keys {
                keys.sort_unstable();
                entries.retain(|entry| keys.binary_search(&entry.name).is_ok());
            }
            result.with_error_message(None).with_configs(entries)
        }
        Err((error, message)) => result
            .with_error_code(error.number())
            .with_error_message(Some(text(&message))),
    }
}

fn describe(broker: &Broker, resource: &DescribeConfigsResource, detail: Detail) -> Described {
    let name = &resource.resource_name;
    match Resource::from_number(resource.resource_type) {
        Some(Resource::Topic) => match broker.topic(name) {
            Some(topic) => Ok(config_entries::of_topic(&topic, broker, detail)),
            None => Err((
                ErrorCode::UnknownTopicOrPartition,
                format!("there is no topic {name:?}"),
            )),
        },
        // The empty name stands for what holds for all nodes, and nothing is set that way.
        Some(Resource::Node) if name.is_empty() => Ok(Vec::new()),
        Some(Resource::Node) => match name.parse() == Ok(broker.settings().node.0) {
            true => Ok(config_entries::of_node(broker, detail)),
            false => Err((
                ErrorCode::InvalidRequest,
                format!("this is node {}, not {name}", broker.settings().node),
            )),
        },
        None => {
            let message = format!(
                "resources of type {} have no configs here",
                resource.resource_type
            );
            Err((ErrorCode::InvalidRequest, message))
        }
    }
}
