//! What plugins become: modules that need no further tool, with the exports of the attributes
//! used and nothing to import but what they call.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::path::PathBuf;
use std::process::Command;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm};

const HOST: &str = "mqtt-source:plugin/host@0.1.0";
const CLOCK: &str = "mqtt-source:plugin/clock@0.1.0";
const TYPES: &str = "mqtt-source:plugin/types@0.1.0";

/// Builds a plugin of this workspace, and returns the module.
fn build(package: &str) -> Vec<u8> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--profile", "plugin", "--target", "wasm32-unknown-unknown"]);
    cargo.args(["--package", package, "--message-format", "json"]);
    let output = cargo.output().expect("cargo can be started");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{package} does not build: {said}\n{messages}");
    let module = messages.split('"').find(|text| text.ends_with(&wasm(package)));
    let module = PathBuf::from(module.expect("cargo names what it built"));
    std::fs::read(&module).expect("cargo built it")
}

fn wasm(package: &str) -> String {
    format!("/{}.wasm", package.replace('-', "_"))
}

/// The names that the component made of a module imports and exports, sorted.
fn interfaces(module: &[u8]) -> (Vec<String>, Vec<String>) {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .expect("the module carries its contract");
    let decoded = wit_component::decode(&component).expect("it is a component");
    let DecodedWasm::Component(resolve, world) = decoded else {
        panic!("it is a WIT package");
    };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<_>| {
        let mut names: Vec<_> = keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
        names.sort();
        names
    };
    (names(world.imports.keys().collect()), names(world.exports.keys().collect()))
}

#[test]
fn one_attribute_exports_the_typed_and_the_packed_interface() {
    let (imports, exports) = interfaces(&build("topic-level-key"));
    assert_eq!(imports, [HOST, TYPES]);
    assert_eq!(
        exports,
        ["mqtt-source:plugin/key-setter@0.1.0", "mqtt-source:plugin/packed-key-setter@0.1.0",]
    );
}

#[test]
fn several_attributes_export_all_of_theirs() {
    let (imports, exports) = interfaces(&build("describe"));
    assert_eq!(imports, [HOST, TYPES]);
    assert_eq!(
        exports,
        [
            "mqtt-source:plugin/key-setter@0.1.0",
            "mqtt-source:plugin/packed-key-setter@0.1.0",
            "mqtt-source:plugin/packed-timestamp-setter@0.1.0",
            "mqtt-source:plugin/packed-value-setter@0.1.0",
            "mqtt-source:plugin/timestamp-setter@0.1.0",
            "mqtt-source:plugin/value-setter@0.1.0",
        ]
    );
}

#[test]
fn functions_besides_setters_export_their_interfaces() {
    let (imports, exports) = interfaces(&build("scripted"));
    assert_eq!(imports, [CLOCK, HOST, TYPES]);
    assert_eq!(
        exports,
        [
            "mqtt-source:plugin/connect-failure-hook@0.1.0",
            "mqtt-source:plugin/connect-success-hook@0.1.0",
            "mqtt-source:plugin/lifecycle@0.1.0",
            "mqtt-source:plugin/packed-payload-deserializer@0.1.0",
            "mqtt-source:plugin/payload-deserializer@0.1.0",
        ]
    );
}

#[test]
fn a_transformer_exports_the_packed_interface_alone() {
    let (imports, exports) = interfaces(&build("split-array"));
    assert_eq!(imports, [HOST]);
    assert_eq!(exports, ["mqtt-source:plugin/packed-transformer@0.1.0"]);
}

#[test]
fn only_a_plugin_that_asks_for_the_time_imports_the_clock() {
    let (imports, _) = interfaces(&build("misbehave"));
    assert_eq!(imports, [CLOCK, HOST, TYPES]);
}

#[test]
fn a_module_is_small_and_says_what_it_was_made_of() {
    let module = build("topic-level-key");
    assert!(module.len() < 60_000, "{} bytes", module.len());
    let about = Parser::new(0).parse_all(&module).find_map(|payload| match payload {
        Ok(Payload::CustomSection(section)) if section.name() == "mqtt-source:sdk" => {
            Some(section.data())
        }
        _ => None,
    });
    let about: serde_json::Value =
        serde_json::from_slice(about.expect("the section is there")).expect("it is JSON");
    let version = env!("CARGO_PKG_VERSION");
    let expected = serde_json::json!({
        "sdk": "plugin-sdk",
        "sdk_version": version,
        "plugin": "topic-level-key",
        "plugin_version": version,
    });
    assert_eq!(about, expected);
}

#[test]
fn traps_can_name_the_functions_that_they_happened_in() {
    let module = build("topic-level-key");
    let mut sections = Parser::new(0).parse_all(&module);
    let named = sections.any(|payload| match payload {
        Ok(Payload::CustomSection(section)) => section.name() == "name",
        _ => false,
    });
    assert!(named, "the profile `plugin` strips names");
}
