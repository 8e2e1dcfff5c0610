//! What each path answers by HTTP: text for metrics and probes, JSON for everything else.

use bytes::Bytes;
use chronik_admin::{AdminError, Form, METHODS, Method, openapi};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tonic::body::Body;

use super::State;
use super::mirror::{self, Question};
use crate::limits;

/// An answer; only events are not complete before its first byte leaves.
pub(super) type Answer = Response<Body>;

/// Every route that is no method of the admin API, with its sentence.
const ROUTES: &[(&str, &str)] = &[
    ("/", "this list"),
    ("/metrics", "metrics in the Prometheus text format"),
    ("/healthz", "200 while the process lives"),
    (
        "/readyz",
        "200 while the node serves clients, 503 with reasons otherwise",
    ),
    ("/openapi.json", "what the routes below /v1 take and answer"),
];

/// What is no method of the admin API.
pub(super) async fn page(state: &State, request: &Request<Incoming>) -> Answer {
    let (path, verb) = (request.uri().path(), request.method());
    if !matches!(*verb, hyper::Method::GET | hyper::Method::HEAD) {
        return method_not_allowed(verb, "GET, HEAD", "use GET");
    }
    match path {
        "/" => index(),
        "/metrics" => metrics(state).await,
        "/healthz" => text(StatusCode::OK, "text/plain; charset=utf-8", "alive\n"),
        "/readyz" => readiness(state),
        "/openapi.json" => {
            let document = openapi(env!("CARGO_PKG_VERSION"));
            text(StatusCode::OK, "application/json", format!("{document}\n"))
        }
        _ => not_found(path),
    }
}

/// A method of the admin API.
pub(super) async fn call(state: &State, method: &Method, request: Request<Incoming>) -> Answer {
    let wanted = mirror::verb(method);
    if request.method().as_str() != wanted {
        let hint = format!("use {wanted}");
        return method_not_allowed(request.method(), wanted, &hint);
    }
    let question = match wanted {
        "GET" => Question::Query(request.uri().query().unwrap_or_default().to_owned()),
        _ => match body(request).await {
            Ok(body) => Question::Body(body),
            Err(refusal) => return refusal,
        },
    };
    let answered = match method.form {
        Form::Object => mirror::call(&state.desk, method, question)
            .await
            .map(|answer| text(StatusCode::OK, "application/json", format!("{answer}\n"))),
        Form::Lines => mirror::events(&state.desk, &question)
            .map(|body| answer_of(StatusCode::OK, "application/x-ndjson", body)),
        Form::Bytes => mirror::file(state.desk.clone(), &question)
            .await
            .map(|body| answer_of(StatusCode::OK, "application/octet-stream", body)),
    };
    answered.unwrap_or_else(|refusal| refuse(&refusal))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let most = match request.uri().path() {
        "/v1/placement/apply" | "/v1/placement/verify" => limits::ADMIN_PLAN_BYTES,
        _ => limits::ADMIN_BODY_BYTES,
    };
    let body = Limited::new(request.into_body(), most);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(failed) => Err(error(
            match failed.is::<LengthLimitError>() {
                true => StatusCode::PAYLOAD_TOO_LARGE,
                false => StatusCode::BAD_REQUEST,
            },
            Refusal {
                code: "INVALID_ARGUMENT",
                message: format!("the body cannot be read: {failed}"),
                hint: "GET /openapi.json says what each method takes",
                is_retryable: false,
            },
        )),
    }
}

fn index() -> Answer {
    let pages = ROUTES.iter().copied();
    let methods = METHODS.iter().map(|method| (method.path, method.summary));
    let lines: String = pages
        .chain(methods)
        .map(|(path, sentence)| format!("{path:<22} {sentence}\n"))
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

fn method_not_allowed(verb: &hyper::Method, allowed: &'static str, hint: &str) -> Answer {
    let refusal = Refusal {
        code: "METHOD_NOT_ALLOWED",
        message: format!("{verb} is not served here"),
        hint,
        is_retryable: false,
    };
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, refusal);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
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

/// Why a request is not answered as it was meant, before it reaches the admin API.
struct Refusal<'a> {
    code: &'static str,
    message: String,
    hint: &'a str,
    is_retryable: bool,
}

fn error(status: StatusCode, refusal: Refusal<'_>) -> Answer {
    let body = json!({
        "code": refusal.code,
        "message": refusal.message,
        "hint": refusal.hint,
        "retryable": refusal.is_retryable,
    });
    text(status, "application/json", format!("{body}\n"))
}

pub(super) fn refuse(refusal: &AdminError) -> Answer {
    let status = StatusCode::from_u16(refusal.code.http());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    text(
        status,
        "application/json",
        format!("{}\n", refusal.to_json()),
    )
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    answer_of(status, content_type, Body::new(Full::new(body.into())))
}

fn answer_of(status: StatusCode, content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
