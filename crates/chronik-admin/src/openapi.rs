//! The document that describes the HTTP mirror, made of the table of methods.

use serde_json::{Map, Value, json};

use crate::error::{AdminError, Code};
use crate::methods::{Form, METHODS, Method, Verb};

/// The whole document, in OpenAPI 3.1.
pub fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for method in METHODS {
        let verb = match method.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        paths.insert(method.path.to_owned(), json!({ verb: operation(method) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chronik admin API",
            "version": version,
            "description": "Sees and steers a Chronik cluster. The same methods are served as gRPC `chronik.admin.v1` on the same port.",
        },
        "paths": paths,
        "components": { "schemas": { "Error": schemars::schema_for!(AdminError) } },
    })
}

fn operation(method: &Method) -> Value {
    let mut operation = json!({
        "operationId": format!("{}.{}", method.service, method.rpc),
        "summary": method.summary,
        "tags": [method.service],
        "x-impact": method.impact,
        "x-role": method.role,
        "responses": responses(method),
    });
    let request = (method.request)().to_value();
    match method.verb {
        Verb::Get => operation["parameters"] = parameters(&request),
        Verb::Post => {
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": { "schema": request } },
            });
        }
    }
    operation
}

/// The fields of a question, which are all plain and all optional.
fn parameters(request: &Value) -> Value {
    let none = Map::new();
    let fields = request["properties"].as_object().unwrap_or(&none);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut parameter = json!({
            "name": name,
            "in": "query",
            "required": false,
            "schema": schema,
        });
        if let Some(text) = schema["description"].as_str() {
            parameter["description"] = text.into();
        }
        parameter
    };
    fields.iter().map(parameter).collect()
}

fn responses(method: &Method) -> Value {
    let mut responses = Map::new();
    let (description, form, schema) = match method.form {
        Form::Lines => (
            "One object in each line, for as long as the caller listens.",
            "application/x-ndjson",
            (method.response)().to_value(),
        ),
        Form::Object => (
            "The answer.",
            "application/json",
            (method.response)().to_value(),
        ),
        Form::Bytes => (
            "The file.",
            "application/octet-stream",
            json!({ "type": "string", "format": "binary" }),
        ),
    };
    let answer = json!({
        "description": description,
        "content": { form: { "schema": schema } },
    });
    responses.insert("200".to_owned(), answer);
    let refusal = json!({
        "description": "A refusal.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    // Several codes share a status: it is described once.
    for code in Code::ALL {
        responses.insert(code.http().to_string(), refusal.clone());
    }
    for status in ["405", "413"] {
        responses.insert(status.to_owned(), refusal.clone());
    }
    Value::Object(responses)
}
