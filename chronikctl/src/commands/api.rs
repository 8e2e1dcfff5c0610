//! `chronikctl api`: one call of the HTTP mirror, for what no command shows yet.

use chronik_admin::client::Client;
use chronik_admin::{Impact, Method};
use serde_json::{Map, Value};

use super::node;
use crate::cli::Consent;
use crate::exit::{Failure, Verdict};
use crate::mutate::{self, Plan};
use crate::output::{Answer, print_bytes};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whether to look or to change
    #[arg(value_enum)]
    verb: Verb,
    /// A path, as in raft/status or /openapi.json
    path: String,
    /// Fields of the question
    #[arg(value_name = "NAME=VALUE")]
    fields: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    Get,
    Post,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Verdict, Failure> {
    let path = match args.path.starts_with('/') {
        true => args.path.clone(),
        false => format!("/v1/{}", args.path),
    };
    let fields = args.fields.iter().map(|field| {
        let pair = field.split_once('=');
        pair.ok_or_else(|| Failure::usage(format!("{field:?} is no NAME=VALUE")))
    });
    let fields: Vec<(&str, &str)> = fields.collect::<Result<_, _>>()?;
    if args.verb == Verb::Get {
        let target = format!("{path}?{}", query(&fields));
        return call(session, "GET", &target, "").await;
    }
    let method = Method::at(&path);
    let body = object(&fields);
    let only_looks = method.is_some_and(|method| method.impact == Impact::Read);
    match only_looks || body["dry_run"] == true {
        true => call(session, "POST", &path, &body.to_string()).await,
        false => change(session, args, &path, method, body).await,
    }
}

/// What changes something is asked for like every other change.
async fn change(
    session: &Session,
    args: &Args,
    path: &str,
    method: Option<&Method>,
    mut body: Value,
) -> Result<Verdict, Failure> {
    let (_, view) = node::view(session).await?;
    let mut plan = Plan::new(session, &view.cluster_id, format!("post {path}"));
    plan.change(match method {
        Some(method) => method.summary.to_owned(),
        None => "this tool does not know what it changes".to_owned(),
    });
    plan.changes.extend(args.fields.iter().cloned());
    let takes = |field: &str| {
        let request = method.map(|method| (method.request)());
        request.is_some_and(|request| !request.to_value()["properties"][field].is_null())
    };
    if takes("expect") && body["expect"]["cluster_id"].is_null() {
        body["expect"]["cluster_id"] = view.cluster_id.as_str().into();
    }
    if takes("request_id") && body["request_id"].is_null() {
        body["request_id"] = plan.request_id.as_str().into();
    }
    let act = async {
        let verdict = call(session, "POST", path, &body.to_string()).await?;
        Ok(Answer {
            verdict,
            ..Answer::default()
        })
    };
    let answer = mutate::carry_out(session, &args.consent, plan, act).await?;
    if args.consent.dry_run {
        session.settings.printer.answer(&answer)?;
    }
    Ok(answer.verdict)
}

/// Prints what the API answers, as it is.
async fn call(
    session: &Session,
    verb: &'static str,
    target: &str,
    body: &str,
) -> Result<Verdict, Failure> {
    let question = |client: Client| async move { client.http(verb, target, body.to_owned()).await };
    let (_, (status, answer)) = session.ask(question).await?;
    // Whoever reads no further has read enough.
    _ = print_bytes(&answer);
    let path = target.split('?').next().unwrap_or_default();
    Ok(match status {
        200..300 => Verdict::Yes,
        503 if Method::at(path).is_none() => Verdict::No,
        _ => Verdict::SomeFailed,
    })
}

/// A query, with everything escaped that is not plain.
fn query(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let one = |byte: u8| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    let pairs = fields.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}

/// A body: what reads as JSON is that, everything else is text; a dot in a name reaches inside.
fn object(fields: &[(&str, &str)]) -> Value {
    let mut body = Value::Object(Map::new());
    for (name, text) in fields {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(*text));
        let mut place = &mut body;
        for part in name.split('.') {
            place = &mut place[part];
        }
        *place = value;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_a_query_or_a_body() {
        let fields = [
            ("group", "orders/0"),
            ("expect.term", "7"),
            ("dry_run", "true"),
        ];
        assert_eq!(query(&fields[..1]), "group=orders%2F0");
        let expected =
            serde_json::json!({"group": "orders/0", "expect": {"term": 7}, "dry_run": true});
        assert_eq!(object(&fields), expected);
    }
}
