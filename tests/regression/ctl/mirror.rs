//! The HTTP mirror: every route as its own document describes it, and questions that make no sense.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chronik_local::foreign::schemathesis;
use serde_json::Value;

use super::Three;

/// To each operation.
const QUESTIONS: u32 = 10;
const SEED: u32 = 1;

#[test]
fn every_route_answers_as_the_document_says_and_nothing_breaks_it() {
    let three = Three::with_topic("orders");
    let seek = [
        "group", "seek", "billing", "--topic", "orders", "--to", "start", "--yes",
    ];
    assert_eq!(three.run(&seek).code, 0);
    let address = three.admin(1);
    let (status, text) = http(&address, "GET", "/openapi.json", "");
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).unwrap();
    let made = three.snapshots(&["snapshot", "create", "--node", "1", "--yes"]);
    let (_, snapshot) = made[0].0.split_once('/').unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            let verb = verb.to_uppercase();
            let forms = &operation["responses"]["200"]["content"];
            if forms["application/json"].is_null() {
                // One ends when the caller goes: `ctl/moves.rs` follows it. The other is a file, with bytes of any kind.
                assert!(path == "/v1/cluster/events" || path == "/v1/snapshots/download");
                continue;
            }
            let (query, body) = sensible(path);
            let [query, body] = [query, body].map(|text| text.replace("SNAPSHOT", snapshot));
            let (status, text) = http(&address, &verb, &format!("{path}{query}"), &body);
            conforms(operation, status, &text);
            assert!(
                status == 200 || WORTH_A_REFUSAL.contains(&path.as_str()),
                "{path}: {text}"
            );
            for (path, body) in nonsense(path, &operation["parameters"]) {
                let (status, text) = http(&address, &verb, &path, &body);
                assert!(
                    status < 500 || status == 503,
                    "{verb} {path} {body}: {status} {text}"
                );
                conforms(operation, status, &text);
            }
        }
    }
    three.finish();
}

/// A small sample: `cargo xtask schemathesis` asks more.
#[test]
fn questions_that_nobody_thought_of_are_answered_as_the_document_says() {
    let three = Three::with_topic("orders");
    let url = format!("http://{}/openapi.json", three.admin(1));
    // Events have no end, and a member that leaves ends the test.
    let passed_over = "/v1/cluster/events|/v1/placement/remove-node";
    let said = schemathesis::try_api(&url, QUESTIONS, SEED, passed_over);
    println!("{}", said.unwrap_or_else(|failed| panic!("{failed}")));
    three.finish();
}

#[test]
fn the_examples_of_the_guide_work() {
    let guide =
        std::fs::read_to_string(chronik_local::workspace_dir().join("docs/chronikctl.md")).unwrap();
    let three = Three::with_topic("orders");
    let lines = guide.lines().filter(|line| line.starts_with("curl "));
    let mut tried = 0;
    for line in lines {
        let line = line.replace("127.0.0.1:9292", &three.admin(2));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("{line} -fsS --max-time 20")]);
        let said = chronik_local::foreign::run(&line, &mut shell)
            .unwrap_or_else(|failed| panic!("{failed}"));
        serde_json::from_str::<Value>(&said)
            .unwrap_or_else(|error| panic!("{line}: {error}: {said}"));
        tried += 1;
    }
    assert!(tried >= 3, "the guide has {tried} examples with curl");
    three.finish();
}

/// Orders that even a cluster without a fault has reasons to refuse.
const WORTH_A_REFUSAL: [&str; 8] = [
    "/v1/placement/apply",
    "/v1/placement/cancel",
    "/v1/placement/pause",
    "/v1/placement/remove-node",
    "/v1/placement/resume",
    "/v1/placement/rollback",
    "/v1/raft/change-member",
    "/v1/raft/transfer",
];

/// The query and the body of a question that makes sense; `SNAPSHOT` stands for the number of one of node 1.
fn sensible(path: &str) -> (&'static str, &'static str) {
    match path {
        "/v1/topics/describe" => ("?name=orders", ""),
        "/v1/topics/producers" => ("?group=orders/0", ""),
        "/v1/configs" => ("?topic=orders", ""),
        "/v1/groups/describe" => ("?group=billing", ""),
        "/v1/placement/plan" => ("?goal=balance", ""),
        "/v1/raft/transfer" => ("", r#"{"group":"orders/0","to":9,"dry_run":true}"#),
        "/v1/raft/change-member" => (
            "",
            r#"{"group":"orders/0","node_id":1,"change":"add","dry_run":true}"#,
        ),
        "/v1/node/log-level" => ("", r#"{"level":"info"}"#),
        "/v1/placement/remove-node" => ("", r#"{"node_id":3,"dry_run":true}"#),
        "/v1/placement/throttle" => ("", r#"{"bytes_per_second":1048576,"dry_run":true}"#),
        "/v1/placement/pause"
        | "/v1/placement/resume"
        | "/v1/placement/cancel"
        | "/v1/placement/rollback" => ("", r#"{"operation_id":7,"dry_run":true}"#),
        "/v1/placement/verify" => (
            "",
            r#"{"moves":[{"group":"orders/0","from":[1,2,3],"to":[2,3,1]}]}"#,
        ),
        "/v1/placement/balance-leaders" => ("", r#"{"dry_run":true}"#),
        "/v1/topics/create" => ("", r#"{"name":"fresh","configs":{"retention.ms":"1"}}"#),
        "/v1/topics/add-partitions" => ("", r#"{"name":"orders","total":2}"#),
        "/v1/topics/delete" => ("", r#"{"name":"orders","dry_run":true}"#),
        "/v1/configs/alter" => ("", r#"{"topic":"orders","set":{"retention.ms":"1000000"}}"#),
        "/v1/groups/seek" => ("", r#"{"group":"billing","to":"end"}"#),
        "/v1/groups/delete" => ("", r#"{"group":"billing","dry_run":true}"#),
        "/v1/snapshots/inspect" | "/v1/snapshots/verify" => ("?node_id=1&snapshot_id=SNAPSHOT", ""),
        "/v1/snapshots/delete" => ("", r#"{"node_id":1,"snapshot_id":SNAPSHOT,"dry_run":true}"#),
        _ => ("", r#"{"group":"orders/0","dry_run":true}"#),
    }
}

/// The answer has a status that is described, and the form that is described for it.
fn conforms(operation: &Value, status: u16, text: &str) {
    let described = &operation["responses"][status.to_string()];
    assert!(
        described.is_object(),
        "{status} is not described: {operation}"
    );
    let schema = &described["content"]["application/json"]["schema"];
    let answer: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if status == 200 {
        let validator = jsonschema::validator_for(schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}: {text}");
    } else {
        for field in ["code", "message", "hint"] {
            assert!(answer[field].is_string(), "{field}: {text}");
        }
        assert!(answer["retryable"].is_boolean(), "{text}");
    }
}

/// Questions with words that are unknown, of another kind, out of range, or no words at all.
fn nonsense(path: &str, parameters: &Value) -> Vec<(String, String)> {
    let values = [
        "",
        "-1",
        "x",
        "18446744073709551616",
        "%00",
        "%ff%fe",
        "meta/",
        "orders/99999999999",
        "true",
        "a%2Fb%2Fc",
        "1e9",
    ];
    let mut questions = vec![(
        format!("{path}?no-such-word=1"),
        r#"{"no-such-word":1}"#.to_owned(),
    )];
    for parameter in parameters.as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        questions.extend(
            values
                .iter()
                .map(|value| (format!("{path}?{name}={value}"), String::new())),
        );
    }
    let bodies = [
        "",
        "null",
        "[]",
        "{",
        "{}",
        r#"{"group":7}"#,
        r#"{"group":"orders/-1"}"#,
        r#"{"group":"orders/0","to":-1}"#,
        r#"{"group":"nothing/0","dry_run":true}"#,
        r#"{"level":"loudest"}"#,
        r#"{"level":"info","node_id":77}"#,
        r#"{"group":"orders/0","expect":{"cluster_id":"other"},"dry_run":true}"#,
    ];
    questions.extend(
        bodies
            .iter()
            .map(|body| (path.to_owned(), (*body).to_owned())),
    );
    let long = "x".repeat(70_000);
    questions.push((path.to_owned(), format!(r#"{{"group":"{long}"}}"#)));
    questions
}

/// One request on a connection of its own.
fn http(address: &str, verb: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a bound on reads");
    let length = body.len();
    let request = format!(
        "{verb} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // The answer to a body that is too long may come before all of it is taken.
    _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{verb} {path}: {answer:?}"));
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}
