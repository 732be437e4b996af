//! The committed worlds of the attributes are what the contract says.

use std::path::PathBuf;

use wit_component::StringEncoding;
use wit_parser::Resolve;

const UPDATE: &str = "UPDATE_WORLDS";

/// A world per attribute.
const WORLDS: [&str; 8] = [
    "sdk-key-plugin",
    "sdk-value-plugin",
    "sdk-timestamp-plugin",
    "sdk-deserializer-plugin",
    "sdk-transformer-plugin",
    "sdk-configurable",
    "sdk-connect-success-plugin",
    "sdk-connect-failure-plugin",
];

#[test]
fn the_committed_worlds_match_the_contract() {
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut resolve = Resolve::default();
    let package = resolve.push_file(wit.join("plugin.wit")).expect("the contract is valid WIT");
    for name in WORLDS {
        let world =
            resolve.select_world(&[package], Some(name)).expect("the contract has this world");
        let encoded = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
            .expect("a world can be encoded");
        let file = wit.join(format!("{name}.bin"));
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&file, &encoded).expect("the worlds can be written");
        }
        assert!(
            std::fs::read(&file).is_ok_and(|committed| committed == encoded),
            "{} is not what plugin.wit says: {UPDATE}=1 cargo test -p plugin-sdk --test worlds",
            file.display(),
        );
    }
}
