//! Plugins change while messages pass: nothing is lost, doubled or overtaken, and what is no good
//! leaves the old one where it is.

mod control;

use std::path::PathBuf;

use tests::kafka::{Kafka, Record, dead_letters};
use tests::load::{Load, wait_until_carried};
use tests::mosquitto::Mosquitto;
use tests::plugin::plugin;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::wire::Publish;
use tests::{A_WHILE, SOON, eventually, heavy, host::Host};

/// Far less than fifty versions of a plugin take that are not given back, in bytes.
const MEMORY: u64 = 8 << 20;

/// A plugin's file that changes.
struct File {
    folder: Folder,
    path: PathBuf,
}

impl File {
    /// A copy of a package's plugin.
    fn of(package: &str) -> Self {
        let folder = Folder::new("swapping");
        let path = folder.write("key.wasm", wasm(package));
        Self { folder, path }
    }

    /// Puts another file in its place, as a whole.
    fn replace(&self, bytes: &[u8]) {
        self.folder.replace("key.wasm", bytes);
    }
}

fn wasm(package: &str) -> Vec<u8> {
    std::fs::read(plugin(package)).unwrap()
}

/// The same plugin as another file: with a custom section at the end.
fn marked(wasm: &[u8], mark: u32) -> Vec<u8> {
    [wasm, &[0, 9, 4], b"mark", &mark.to_le_bytes()].concat()
}

fn wait_for_swaps(host: &Host, count: usize) {
    eventually(&format!("{count} versions have taken over"), SOON, || {
        (host.errors().matches("takes over").count() == count).then_some(())
    });
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::key_text).collect()
}

/// Messages on `plant/dev/...`, whose key is `dev` for the plugin `topic-level-key`.
fn messages(payloads: &[&str]) -> Vec<Publish> {
    payloads.iter().map(|payload| Publish::new("plant/dev/x", *payload)).collect()
}

#[test]
fn a_hundred_swaps_in_a_row_under_load_lose_nothing_and_keep_the_order() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("hundred-swaps");
    let (file, wasm) = (File::of("json-key"), wasm("json-key"));
    let cases = file.folder.write(
        "cases.jsonl",
        r#"{"topic": "plant/0", "payload": "{\"topic\": 7}", "expect": {"key": "7"}}"#,
    );
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("plugin", file.path.display())
        .flag("plugin-config", r#"{"key": {"pointer": "/topic"}}"#)
        .flag("self-test", cases.display())
        // What is compiled here is of no use to anybody else.
        .environment("XDG_CACHE_HOME", &file.folder.path().to_string_lossy())
        .start();

    let load = Load::start(mosquitto.port(), "plant", 2_000);
    load.wait_for_more(500);
    let mut memory = 0;
    for count in 1..=100 {
        file.replace(&marked(&wasm, count));
        host.hang_up();
        wait_for_swaps(&host, count as usize);
        if count == 50 {
            memory = host.peak_resident_bytes();
        }
    }
    let more = host.peak_resident_bytes() - memory;
    assert!(more < MEMORY, "fifty more versions took {more} bytes more, after {memory}");
    let published = load.stop();

    let duplicates = wait_until_carried(&published, kafka, &topic, A_WHILE);
    assert_eq!(duplicates, 0, "nothing is there twice");
    let ended = host.stop();
    let ledger = ended.assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (published.len() as u64, ledger.received));
    let tried = ended.errors.lines().filter(|line| {
        line.contains("takes over")
            && !line.contains(" 0 recent messages")
            && line.contains(", 1 golden cases)")
    });
    assert_eq!(tried.count(), 100, "each was tried first");
}

#[test]
fn a_file_that_is_no_good_leaves_the_old_one_where_it_is_and_says_why() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("no-good");
    let file = File::of("topic-level-key");
    let cases =
        file.folder.write("cases.jsonl", r#"{"topic": "plant/dev", "expect": {"key": "dev"}}"#);
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("plugin", file.path.display())
        .flag("self-test", cases.display())
        .start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&messages(&["panic for the plugin misbehave"]));
    kafka.wait_for(&topic, 1, SOON);

    let half = wasm("topic-level-key");
    let half = &half[..half.len() / 2];
    for (bytes, why) in [
        (half, "is not valid WebAssembly"),
        (b"no plugin", "not WebAssembly"),
        (&wasm("split-array"), "offers transformer, not key setter"),
        (&wasm("misbehave"), "fails for a recent message on \"plant/dev/x\" (trap)"),
        (&wasm("scripted"), "offers payload deserializer, connect success hook"),
    ] {
        file.replace(bytes);
        host.hang_up();
        let line = host.wait_for_line(why, |line| line.contains(why));
        assert!(line.contains("WARN") && line.contains(" stays: the changed file "), "{line}");
    }
    publisher.publish(&messages(&["x"; 10]));
    let records = kafka.wait_for(&topic, 11, SOON);
    assert_eq!(keys(&records), ["dev"; 11]);
    assert_eq!(host.stop().assert_clean().delivered, 11);
}

#[test]
fn a_watched_file_takes_over_by_itself() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("watched");
    kafka.create_topic(&topic, 1, &[]);
    let file = File::of("misbehave");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("plugin", file.path.display())
        .argument("--watch-plugins")
        .start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&messages(&["a", "b"]));
    kafka.wait_for(&topic, 2, SOON);
    file.replace(&wasm("topic-level-key"));
    wait_for_swaps(&host, 1);
    publisher.publish(&messages(&["c", "d"]));
    let records = kafka.wait_for(&topic, 4, SOON);
    assert_eq!(keys(&records), ["a", "b", "dev", "dev"]);
    assert_eq!(host.stop().assert_clean().delivered, 4);
}

#[test]
fn if_errors_rise_the_old_version_comes_back_by_itself() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("comes-back");
    kafka.create_topic(&topic, 1, &[]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let file = File::of("topic-level-key");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("plugin", file.path.display())
        .start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&messages(&["fine"; 20]));
    kafka.wait_for(&topic, 20, SOON);
    file.replace(&wasm("misbehave"));
    host.hang_up();
    wait_for_swaps(&host, 1);
    // One by one, so that each is a batch.
    (0..9).for_each(|_| publisher.publish(&messages(&["bad luck"])));
    let letters = kafka.wait_for(&dead_letters(&topic), 9, SOON);
    assert_eq!(letters[0].header("reject.error"), Some("bad luck"));
    publisher.publish(&messages(&["bad luck"; 30]));
    let line =
        host.wait_for_line("that the old one comes back", |line| line.contains("comes back"));
    assert!(line.contains("ERROR") && line.contains("the last one: bad luck"), "{line}");
    host.hang_up();
    host.wait_for_line("why it is not taken again", |line| {
        line.contains("is the one that gave way")
    });

    let records = kafka.wait_for(&topic, 50, SOON);
    assert_eq!(keys(&records), ["dev"; 50], "no other message was rejected");
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (50, 9));
}

#[test]
fn a_golden_case_that_fails_stops_the_start() {
    let folder = Folder::new("golden");
    for (case, words) in [
        (
            r#"{"topic": "plant/dev", "expect": {"key": "other"}}"#,
            r#"cases.jsonl:1: key: expected "other", found "dev"; correct"#,
        ),
        (r#"{"topic": "plant/dev", "expects": {}}"#, "cases.jsonl:1: unknown field `expects`"),
    ] {
        let cases = folder.write("cases.jsonl", case);
        let ended = Host::between_ports(1, "plant/#", "127.0.0.1:1", "golden")
            .plugin("topic-level-key")
            .flag("self-test", cases.display())
            .run();
        ended.assert_failed(2, &["--self-test", words]);
    }
}

#[test]
fn without_plugins_a_hang_up_changes_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("hang-up");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();
    host.hang_up();
    host.wait_for_line("that it was asked", |line| line.contains("there are no plugins"));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages(&["x"]));
    kafka.wait_for(&topic, 1, SOON);
    host.stop().assert_clean();
}

#[test]
fn what_waits_for_a_broken_plugin_is_carried_once_a_corrected_one_has_taken_over() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("corrected");
    let file = File::of("misbehave");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("plugin", file.path.display())
        .flag("plugin-failures-limit", 1)
        .start();
    let payloads: Vec<String> = (0..12).map(|number| format!("panic {number}")).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages(&payloads));
    host.wait_for_line("that it is broken", |line| line.contains("is broken"));

    file.replace(&wasm("topic-level-key"));
    host.hang_up();
    wait_for_swaps(&host, 1);
    // One for each pause until then would be minutes for all of them.
    let (records, letters) = eventually("everything is carried", SOON, || {
        let (records, letters) = (kafka.read(&topic), kafka.read_dead_letters(&topic));
        (records.len() + letters.len() == payloads.len()).then_some((records, letters))
    });
    assert!(records.len() > letters.len(), "{} became dead letters", letters.len());
    assert_eq!(keys(&records), vec!["dev"; records.len()]);
    let carried: Vec<_> = records.iter().filter_map(Record::value_text).collect();
    assert_eq!(carried, payloads[letters.len()..], "in order");
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.delivered + ledger.dead_lettered, payloads.len() as u64);
}
