//! Makes Rust of the contract: one definition gives the gRPC messages, their JSON form and its schema.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;
use prost_types::FileDescriptorSet;

/// JSON is serde's, not proto3's own mapping: there 64-bit integers would be strings, and comparisons in `jq` would lie.
const JSON: &str = "#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]";

const CONTRACT: &str = "proto/chronik/admin/v1/admin.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let files = protox::compile([CONTRACT], ["proto"])?;
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo tells a build script where to write in no other way"
    )]
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("admin.bin"), files.encode_to_vec())?;
    let mut builder = tonic_prost_build::configure()
        .build_transport(false)
        .type_attribute(".", JSON)
        .message_attribute(".", "#[serde(default)]")
        .btree_map(".");
    // A word that is misspelt in a question must not be passed over.
    for question in questions(&files) {
        builder = builder.message_attribute(question, "#[serde(deny_unknown_fields)]");
    }
    builder.compile_fds(files)?;
    Ok(())
}

/// What is asked, in contrast to what is answered.
fn questions(files: &FileDescriptorSet) -> Vec<String> {
    let messages = files.file.iter().flat_map(|file| {
        let package = file.package().to_owned();
        let names = file.message_type.iter().map(|message| message.name());
        names.map(move |name| format!("{package}.{name}"))
    });
    messages
        .filter(|name| name.ends_with("Request") || name.ends_with("Expect"))
        .collect()
}
