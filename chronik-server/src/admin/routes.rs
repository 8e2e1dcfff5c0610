//! What each path answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::State;

/// An answer, complete before its first byte leaves.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers one request.
pub(super) async fn answer(state: &State, method: &Method, path: &str) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return method_not_allowed(method);
    }
    match path {
        "/" => index(),
        "/metrics" => metrics(state).await,
        "/healthz" => text(StatusCode::OK, "text/plain; charset=utf-8", "alive\n"),
        "/readyz" => readiness(state),
        _ => not_found(path),
    }
}

/// Every route with its sentence.
const ROUTES: &[(&str, &str)] = &[
    ("/", "this list"),
    ("/metrics", "metrics in the Prometheus text format"),
    ("/healthz", "200 while the process lives"),
    (
        "/readyz",
        "200 while the node serves clients, 503 with reasons otherwise",
    ),
];

fn index() -> Answer {
    let lines: String = ROUTES
        .iter()
        .map(|(path, sentence)| format!("{path:<10} {sentence}\n"))
        .collect();
    text(StatusCode::OK, "text/plain; charset=utf-8", lines)
}

async fn metrics(state: &State) -> Answer {
    let metrics = state.metrics.clone();
    metrics
        .node
        .ready
        .set(state.readiness.borrow().ready.into());
    // Figures of the process come from files, and reading them may block.
    match tokio::task::spawn_blocking(move || metrics.render()).await {
        Ok(lines) => text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            lines,
        ),
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            Refusal {
                code: "METRICS_UNAVAILABLE",
                message: "the metrics could not be collected".to_owned(),
                hint: "try again; the server's log says why",
                is_retryable: true,
            },
        ),
    }
}

fn readiness(state: &State) -> Answer {
    let readiness = state.readiness.borrow().clone();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": readiness.ready, "reasons": readiness.reasons });
    text(status, "application/json", format!("{body}\n"))
}

fn method_not_allowed(method: &Method) -> Answer {
    let refusal = Refusal {
        code: "METHOD_NOT_ALLOWED",
        message: format!("{method} is not served here"),
        hint: "use GET",
        is_retryable: false,
    };
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, refusal);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

fn not_found(path: &str) -> Answer {
    let refusal = Refusal {
        code: "NOT_FOUND",
        message: format!("there is nothing at {path}"),
        hint: "GET / lists every route",
        is_retryable: false,
    };
    error(StatusCode::NOT_FOUND, refusal)
}

/// Why a request is not answered as it was meant.
struct Refusal {
    code: &'static str,
    message: String,
    hint: &'static str,
    is_retryable: bool,
}

fn error(status: StatusCode, refusal: Refusal) -> Answer {
    let body = json!({
        "code": refusal.code,
        "message": refusal.message,
        "hint": refusal.hint,
        "retryable": refusal.is_retryable,
    });
    text(status, "application/json", format!("{body}\n"))
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
