//! The JSON Schema of the file: it takes what the file may say, finds what is of the wrong type or
//! misspelt, and stands in docs/ as it is.

use serde_json::Value as Json;

use super::*;
use crate::config::file::to_json;
use crate::config::schema::text;

fn schema() -> jsonschema::Validator {
    let schema: Json = serde_json::from_str(&text(&kind::options())).expect("the schema is JSON");
    jsonschema::draft7::meta::validate(&schema).expect("a schema");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// What the schema finds wrong with a file.
fn findings(text: &str) -> Vec<String> {
    let file = to_json(text);
    schema().iter_errors(&file).map(|error| error.to_string()).collect()
}

#[test]
fn the_schema_in_the_documentation_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/host.schema.json");
    let written = fs::read_to_string(path).unwrap_or_default();
    let right = written == text(&kind::options());
    assert!(right, "write it again: host config schema > docs/host.schema.json");
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let text = include_str!("../../../../docs/configuration.md");
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|after| after.split("```").next().expect("a block ends"))
        .collect();
    assert!(examples.len() >= 3, "{}", examples.len());
    for example in examples {
        assert_eq!(findings(example), Vec::<String>::new(), "{example}");
    }
}

#[test]
fn what_may_be_written_in_several_ways_may_be_so_here() {
    for line in [
        "topic = \"a\"",
        "topic = [\"a\", \"b\"]",
        "qos = 1",
        "qos = \"1\"",
        "mqtt_version = \"3.1\"",
        "max_packet_size = 65536",
        "max_packet_size = \"64 KiB\"",
        "plugin = \"key.wasm\"",
        "plugin = { file = \"key.wasm\", config = { level = 2 } }",
        "plugin = { file = \"key.wasm\", clock = true }",
        "plugin = [\"a.wasm\", { file = \"b.wasm\" }]",
        "plugin_config.key.level = 2",
        "property.user.site = [\"a\", \"b\"]",
        "kafka_config.socket.keepalive.enable = true",
        "kafka_secret.sasl.password = \"file\"",
        "route = [{ topic = \"a\", kafka_topic = \"b\", continue = true }]",
    ] {
        assert_eq!(findings(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn what_is_misspelt_or_of_the_wrong_type_is_found() {
    for line in [
        "topics = \"a\"",
        "config = \"host.toml\"",
        "port = \"1883\"",
        "port = -1",
        "tls_enabled = \"false\"",
        "qos = 3",
        "headers = \"some\"",
        "max_packet_size = \"16MB\"",
        "plugin = { path = \"key.wasm\" }",
        "plugin = { file = \"key.wasm\", sha256 = \"abc\" }",
        "plugin = { file = \"key.wasm\", limits = { tim = 5 } }",
        "plugin = { file = \"key.wasm\", clock = \"real\" }",
        "on_plugin_broken = \"wait\"",
        "plugin_config.key = 1",
        "kafka_secret.sasl.password = 1",
        "kafka_secret = [\"sasl.password=file\"]",
        "route = [{ kafka_topic = \"b\" }]",
        "route = [{ topic = \"a\", client_id = \"b\" }]",
        "continue = true",
    ] {
        assert!(!findings(line).is_empty(), "{line}");
    }
}
