//! What plugins learn of the connection, and what they may do about it.

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::free_port;
use tests::scripted::ScriptedServer;
use tests::{SOON, eventually};

const CONNECTED: &str = "connected Connection {";
const FAILED: &str = "failed Connection {";

fn to(port: u16, topic: &str) -> Builder {
    Host::between_ports(port, "plant/#", Kafka::shared().address(), topic).plugin("scripted")
}

/// With a configuration of the guest `scripted`.
fn told(command: &Builder, config: &str) -> Builder {
    command.clone().flag("plugin-config", format!(r#"{{"scripted": {config}}}"#))
}

/// Waits for so many lines with all of these words.
fn wait_for_lines(host: &Host, count: usize, words: &[&str]) {
    eventually(&format!("{count} lines with {words:?}"), SOON, || {
        let errors = host.errors();
        let lines = errors.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        (lines.count() >= count).then_some(())
    });
}

#[test]
fn success_is_told_after_the_subscription_and_with_what_is_known() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("hook-success");
    let host = to(server.port(), &topic).launch();
    let connection = server.accept_and_subscribe(false);
    let place = format!("server: \"127.0.0.1:{}\", client_id: \"host-{topic}\"", server.port());
    let first = ["attempt: 1", "reconnect: false", "session_present: false"];
    wait_for_lines(&host, 1, &[&[CONNECTED, &place][..], &first].concat());

    connection.hang_up();
    wait_for_lines(&host, 1, &[FAILED, &place, "lost: true", "permanent: false"]);
    let connection = server.accept_and_subscribe(true);
    let again = ["attempt: 1", "reconnect: true", "session_present: true"];
    wait_for_lines(&host, 1, &[&[CONNECTED, &place][..], &again].concat());
    host.terminate();
    connection.wait_for_end();
    host.wait(SOON).assert_clean();
}

#[test]
fn a_refused_subscription_is_a_failure_and_no_success() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("hook-refused");
    let host = to(server.port(), &topic).launch();
    let mut connection = server.accept();
    connection.accept_connect(false);
    connection.refuse_subscription(0x80);
    let ended = host.wait(SOON);
    ended.assert_failed(1, &["host: ", "plant/#"]);
    ended.assert_failed(1, &[FAILED, "reason: \"", "plant/#", "permanent: true", "lost: false"]);
    assert!(!ended.errors.contains(CONNECTED), "{}", ended.errors);
}

#[test]
fn each_failed_attempt_is_told_with_its_number_and_reason() {
    let topic = Kafka::shared().topic("hook-nobody");
    let host = to(free_port(), &topic).launch();
    for attempt in ["attempt: 1,", "attempt: 2,"] {
        let words = [FAILED, attempt, "reconnect: false", "refused", "permanent: false"];
        wait_for_lines(&host, 1, &words);
    }
    let ended = host.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(!ended.errors.contains(CONNECTED), "{}", ended.errors);
}

#[test]
fn a_failure_hook_may_end_the_program() {
    let topic = Kafka::shared().topic("hook-gives-up");
    let command = told(&to(free_port(), &topic), r#"{"failed": "stop nobody is there"}"#);
    command.run().assert_failed(1, &["host: plugin scripted ends the program: nobody is there"]);
}

#[test]
fn a_failure_that_ends_the_program_anyway_is_told_to_the_hook() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("hook-password");
    let host = told(&to(server.port(), &topic), r#"{"failed": "stop call Jane"}"#).launch();
    server.accept().refuse_connect(5);
    host.wait(SOON).assert_failed(1, &["host: ", "plugin scripted ends the program: call Jane"]);
}

#[test]
fn a_success_hook_that_ends_the_program_loses_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("hook-stop");
    let command = to(mosquitto.port(), &topic);
    command.start().stop().assert_clean();
    let published = messages("plant", 3, 500, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);

    let ended = told(&command, r#"{"connected": "stop maintenance"}"#).run();
    ended.assert_failed(1, &["host: plugin scripted ends the program: maintenance"]);
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.in_flight, 0, "what was taken is in Kafka: {ledger:?}");

    let host = command.start();
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn a_hook_that_panics_or_loops_changes_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for (what, why) in [("panic at 7", "at 7"), ("loop", "ran longer than 50 ms")] {
        let topic = kafka.topic("hook-broken");
        let config = format!(r#"{{"connected": "{what}"}}"#);
        let host = told(&to(mosquitto.port(), &topic), &config).start();
        wait_for_lines(&host, 1, &["WARN", "connect success hook failed", "scripted", why]);
        let published = messages("plant", 1, 100, 1);
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
        host.stop().assert_clean();
    }
}
