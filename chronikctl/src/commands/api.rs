//! `chronikctl api`: one call of the HTTP mirror, for what no command shows yet.

use chronik_admin::Method;
use chronik_admin::client::Client;
use serde_json::{Map, Value};

use crate::exit::{Failure, Verdict};
use crate::output::print_bytes;
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
    if args.verb == Verb::Post && session.settings.context.read_only {
        return Err(Failure::new(
            chronik_admin::Code::Blocked,
            "READ_ONLY: the context is read-only",
        ));
    }
    let fields = args.fields.iter().map(|field| {
        let pair = field.split_once('=');
        pair.ok_or_else(|| Failure::usage(format!("{field:?} is no NAME=VALUE")))
    });
    let fields: Vec<(&str, &str)> = fields.collect::<Result<_, _>>()?;
    let (verb, target, body) = match args.verb {
        Verb::Get => ("GET", format!("{path}?{}", query(&fields)), String::new()),
        Verb::Post => ("POST", path.clone(), object(&fields).to_string()),
    };
    let call = |client: Client| {
        let (target, body) = (target.clone(), body.clone());
        async move { client.http(verb, &target, body).await }
    };
    let (_, (status, answer)) = session.ask(call).await?;
    // Whoever reads no further has read enough.
    _ = print_bytes(&answer);
    let known = Method::at(&path).is_some();
    Ok(match status {
        200..300 => Verdict::Yes,
        503 if !known => Verdict::No,
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
