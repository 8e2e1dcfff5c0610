//! ApiVersions: what this node speaks, and the first words of every client.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use crate::kafka::error_code::ErrorCode;
use crate::kafka::versions::{self, Row};

/// From this version on clients must say what software they are.
const NAMED_SOFTWARE_FROM: i16 = 3;

/// Answers at once; `None` stands for a request in a version above ours, of which only the header was read.
pub(in crate::kafka) fn handle(
    version: i16,
    request: Option<&ApiVersionsRequest>,
) -> ApiVersionsResponse {
    let Some(request) = request else {
        let own = versions::ROWS
            .iter()
            .filter(|row| row.api == ApiKey::ApiVersions)
            .map(shown)
            .collect();
        return ApiVersionsResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.number())
            .with_api_keys(own);
    };
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if version >= NAMED_SOFTWARE_FROM && !named {
        return ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.number());
    }
    ApiVersionsResponse::default().with_api_keys(versions::ROWS.iter().map(shown).collect())
}

fn shown(row: &Row) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(row.api as i16)
        .with_min_version(*row.shown.start())
        .with_max_version(*row.shown.end())
}

/// KIP-511: letters and digits, with '.' and '-' between them.
fn is_software_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    outer(bytes.first()) && outer(bytes.last()) && bytes.iter().copied().all(inner)
}
