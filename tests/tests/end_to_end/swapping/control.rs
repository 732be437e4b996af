//! `host plugin swap` has a running host look at its plugins' files, and says what became of each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::{Value, json};
use tests::host::{Builder, Ended};

use super::*;

const SWAP: &[u8] = b"{\"command\": \"swap\"}\n";

/// More clients than host attends to at a time.
const MANY: usize = 10;

/// A host with a plugin, and a control socket beside the plugin's file.
fn controlled(mosquitto: &Mosquitto, topic: &str, file: &File) -> (Builder, PathBuf) {
    let socket = file.folder.path().join("control.sock");
    let host = Host::between(mosquitto, "plant/#", Kafka::shared(), topic)
        .flag("plugin", file.path.display())
        .flag("control-socket", socket.display());
    (host, socket)
}

fn swap(socket: &Path) -> Builder {
    Host::bare().argument("plugin").argument("swap").flag("control-socket", socket.display())
}

fn connect(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).expect("host listens");
    client.set_read_timeout(Some(SOON)).expect("a time");
    client
}

/// What host answers to this, as JSON.
fn answer(mut client: &UnixStream, request: &[u8]) -> Value {
    client.write_all(request).expect("it is taken");
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[track_caller]
fn assert_says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.output, ended.errors);
    ended.assert_says(words);
}

#[test]
fn a_good_version_takes_over_when_asked_and_carries_what_comes_then() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("asked");
    kafka.create_topic(&topic, 1, &[]);
    let file = File::of("misbehave");
    let cases =
        file.folder.write("cases.jsonl", r#"{"topic": "plant/a", "expect": {"value": ""}}"#);
    let (host, socket) = controlled(&mosquitto, &topic, &file);
    let host = host.flag("self-test", cases.display()).start();
    let metadata = std::fs::metadata(&socket).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&messages(&["a"]));
    kafka.wait_for(&topic, 1, SOON);

    assert_says(&swap(&socket).run(), 0, &["key.wasm: the file has not changed (version "]);
    file.replace(&wasm("topic-level-key"));
    let ended = swap(&socket).run();
    assert_says(&ended, 0, &["takes over from", "1 recent messages, 1 golden cases"]);
    publisher.publish(&messages(&["b"]));
    let records = kafka.wait_for(&topic, 2, SOON);
    assert_eq!(keys(&records), ["a", "dev"]);

    file.replace(&wasm("misbehave"));
    let ended = swap(&socket).argument("--json").run();
    let told: Value = serde_json::from_str(&ended.output).expect("one object");
    assert_eq!((ended.code, &told["outcome"]), (Some(0), &json!("takes-over")));
    assert_eq!(told["file"], json!(file.path));
    assert_eq!(told["to"].as_str().map(str::len), Some(64), "{told}");

    assert_eq!(host.stop().assert_clean().delivered, 2);
    assert!(!socket.exists(), "it is removed at the end");
    let ended = swap(&socket).run();
    ended.assert_failed(2, &["nobody listens on --control-socket", "is host running with"]);
}

#[test]
fn a_version_that_is_refused_is_told_with_the_reason_and_the_old_one_stays() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("asked-in-vain");
    let file = File::of("topic-level-key");
    let (host, socket) = controlled(&mosquitto, &topic, &file);
    let config = file.folder.write("host.toml", "control_socket = \"control.sock\"");
    let host = host.without("control-socket").flag("config", config.display()).start();
    let swap = || Host::bare().argument("plugin").argument("swap");

    for bad in [b"no plugin".to_vec(), wasm("split-array")] {
        file.replace(&bad);
        let ended = swap().flag("config", config.display()).run();
        assert_says(&ended, 1, &["key.wasm: version", "stays: the changed file"]);
    }
    let json = swap().argument("--json").environment("HOST_CONFIG", &config.to_string_lossy());
    let told: Value = serde_json::from_str(&json.run().output).expect("one object");
    assert_eq!(told["outcome"], "stays");
    assert!(told["reason"].as_str().is_some_and(|reason| reason.contains("offers")), "{told}");

    Publisher::connect(mosquitto.port(), "publisher").publish(&messages(&["x"]));
    assert_eq!(keys(&kafka.wait_for(&topic, 1, SOON)), ["dev"]);
    host.stop().assert_clean();
    let ended = swap().environment("HOST_CONTROL_SOCKET", &socket.to_string_lossy()).run();
    ended.assert_failed(2, &["nobody listens on HOST_CONTROL_SOCKET"]);
    swap().run().assert_failed(2, &["--control-socket is missing"]);
}

#[test]
fn a_host_without_plugins_says_that_it_has_none() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let file = File::of("misbehave");
    let (host, socket) = controlled(&mosquitto, &kafka.topic("asked-for-none"), &file);
    let host = host.without("plugin").start();
    assert_says(&swap(&socket).run(), 0, &["has no plugins"]);
    host.stop().assert_clean();
}

#[test]
fn an_answer_that_takes_long_is_waited_for_and_that_is_said() {
    let folder = Folder::new("control");
    let socket = folder.path().join("control.sock");
    let silent = UnixListener::bind(&socket).expect("a socket");
    let asking = swap(&socket).launch();
    let (mut client, _) = silent.accept().expect("it asks");
    asking.wait_for_line("that it waits", |line| {
        line.contains("has not answered for 1") && line.contains("Ctrl-C")
    });
    client.write_all(b"{\"plugins\": []}\n").expect("it listens");
    assert_says(&asking.wait(SOON), 0, &["has no plugins"]);
}

#[test]
fn clients_that_say_rubbish_or_nothing_do_not_disturb_host_while_messages_pass() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("rubbish");
    let file = File::of("json-key");
    let (host, socket) = controlled(&mosquitto, &topic, &file);
    let host = host.flag("plugin-config", r#"{"key": {"pointer": "/topic"}}"#).start();
    let load = Load::start(mosquitto.port(), "plant", 2_000);
    load.wait_for_more(500);

    let client = connect(&socket);
    let told = answer(&client, b"GET / HTTP/1.1\r\n");
    let error = told["error"].as_str().expect("an error");
    assert!(error.contains(r#"write {"command": "swap"}"#), "{told}");
    assert_eq!((&client).read(&mut [0]).expect("the end"), 0, "nothing more is expected of it");
    let told = answer(&connect(&socket), &[b'x'; 5_000]);
    assert_eq!(told, json!({"error": "a request has 4096 bytes at most"}));
    // It goes away without waiting for an answer, and one in the middle of a line.
    connect(&socket).write_all(SWAP).expect("it is taken");
    connect(&socket).write_all(b"{\"comm").expect("it is taken");
    host.wait_for_line("that it was asked", |line| line.contains("has not changed"));

    // They take all places until they have said nothing for too long.
    let silent: Vec<UnixStream> = (0..MANY).map(|_| connect(&socket)).collect();
    file.replace(&marked(&wasm("json-key"), 1));
    let ended = swap(&socket).run();
    assert_says(&ended, 0, &["takes over from"]);
    drop(silent);
    let client = connect(&socket);
    assert_eq!(answer(&client, SWAP)["plugins"][0]["outcome"], "unchanged");
    // The last line needs no end if nothing follows.
    (&client).write_all(SWAP.trim_ascii_end()).expect("it is taken");
    client.shutdown(Shutdown::Write).expect("it is told");
    assert_eq!(answer(&client, b"")["plugins"][0]["outcome"], "unchanged");

    let published = load.stop();
    assert_eq!(wait_until_carried(&published, kafka, &topic, A_WHILE), 0, "nothing is there twice");
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (published.len() as u64, ledger.received));
}

#[test]
fn of_many_who_ask_at_once_one_hears_that_it_takes_over() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let file = File::of("topic-level-key");
    let (host, socket) = controlled(&mosquitto, &kafka.topic("many-ask"), &file);
    let host = host.start();
    file.replace(&marked(&wasm("topic-level-key"), 1));
    let clients: Vec<UnixStream> = (0..MANY).map(|_| connect(&socket)).collect();
    for mut client in &clients {
        client.write_all(SWAP).expect("it is taken");
    }
    let mut told: Vec<String> = Vec::new();
    for client in clients {
        // Others wait for the place.
        let answer = answer(&client, b"");
        told.push(answer["plugins"][0]["outcome"].as_str().expect("an outcome").to_owned());
    }
    told.sort_unstable();
    assert_eq!(told[0], "takes-over");
    assert_eq!(told[1..], ["unchanged"; MANY - 1]);
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(ended.errors.matches("takes over").count(), 1);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let file = File::of("misbehave");
    let (command, socket) = controlled(&mosquitto, &kafka.topic("left-behind"), &file);
    command.start().kill();
    assert!(socket.exists(), "it is left behind");
    swap(&socket).run().assert_failed(2, &["nobody listens on --control-socket"]);
    let host = command.start();
    let other = command.clone().without("client-id").flag("client-id", "other").run();
    other.assert_failed(2, &["--control-socket", "is in use", "a path of its own"]);
    assert_says(&swap(&socket).run(), 0, &["the file has not changed"]);

    // Another file in its place is not host's to remove.
    std::fs::remove_file(&socket).expect("it is there");
    file.folder.write("control.sock", "precious");
    host.stop().assert_clean();
    let refused = command.run();
    refused.assert_failed(2, &["--control-socket", "is no socket that was left behind"]);
    assert_eq!(std::fs::read(&socket).expect("a file"), b"precious");
}

#[test]
fn a_path_that_can_be_no_socket_is_refused_with_the_cure() {
    let folder = Folder::new("swapping");
    let file = folder.write("file", "");
    for (path, words) in [
        (folder.path().join("no/such.sock"), ["there is no folder", "create it"]),
        (folder.path().join("x".repeat(100)), ["at most 107", "a shorter one"]),
        (
            file.join("below.sock"),
            ["cannot be opened: Not a directory", "give it a path in a folder"],
        ),
    ] {
        let ended = Host::between_ports(1, "plant/#", "127.0.0.1:1", "socket")
            .flag("control-socket", path.display())
            .run();
        ended.assert_failed(2, &["--control-socket", words[0], words[1]]);
    }
}
