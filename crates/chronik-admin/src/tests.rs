//! The table of methods against the contract, and errors on their way.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use serde_json::Value;
use tonic::Status;

use super::*;

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let rpcs: BTreeSet<String> = rpcs()
        .iter()
        .map(|(service, rpc)| format!("{service}.{}", rpc.name()))
        .collect();
    let rows = METHODS.iter();
    let rows: BTreeSet<String> = rows
        .map(|method| format!("{}.{}", method.service, method.rpc))
        .collect();
    assert_eq!(rpcs, rows);
    let paths: BTreeSet<&str> = METHODS.iter().map(|method| method.path).collect();
    assert_eq!(paths.len(), METHODS.len());
}

#[test]
fn every_rpc_has_a_route_schemas_an_impact_and_a_role() {
    for (service, rpc) in rpcs() {
        let (service, name) = (service.as_str(), rpc.name());
        let grpc = format!("/chronik.admin.v1.{service}/{name}");
        let method = Method::at_grpc(&grpc).unwrap_or_else(|| panic!("{grpc} has no row"));
        assert!(method.path.starts_with("/v1/"), "{grpc}");
        assert!(std::ptr::eq(Method::at(method.path).unwrap(), method));
        assert_eq!(
            method.form != Form::Object,
            rpc.server_streaming(),
            "{grpc}"
        );
        assert!(method.summary.ends_with('.'), "{grpc}");
        let fields = fields_of(rpc.input_type());
        let described = (method.request)().to_value();
        let described = described["properties"].as_object().into_iter().flatten();
        let described: BTreeSet<String> = described.map(|(name, _)| name.clone()).collect();
        assert_eq!(fields, described, "{grpc}");
        assert!((method.response)().to_value().is_object(), "{grpc}");
        let writes = method.impact != Impact::Read;
        assert!(!writes || method.verb == Verb::Post, "{grpc}");
        let least = match method.impact {
            Impact::Read => Role::Viewer,
            Impact::Write => Role::Operator,
            Impact::Destructive => Role::Admin,
        };
        assert_eq!(method.role, least, "{grpc}");
        for field in ["expect", "dry_run", "request_id"] {
            assert_eq!(fields.contains(field), writes, "{grpc}: {field}");
        }
    }
}

#[test]
fn the_document_describes_every_method() {
    let document = openapi("1.2.3");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), METHODS.len());
    let status = &paths["/v1/raft/status"]["get"];
    let names: Vec<&Value> = status["parameters"].as_array().unwrap().iter().collect();
    assert!(names.iter().any(|parameter| parameter["name"] == "group"));
    let step_down = &paths["/v1/raft/step-down"]["post"];
    let body = &step_down["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"]["dry_run"]["type"], "boolean");
}

#[test]
fn numbers_of_64_bits_are_numbers_in_json() {
    let progress = v1::Progress {
        lag_entries: 12_000,
        ..v1::Progress::default()
    };
    let json = serde_json::to_value(progress).unwrap();
    assert_eq!(json["lag_entries"], 12_000);
}

#[test]
fn an_error_survives_its_way_through_grpc() {
    for code in Code::ALL {
        let error = AdminError::new(code, "it did not work").hint("try: chronikctl status");
        assert_eq!(AdminError::from(Status::from(error.clone())), error);
    }
    let made_on_the_way = AdminError::from(Status::deadline_exceeded("too late"));
    assert_eq!(made_on_the_way.code, Code::Deadline);
}

/// Every method of the contract, with its service.
fn rpcs() -> Vec<(String, MethodDescriptorProto)> {
    let set = FileDescriptorSet::decode(DESCRIPTOR).unwrap();
    let services = set.file.into_iter().flat_map(|file| file.service);
    services
        .flat_map(|service| {
            let name = service.name().to_owned();
            let methods = service.method.into_iter();
            methods.map(move |method| (name.clone(), method))
        })
        .collect()
}

fn fields_of(message: &str) -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR).unwrap();
    let mut messages = set.file.into_iter().flat_map(|file| file.message_type);
    let is_it = |name: &str| message.rsplit('.').next() == Some(name);
    let found = messages.find(|message| is_it(message.name())).unwrap();
    let fields = found.field.iter();
    fields.map(|field| field.name().to_owned()).collect()
}
