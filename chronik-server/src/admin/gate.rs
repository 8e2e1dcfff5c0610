//! The gate: every method passes here before it is answered, whichever way it was called.
//!
//! It is the one place that knows who calls, whether they may, and by which word the log finds the call. Nobody has a
//! name yet, so everybody may do everything; whoever gives names to callers makes another [`Caller`] of what a
//! connection or a header shows, and no method has to know.

use chronik_admin::{AdminError, Code, Impact, Method, Role};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::{debug, info};

use super::routes::Answer;

/// Who calls, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    role: Role,
}

/// A call that may go on.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    request_id: HeaderValue,
}

/// By which word a call is found in the log. The caller may choose one; every answer has it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID_BYTES: usize = 128;

impl Caller {
    /// Who calls with these headers.
    pub(super) fn of(_: &HeaderMap) -> Caller {
        Caller { role: Role::Admin }
    }
}

impl Passage {
    /// Lets a call through, or says why not.
    pub(super) fn open(
        caller: Caller,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Passage, AdminError> {
        let Method { service, rpc, .. } = method;
        if caller.role < method.role {
            let message = format!("{service}.{rpc} wants the role {}", method.role);
            return Err(AdminError::new(Code::PermissionDenied, message)
                .hint("ask somebody who has it, or call as somebody else"));
        }
        let request_id = request_id(headers);
        let request = request_id.to_str().unwrap_or_default();
        match method.impact {
            Impact::Read => debug!(request, "an operator calls {service}.{rpc}"),
            _ => info!(request, "an operator calls {service}.{rpc}"),
        }
        Ok(Passage { request_id })
    }

    /// Gives the answer the word by which its call is found.
    pub(super) fn mark(self, answer: &mut Answer) {
        answer.headers_mut().insert(REQUEST_ID, self.request_id);
    }
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sound = |given: &&HeaderValue| {
        let text = given.to_str().unwrap_or_default();
        (1..=MAX_REQUEST_ID_BYTES).contains(&text.len())
    };
    let given = headers.get(REQUEST_ID).filter(is_sound).cloned();
    given.unwrap_or_else(|| {
        let fresh = uuid::Uuid::new_v4().to_string();
        HeaderValue::from_str(&fresh).expect("digits and dashes are fit for a header")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(role: Role, path: &str) -> Result<Passage, AdminError> {
        let method = Method::at(path).unwrap();
        Passage::open(Caller { role }, method, &HeaderMap::new())
    }

    #[test]
    fn each_role_may_do_what_its_methods_ask_for_and_no_more() {
        let (read, write, destructive) = (
            "/v1/raft/status",
            "/v1/raft/step-down",
            "/v1/placement/remove-node",
        );
        for (role, allowed, refused) in [
            (Role::Viewer, &[read][..], &[write, destructive][..]),
            (Role::Operator, &[read, write], &[destructive]),
            (Role::Admin, &[read, write, destructive], &[]),
        ] {
            for path in allowed {
                assert!(open(role, path).is_ok(), "{role} {path}");
            }
            for path in refused {
                let refusal = open(role, path).unwrap_err();
                assert_eq!(refusal.code, Code::PermissionDenied, "{role} {path}");
                assert!(!refusal.hint.is_empty());
            }
        }
    }

    #[test]
    fn a_sound_request_id_is_kept_and_another_one_is_replaced() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            request_id(&headers)
        };
        assert_eq!(with(b"night-run-7"), "night-run-7");
        for broken in [&b""[..], &[b'x'; MAX_REQUEST_ID_BYTES + 1], b"\xff"] {
            let fresh = with(broken);
            assert_ne!(fresh.as_bytes(), broken);
            assert_eq!(fresh.len(), 36);
        }
    }
}
