//! Plugins that ask for the time, as their authors and users see them.

use serde_json::Value;
use tests::host::{Builder, Host};
use tests::plugin::plugin;
use tests::scratch::Folder;

/// `host plugin WHAT ARGUMENTS... FILE`, with a plugin whose key is the time if it is asked for.
fn workbench(what: &str, arguments: &[&str]) -> Builder {
    let command = Host::bare().argument("plugin").argument(what);
    let command = arguments.iter().fold(command, |command, argument| command.argument(*argument));
    command.argument(plugin("misbehave").display().to_string())
}

#[test]
fn check_says_that_a_plugin_can_ask_for_the_time_and_whether_it_may() {
    let ended = workbench("check", &[]).run();
    ended.assert_says(&["imports", "mqtt-source:plugin/clock@0.1.0.now-ms"]);
    ended.assert_says(&["clock", "imported", "without --plugin-clock"]);
    workbench("check", &["--plugin-clock"]).run().assert_says(&["clock", "imported, and allowed"]);
    let ended = workbench("check", &["--json"]).run();
    ended.assert_says(&["\"imports_clock\":true"]);
}

#[test]
fn the_time_is_told_to_a_plugin_that_may_know_it() {
    let ended = workbench("run", &["--payload", "time"]).run();
    assert_eq!(ended.code, Some(1));
    ended.assert_says(&[
        "rejected by misbehave (trap)",
        "asked for the time",
        "clock = true",
        "--plugin-clock",
    ]);
    let by_option = workbench("run", &["--payload", "time", "--json", "--plugin-clock"]);
    let by_environment =
        workbench("run", &["--payload", "time", "--json"]).environment("HOST_PLUGIN_CLOCK", "true");
    for allowed in [by_option, by_environment.clone()] {
        let ended = allowed.run();
        let found: Value = serde_json::from_str(&ended.output).expect("an object");
        let time = found["outcome"]["key"].as_str().and_then(|key| key.parse::<i64>().ok());
        // Whatever this machine's clock says, it is later than this test was written.
        assert!(time.is_some_and(|time| time > 1_750_000_000_000), "{found}");
    }
    let denied = by_environment.argument("--plugin-clock=false").run();
    assert_eq!(denied.code, Some(1), "{}", denied.output);
}

/// Cases whose outcome is the same whenever they are run.
const CASES: &str = r#"{"topic": "a", "payload": "time", "expect": {"key": "1700000000000"}}
{"topic": "a", "payload": "time", "received_at": 7, "expect": {"key": "7"}}
"#;

#[test]
fn golden_cases_have_a_clock_that_stands_at_the_arrival_of_their_message() {
    let folder = Folder::new("clock");
    let cases = folder.write("cases.jsonl", CASES).display().to_string();
    let ended = workbench("test", &["--plugin-clock", "--cases", &cases]).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    ended.assert_says(&["2 passed, 0 failed"]);
    let ended = workbench("test", &["--cases", &cases]).run();
    assert_eq!(ended.code, Some(1), "a case does not give a permission");
    ended.assert_says(&["cases.jsonl:1:", "asked for the time"]);
}

#[test]
fn the_cases_of_a_self_test_have_the_same_clock_and_the_permission_of_the_file() {
    let folder = Folder::new("clock");
    let file = plugin("misbehave").display().to_string();
    folder.write("cases.jsonl", CASES);
    let check = |clock: &str| {
        let text = format!(
            "topic = \"#\"\nclient_id = \"c\"\nserver = \"127.0.0.1\"\nport = 1883\n\
             tls_enabled = false\nbroker_address = \"127.0.0.1:1\"\nkafka_topic = \"plant\"\n\
             self_test = \"cases.jsonl\"\nplugin = {{ file = \"{file}\"{clock} }}\n"
        );
        let config = folder.write("host.toml", text).display().to_string();
        Host::bare().argument("config").argument("check").argument(config).run()
    };
    let ended = check(", clock = true");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{}", ended.output);
    ended.assert_says(&["misbehave.wasm", "key setter (packed); may ask for the time;"]);
    check("").assert_failed(2, &["cases.jsonl:1", "asked for the time", "clock = true"]);
}

#[test]
fn two_versions_of_a_plugin_see_the_same_time_for_a_recorded_message() {
    let folder = Folder::new("clock");
    let file = plugin("misbehave").display().to_string();
    let lines = "{\"topic\": \"a\", \"payload\": \"time\", \"received_at\": 7}\n";
    let input = folder.write("messages.jsonl", lines).display().to_string();
    let command = Host::bare()
        .argument("plugin")
        .argument("replay")
        .flag("input", input)
        .flag("plugin", &file)
        .argument("--plugin-clock");
    let ended = command.clone().argument("--json").run();
    let found: Value = serde_json::from_str(&ended.output).expect("an object");
    assert_eq!(found["now"]["key"], "7", "{}", ended.errors);
    let ended = command.flag("with", file).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
}
