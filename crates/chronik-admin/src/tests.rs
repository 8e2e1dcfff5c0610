//! The table of methods against the contract, and errors on their way.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tonic::Status;

use super::*;

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let set = FileDescriptorSet::decode(DESCRIPTOR).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let rpcs: BTreeSet<String> = services
        .flat_map(|service| {
            let names = service.method.iter().map(|method| method.name());
            names.map(|name| format!("{}.{name}", service.name()))
        })
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
fn what_changes_something_is_posted_and_asks_for_more_than_a_viewer() {
    for method in METHODS {
        let writes = method.impact == Impact::Write;
        assert!(!writes || method.verb == Verb::Post, "{}", method.path);
        assert_eq!(writes, method.role != Role::Viewer, "{}", method.path);
        assert!(method.summary.ends_with('.'), "{}", method.path);
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
