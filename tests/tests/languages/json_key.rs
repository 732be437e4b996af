//! The example of each language does what `plugins/json-key` does.

use host::message::Batch;
use host::plugin::Ability;

use crate::support::{Said, ask, ask_batch, bytes, example, load, plain, wasm};

const CONFIG: &str = r#"{"pointer": "/device/id"}"#;

pub fn finds_the_key(language: &str) {
    let plugins = load(wasm(&example(language)), Some(CONFIG)).expect("a good plugin");
    let mut setters = plugins.instantiate();
    let cases = [
        (r#"{"device": {"id": "dev42"}}"#, bytes("dev42")),
        (r#"{"device": {"id": "\u00fc\n\ud83d\ude00ü"}}"#, bytes("ü\n😀ü")),
        (r#"{"device": {"id": ""}}"#, bytes("")),
        (r#"{"device": {"id": 7}}"#, bytes("7")),
        (r#"{"device": {"id": null}}"#, Said::Null),
        (r#"{"device": {"name": "dev42"}}"#, Said::Default),
        (r#"{"device": ["id"]}"#, Said::Default),
        (r#"{"device": {"id": "dev42"}"#, Said::Default),
        ("7", Said::Default),
        ("", Said::Default),
    ];
    let messages: Vec<_> = cases.iter().map(|(payload, _)| plain(payload)).collect();
    let said = ask(&mut setters, Ability::Key, &messages);
    for ((payload, wanted), said) in cases.iter().zip(&said) {
        assert_eq!(said, wanted, "{payload}");
    }

    let mut batch = Batch::new();
    batch.push(0, 1, &plain("x"));
    let mut deserialized = Batch::new();
    deserialized.push_deserialized(&batch.message(0), Some(r#"{"device": {"id": "dev7"}}"#));
    assert_eq!(ask_batch(&mut setters, Ability::Key, &deserialized), [bytes("dev7")]);
}

pub fn has_no_clock(language: &str) {
    let plugins = load(wasm(&example(language)), Some(CONFIG)).expect("a good plugin");
    let described = plugins.describe().next().expect("a plugin");
    assert_eq!(described.clock, None, "{described}");
}

pub fn refuses_configurations(language: &str) {
    let file = wasm(&example(language));
    for config in [None, Some(r#"{"pointer": "device.id"}"#)] {
        let error = load(file.clone(), config).err().expect("a refusal");
        assert!(error.contains("its configuration: ") && error.contains("`pointer`"), "{error}");
    }
}
