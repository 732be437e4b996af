//! `host plugin check`, `run`, `test`, `bench`, `capture` and `replay`, as the author of a plugin sees them.

use serde_json::{Value, json};
use tests::host::{Builder, Ended, Host};
use tests::kafka::{Kafka, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::plugin::plugin;
use tests::publisher::Publisher;
use tests::scratch::{Folder, free_port};
use tests::wire::Publish;
use tests::{SOON, eventually};

/// `host plugin WHAT` with the file of a package.
fn workbench(what: &str, package: &str) -> Builder {
    let file = plugin(package).display().to_string();
    Host::bare().argument("plugin").argument(what).argument(file)
}

/// Standard output as JSON, an object a line.
fn objects(ended: &Ended) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    ended.output.lines().map(read).collect()
}

#[test]
fn check_says_what_a_plugin_is_and_what_it_answers() {
    let ended = workbench("check", "topic-level-key").run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{}", ended.output);
    ended.assert_says(&["provides", "key setter (packed)"]);
    ended.assert_says(&["imports", "mqtt-source:plugin/host"]);
    ended.assert_says(&["size", "KiB (module; code"]);
    ended.assert_says(&["start", "compiled in"]);
    ended.assert_says(&["key", "line-1", "without plugins: line-1/sensor-42"]);
    assert!(!ended.output.contains("warning"), "{}", ended.output);

    let ended = workbench("check", "topic-level-key").argument("--json").run();
    let [found] = objects(&ended).try_into().expect("one object");
    assert_eq!(found["abilities"], json!([{"ability": "key setter", "packed": true}]));
    assert_eq!(found["sample"]["outcome"]["key"], "line-1");
    assert_eq!(found["warnings"], json!([]));
    // What the template promises.
    assert!(found["size_bytes"].as_u64().is_some_and(|size| size < 60_000), "{found}");
}

#[test]
fn check_ends_with_2_for_a_file_that_cannot_be_used_and_looks_at_the_others_all_the_same() {
    let folder = Folder::new("workbench");
    let nonsense = folder.write("nonsense.wasm", "nonsense").display().to_string();
    let ended = workbench("check", "topic-level-key").argument(nonsense.clone()).run();
    ended.assert_failed(2, &["host: plugin", "nonsense.wasm", "not WebAssembly"]);
    ended.assert_says(&["provides", "key setter"]);

    let missing = workbench("check", "json-key").argument("--json").run();
    missing.assert_failed(2, &["does not start without its configuration", "pointer"]);
    let [found] = objects(&missing).try_into().expect("one object");
    assert!(found["error"].as_str().is_some_and(|error| error.contains("pointer")), "{found}");

    let config = r#"{"json_key": {"pointer": "/device/id"}}"#;
    let ended = workbench("check", "json-key").flag("plugin-config", config).run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    ended.assert_says(&["key", "sensor-42"]);
    ended.assert_says(&["takes a configuration"]);
}

#[test]
fn run_shows_a_message_before_and_after_with_the_log_between() {
    let ended = workbench("run", "misbehave")
        .flag("topic", "plant/press")
        .flag("payload", "log the press")
        .run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ended.output.lines().collect();
    assert_eq!(lines[0], "plant/press  log the press");
    assert!(
        lines[1].trim_start().starts_with("INFO  misbehave") && lines[1].ends_with("the press")
    );
    ended.assert_says(&["key", "log the press", "(without plugins: plant/press)"]);
    ended.assert_says(&["value", "the payload"]);
    ended.assert_says(&["took", "; misbehave has", "MiB"]);
}

#[test]
fn run_names_the_place_of_a_trap_and_goes_on_with_the_next_message_in_a_fresh_instance() {
    let folder = Folder::new("workbench");
    let lines = "{\"topic\": \"a\", \"payload\": \"panic at once\"}\n\
                 {\"topic\": \"a\", \"payload\": \"recurse\"}\n\
                 {\"topic\": \"a\", \"payload\": \"bad day\"}\n\
                 {\"topic\": \"a\", \"payload\": {\"n\": 1}}\n";
    let input = folder.write("messages.jsonl", lines).display().to_string();
    let ended = workbench("run", "misbehave").flag("input", &input).argument("--json").run();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    let found = objects(&ended);
    let outcomes: Vec<&Value> = found.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(found[0]["place"], format!("{input}:1"));
    assert_eq!(outcomes[0]["reject"]["reason"], "trap");
    let told = outcomes[0]["reject"]["error"].as_str().expect("an error");
    assert!(told.contains("misbehave/src/lib.rs") && told.contains("at once"), "{told}");
    let told = outcomes[1]["reject"]["error"].as_str().expect("an error");
    assert!(told.contains("misbehave::recurse"), "{told}");
    assert_eq!(
        outcomes[2]["reject"],
        json!({"reason": "bad-message", "error": "bad day", "plugin": "misbehave"})
    );
    assert_eq!(outcomes[3]["key"], "{\"n\": 1}");
    assert_eq!(found[3]["without_plugins"]["key"], "a");
    assert!(found[3]["time_ns"].as_u64().is_some_and(|time| time > 0));
}

#[test]
fn run_applies_the_limits_that_it_is_given() {
    let slow = workbench("run", "misbehave").flag("payload", "loop").flag("plugin-time-limit", 7);
    let ended = slow.run();
    assert_eq!(ended.code, Some(1));
    ended.assert_says(&["rejected by misbehave (time-out)", "7 ms"]);
    let large = workbench("run", "misbehave")
        .flag("payload", "huge")
        // A busy machine may take long for that much memory.
        .flag("plugin-time-limit", 10_000)
        .environment("HOST_PLUGIN_OUTPUT_LIMIT", "1MiB");
    large.run().assert_says(&["rejected by misbehave", "1 MiB"]);
}

#[test]
fn run_shows_every_record_of_a_chain_of_transformers() {
    let folder = Folder::new("workbench");
    let line = "{\"topic\": \"plant/temp\", \"payload\": [1, 2, 30]}\n";
    let input = folder.write("messages.jsonl", line).display().to_string();
    let dead_band = plugin("dead-band").display().to_string();
    let ended = workbench("run", "split-array")
        .argument(dead_band)
        .flag("plugin-config", r#"{"dead_band": {"threshold": 5}}"#)
        .flag("input", &input)
        .argument("--json")
        .run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let [found] = objects(&ended).try_into().expect("one object");
    let values: Vec<&Value> = found["outcome"]["records"]
        .as_array()
        .map(|records| records.iter().map(|record| &record["value"]).collect())
        .unwrap_or_default();
    assert_eq!(values, ["1", "30"], "{found}");
}

#[test]
fn wrong_messages_are_named_by_file_and_line() {
    let folder = Folder::new("workbench");
    let input = folder.write("messages.jsonl", "{\"topic\": \"a\"}\n\n{\"topik\": \"a\"}\n");
    let ended = workbench("run", "misbehave").flag("input", input.display()).run();
    ended.assert_failed(2, &["messages.jsonl:3", "unknown field `topik`"]);
    let ended = workbench("run", "misbehave").flag("input", "/nowhere.jsonl").run();
    ended.assert_failed(2, &["/nowhere.jsonl cannot be read", "check the path"]);
    let ended = workbench("run", "misbehave").flag("topic", "a/#").flag("payload", "x").run();
    assert_eq!(ended.code, Some(2));
    let ended = workbench("run", "misbehave").flag("payload", "@/nowhere").run();
    assert_eq!(ended.code, Some(2));
}

#[test]
fn test_compares_cases_and_update_writes_what_comes_of_them() {
    let folder = Folder::new("workbench");
    let right = "{\"topic\": \"a\", \"payload\": \"skip it\", \"expect\": {\"skip\": true}}";
    let lines = format!(
        "{right}\n\n\
         {{\"topic\": \"a\", \"payload\": \"null\", \"expect\": {{\"key\": \"x\"}}}}\n\
         {{\"topic\": \"a\", \"payload\": {{\"n\":  1}}}}\n"
    );
    let file = folder.write("cases.jsonl", lines);
    let cases = file.display().to_string();
    let ended = workbench("test", "misbehave").flag("cases", &cases).run();
    assert_eq!(ended.code, Some(1));
    ended.assert_says(&[&format!("{cases}:3: key: expected \"x\", found null")]);
    ended.assert_says(&[&format!("{cases}:4: there is no \"expect\"")]);
    ended.assert_says(&["1 passed, 2 failed; at most", "instructions a message"]);

    let ended = workbench("test", "misbehave").flag("cases", &cases).argument("--update").run();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    ended.assert_says(&["3 passed (2 updated), 0 failed"]);
    let written = std::fs::read_to_string(&file).expect("the cases");
    assert_eq!(written.lines().take(2).collect::<Vec<_>>(), [right, ""], "what is right stays");
    assert!(written.contains("\"payload\":{\"n\":  1}"), "payloads stay as written: {written}");

    let ended = workbench("test", "misbehave").flag("cases", &cases).argument("--json").run();
    assert_eq!(ended.code, Some(0));
    assert!(objects(&ended).iter().all(|case| case["passed"] == true));

    let strict = workbench("test", "misbehave").flag("cases", &cases).flag("instructions-limit", 1);
    let ended = strict.run();
    assert_eq!(ended.code, Some(1));
    ended.assert_says(&["instructions, 1 are allowed"]);
}

#[test]
fn test_finds_answers_that_depend_on_what_came_before() {
    let folder = Folder::new("workbench");
    let first = "{\"topic\": \"t\", \"payload\": 1, \"expect\": {\"value\": 1}}";
    let lines =
        format!("{first}\n{{\"topic\": \"t\", \"payload\": 2, \"expect\": {{\"skip\": true}}}}\n");
    let cases = folder.write("cases.jsonl", lines).display().to_string();
    let dead_band = || {
        workbench("test", "dead-band")
            .flag("plugin-config", r#"{"dead_band": {"threshold": 5}}"#)
            .flag("cases", &cases)
    };
    let ended = dead_band().run();
    assert_eq!(ended.code, Some(1));
    ended.assert_says(&[&format!("{cases}:2: a fresh instance answers"), "--stateful"]);
    let ended = dead_band().argument("--stateful").run();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[test]
fn a_file_without_cases_is_no_success() {
    let folder = Folder::new("workbench");
    let cases = folder.write("cases.jsonl", "\n").display().to_string();
    let ended = workbench("test", "misbehave").flag("cases", cases).run();
    ended.assert_failed(2, &["cases.jsonl has no cases", "\"expect\""]);
}

#[test]
fn bench_measures_every_batch_size_and_the_memory() {
    let ended =
        workbench("bench", "topic-level-key").flag("count", 20_000).argument("--json").run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let [found] = objects(&ended).try_into().expect("one object");
    let batches = found["batches"].as_array().expect("batches");
    let sizes: Vec<_> = batches.iter().map(|batch| batch["batch"].as_u64()).collect();
    assert_eq!(sizes, [Some(1), Some(8), Some(64)]);
    for batch in batches {
        let time = |name: &str| batch[format!("{name}ns_per_message")].as_u64().expect("a time");
        assert!(time("") > 0 && time("entry_") > 0, "{batch}");
        let parts = ["without_plugins_", "entry_", "copy_", "plugins_"].map(time);
        assert!(parts.iter().sum::<u64>() >= time(""), "{batch}");
        let (now, first) = (&batch["memory_bytes"], &found["start_memory_bytes"]);
        let grown = now.as_u64().zip(first.as_u64()).map(|(now, first)| now - first);
        assert!(grown.is_some_and(|grown| grown < 1 << 20), "it keeps nothing: {found}");
    }
    let ended = workbench("bench", "topic-level-key").flag("count", 1000).run();
    ended.assert_says(&["batch", "a message", "without plugins", "entry", "copy"]);
}

#[test]
fn capture_records_what_is_published_and_takes_nothing_from_anybody() {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("workbench");
    let output = folder.path().join("messages.jsonl").display().to_string();
    let capture = Host::bare()
        .argument("plugin")
        .argument("capture")
        .flag("server", "127.0.0.1")
        .flag("port", mosquitto.port())
        .argument("--tls-enabled=false")
        .flag("client-id", "plant-1")
        .flag("topic", "$share/bridges/plant/#")
        .flag("output", &output)
        .flag("count", 3);
    let running = capture.launch();
    running.wait_until_ready();
    let log = mosquitto.log();
    assert!(log.contains("plant-1-capture"), "{log}");
    let messages = [
        Publish::new("plant/a", "text"),
        Publish::new("other", "not asked for"),
        Publish::new("plant/b", [0xff, 0x00]),
        Publish::new("plant/c", "{\"n\": 1}"),
    ];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    let ended = running.wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.errors.contains("3 messages recorded"), "{}", ended.errors);
    let written = std::fs::read_to_string(&output).expect("the recording");
    let lines: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["topic"], "plant/a");
    assert_eq!((&lines[0]["payload"], &lines[0]["qos"]), (&json!("text"), &json!(0)));
    assert_eq!(lines[1]["payload_base64"], "/wA=");
    assert_eq!(lines.len(), 3);

    let tried = workbench("run", "misbehave").flag("input", &output).run();
    assert_eq!(tried.code, Some(0), "{}", tried.errors);
    tried.assert_says(&["3 messages: 2 records", "1 rejected (0 by a failure of a plugin)"]);

    // A recording is not written over.
    let again = capture.run();
    again.assert_failed(2, &["messages.jsonl is there already", "name another file"]);
}

#[test]
fn capture_ends_when_asked_to_or_when_time_is_up_and_says_what_it_cannot_reach() {
    let mosquitto = Mosquitto::start();
    let capture = |port: u16| {
        Host::bare()
            .argument("plugin")
            .argument("capture")
            .flag("server", "127.0.0.1")
            .flag("port", port)
            .argument("--tls-enabled=false")
            .flag("client-id", "plant-1")
            .flag("topic", "plant/#")
    };
    let running = capture(mosquitto.port()).launch();
    running.wait_until_ready();
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("plant/a", "x")]);
    running.wait_for_line("the message", |line| line.contains("\"plant/a\""));
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let ended = capture(free_port()).flag("seconds", 1).run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(
        ended.errors.contains("cannot be reached"),
        "it says why there is nothing: {}",
        ended.errors
    );
}

#[test]
fn replay_shows_what_would_become_of_dead_letters_beside_what_became_of_them() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("replay");
    let bridge = Host::between(&mosquitto, "plant/#", kafka, &topic);
    let host = bridge.clone().plugin("misbehave").start();
    let messages = [
        Publish::new("plant/dev1/a", "panic at once"),
        Publish::new("plant/dev2/a", "fine"),
        Publish::new("plant/dev3/a", [0xff, 0x00]),
    ];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    kafka.wait_for(&dead_letters(&topic), 2, SOON);
    assert_eq!(host.stop().assert_clean().dead_lettered, 2);

    // Of the options only those about Kafka and plugins are needed.
    let replay = |package: &str| {
        Host::bare()
            .argument("plugin")
            .argument("replay")
            .flag("broker-address", kafka.address())
            .flag("kafka-topic", &topic)
            .plugin(package)
    };
    let ended = replay("topic-level-key").run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{}", ended.output);
    ended.assert_says(&["plant/dev1/a", "panic at once", &format!("{topic}.dead-letter[")]);
    ended.assert_says(&["then: rejected by misbehave (trap)", "at once"]);
    ended.assert_says(&["key", "dev1"]);
    ended.assert_says(&["2 dead letters: 2 would be carried now, 0 would be rejected again"]);

    let ended = replay("misbehave").argument("--json").run();
    assert_eq!(ended.code, Some(1), "they would be rejected again: {}", ended.errors);
    let found = objects(&ended);
    let of = |topic: &str| found.iter().find(|line| line["topic"] == topic).expect("a line");
    assert_eq!(of("plant/dev1/a")["then"]["reject"]["reason"], "trap");
    assert_eq!(of("plant/dev1/a")["now"]["reject"]["reason"], "trap");
    assert_eq!(of("plant/dev3/a")["payload_base64"], "/wA=");
    assert_eq!(of("plant/dev3/a")["now"]["reject"]["reason"], "bad-message");

    // Nobody has noticed.
    assert_eq!(kafka.count(&dead_letters(&topic)), 2);
    assert_eq!(bridge.subcommand("plugin replay").argument("--count=1").run().code, Some(0));
}

#[test]
fn replay_says_what_it_cannot_read() {
    let kafka = Kafka::shared();
    let replay = |topic: &str, broker: &str| {
        Host::bare()
            .argument("plugin")
            .argument("replay")
            .flag("broker-address", broker)
            .flag("kafka-topic", topic)
    };
    let topic = Kafka::unused_topic("nothing");
    let ended = replay(&topic, kafka.address()).run();
    ended.assert_failed(
        1,
        &["cannot read Kafka topic", &dead_letters(&topic), "there is no such topic"],
    );
    let ended = replay(&topic, &format!("127.0.0.1:{}", free_port())).run();
    ended.assert_failed(1, &["cannot read Kafka topic", "check --broker-address"]);
    let ended = replay(&topic, kafka.address()).flag("on-error", "skip").run();
    ended.assert_failed(1, &["there is no dead-letter topic"]);
}

#[test]
fn new_begins_a_plugin_in_a_folder_of_its_own_and_writes_over_nothing() {
    let folder = Folder::new("workbench");
    let new = |name: &str| {
        Host::bare().argument("plugin").argument("new").argument(name).within(folder.path())
    };
    let ended = new("line-key").flag("ability", "key,transformer").run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    ended.assert_says(&["line-key is a plugin in rust", "README.md"]);
    let source = std::fs::read_to_string(folder.path().join("line-key/src/lib.rs"));
    let source = source.expect("the source");
    assert!(source.contains("#[key_setter]") && source.contains("#[transformer]"), "{source}");
    assert!(!source.contains("#[value_setter]"), "{source}");

    let ended = new("other-key").argument("--json").run();
    let [begun] = objects(&ended).try_into().expect("one object");
    assert_eq!((&begun["folder"], &begun["language"]), (&json!("other-key"), &json!("rust")));
    assert!(
        begun["files"]
            .as_array()
            .is_some_and(|files| files.contains(&json!("other-key/README.md")))
    );
    assert_eq!(begun["missing_sdk"], Value::Null);

    new("line-key").run().assert_failed(2, &["line-key is there already", "another name"]);
    for wrong in ["Line", "../key", "1st", ""] {
        assert_eq!(new(wrong).run().code, Some(2), "{wrong:?}");
    }
    assert_eq!(new("other").flag("lang", "cobol").run().code, Some(2));
    assert!(!folder.path().join("other").exists());
}

#[test]
fn new_knows_every_language() {
    let folder = Folder::new("workbench");
    for (lang, file) in [
        ("rust", "Cargo.toml"),
        ("c", "Makefile"),
        ("go", "go.mod"),
        ("js", "package.json"),
        ("python", "Makefile"),
    ] {
        let name = format!("a-{lang}");
        let new = Host::bare().argument("plugin").argument("new").argument(&name);
        let ended = new.flag("lang", lang).within(folder.path()).run();
        assert_eq!(ended.code, Some(0), "{lang}: {}", ended.errors);
        for file in [file, "README.md", "cases.jsonl"] {
            assert!(folder.path().join(&name).join(file).is_file(), "{lang}: {file}");
        }
    }
}

#[test]
fn watch_tries_plugins_again_whenever_something_is_saved() {
    let folder = Folder::new("workbench");
    let put = |name: &str, bytes: &[u8]| folder.replace(name, bytes);
    let wasm = |package: &str| std::fs::read(plugin(package)).expect("a built plugin");
    put("key.wasm", &wasm("topic-level-key"));
    put("cases.jsonl", br#"{"topic": "a/b", "payload": "c", "expect": {"key": "b"}}"#);
    let host = Host::bare()
        .argument("plugin")
        .argument("watch")
        .argument("key.wasm")
        .within(folder.path())
        .launch();
    let next = |rounds: usize, words: &str| {
        eventually(&format!("it has tried {rounds} times: {words}"), SOON, || {
            let output = host.output();
            let tried = output.matches("waiting for a change").count() == rounds;
            (tried && output.contains(words)).then_some(())
        });
    };
    next(1, "1 passed, 0 failed");
    put("cases.jsonl", br#"{"topic": "a/b", "payload": "c", "expect": {"key": "c"}}"#);
    next(2, "cases.jsonl:1: key: expected \"c\", found \"b\"");
    put("key.wasm", b"nonsense");
    host.wait_for_line("what is wrong", |line| line.contains("not WebAssembly"));
    put("key.wasm", &wasm("misbehave"));
    next(3, "1 passed, 0 failed");
    host.kill();
}

#[test]
fn watch_builds_when_a_source_is_saved_and_says_if_that_fails() {
    let folder = Folder::new("workbench");
    let built = plugin("topic-level-key").display().to_string();
    folder.write("source", "good");
    let host = Host::bare()
        .argument("plugin")
        .argument("watch")
        .argument("key.wasm")
        .flag("build", format!("grep -q good source && cp {built} key.wasm"))
        .within(folder.path())
        .launch();
    let said = |words: &str| {
        host.wait_for_line(words, |line| line.contains(words));
    };
    said("provides");
    said("waiting for a change");
    folder.write("source", "a mistake");
    said("failed: exit status: 1");
    host.kill();
}
