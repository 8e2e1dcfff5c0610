//! The HTTP mirror: every route as its own document describes it, and questions that make no sense.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::Three;

#[test]
fn every_route_answers_as_the_document_says_and_nothing_breaks_it() {
    let three = Three::with_topic("orders");
    let address = three.admin(1);
    let (status, text) = http(&address, "GET", "/openapi.json", "");
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).unwrap();
    let made = three.snapshots(&["snapshot", "create", "--node", "1", "--yes"]);
    let (_, id) = made[0].0.split_once('/').unwrap();
    let snapshot = format!("node_id=1&snapshot_id={id}");
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            let verb = verb.to_uppercase();
            let forms = &operation["responses"]["200"]["content"];
            if forms["application/json"].is_null() {
                // One ends when the caller goes: `ctl/moves.rs` follows it. The other is a file, with bytes of any kind.
                assert!(path == "/v1/cluster/events" || path == "/v1/snapshots/download");
                continue;
            }
            let sensible = match path.as_str() {
                "/v1/snapshots/inspect" | "/v1/snapshots/verify" => {
                    (format!("{path}?{snapshot}"), String::new())
                }
                "/v1/topics/describe" => (format!("{path}?name=orders"), String::new()),
                "/v1/raft/step-down" => (
                    path.clone(),
                    r#"{"group":"orders/0","dry_run":true}"#.to_owned(),
                ),
                "/v1/raft/transfer" => (
                    path.clone(),
                    r#"{"group":"orders/0","to":9,"dry_run":true}"#.to_owned(),
                ),
                "/v1/placement/plan" => (format!("{path}?goal=balance"), String::new()),
                "/v1/node/log-level" => (path.clone(), r#"{"level":"info"}"#.to_owned()),
                _ => (path.clone(), String::new()),
            };
            let (status, text) = http(&address, &verb, &sensible.0, &sensible.1);
            conforms(operation, status, &text);
            if verb == "GET" {
                assert_eq!(status, 200, "{path}: {text}");
            }
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
