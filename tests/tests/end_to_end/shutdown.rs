//! SIGTERM: what is under way is finished, and whatever cannot be is not acknowledged.

use std::time::{Duration, Instant};

use tests::kafka::Kafka;
use tests::load::{Load, assert_carried_once, messages, wait_until_carried};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::scripted::ScriptedServer;
use tests::wire::{Packet, Publish};
use tests::{A_WHILE, SOON, eventually, heavy, host::Host};

#[test]
fn a_stop_under_load_is_clean_and_the_next_start_goes_on_without_duplicates() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("stop");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic);

    let mut host = command.start();
    let load = Load::start(mosquitto.port(), "plant", 5_000);
    let mut delivered = 0;
    for _ in 0..3 {
        load.wait_for_more(3_000);
        delivered += host.stop().assert_clean().delivered;
        host = command.start();
    }
    let published = load.stop();

    let duplicates = wait_until_carried(&published, kafka, &topic, A_WHILE);
    delivered += host.stop().assert_clean().delivered;
    assert_eq!(duplicates, 0, "whatever was delivered was acknowledged, too");
    assert_eq!(delivered, published.len() as u64);
}

#[test]
fn an_interrupt_stops_like_a_termination() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("interrupt");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();
    host.interrupt();
    host.wait(SOON).assert_clean();
}

/// OpenSSL frees at the end what a thread of Kafka's client may be using: now and then a process died of it.
#[test]
fn the_end_leaves_libraries_alone_that_threads_still_use() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("handlers");
    // The dynamic linker says whom it calls.
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .environment("LD_DEBUG", "files")
        .start();
    let ended = host.stop();
    ended.assert_clean();
    assert!(ended.errors.contains("calling init: "), "the linker says nothing");
    assert!(!ended.errors.contains("calling fini: "), "handlers of libraries have run");
}

/// A host that has taken 500 messages, none of which the stopped Kafka has confirmed.
fn stuck(kafka: &Kafka, mosquitto: &Mosquitto, topic: &str, timeout: u32) -> Host {
    let host =
        Host::between(mosquitto, "plant/#", kafka, topic).flag("shutdown-timeout", timeout).start();
    kafka.pause();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages("plant", 3, 500, 1));
    std::thread::sleep(Duration::from_secs(1));
    host
}

#[test]
fn without_kafka_a_stop_ends_at_its_deadline_with_everything_accounted_for() {
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("deadline");
    let host = stuck(&kafka, &mosquitto, &topic, 2);
    let asked = Instant::now();
    host.terminate();
    let ended = host.wait(SOON);
    let took = asked.elapsed();
    kafka.resume();

    assert_eq!(ended.code, Some(1), "the exit code; it wrote:\n{}", ended.errors);
    assert!(took > Duration::from_millis(1_900), "it took {took:?}");
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.received, ledger.in_flight), (500, 500));

    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic).start();
    wait_until_carried(&messages("plant", 3, 500, 1), &kafka, &topic, A_WHILE);
    assert_eq!(host.stop().assert_clean().received, 500, "none was acknowledged");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("second-signal");
    let host = stuck(&kafka, &mosquitto, &topic, 60);
    host.terminate();
    host.wait_for_line("that it is stopping", |line| line.contains("stopping"));
    let asked = Instant::now();
    host.terminate();
    let ended = host.wait(SOON);
    let took = asked.elapsed();
    kafka.resume();

    assert_eq!(ended.code, Some(1), "the exit code; it wrote:\n{}", ended.errors);
    assert!(took < Duration::from_secs(5), "it took {took:?}");
}

/// The processor is the plugin's for 24 s, if nobody stops it.
#[test]
fn a_slow_plugin_with_a_backlog_ends_at_the_deadline_and_at_a_second_signal() {
    for (timeout, signals) in [(1, 1), (60, 2)] {
        let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
        let topic = kafka.topic("slow-plugin");
        let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
            .plugin("misbehave")
            .argument("--plugin-clock")
            .flag("plugin-time-limit", 10_000)
            .flag("shutdown-timeout", timeout)
            .start();
        let busy: Vec<_> =
            (0..600).map(|number| Publish::new("plant/a", format!("busy 40 {number}"))).collect();
        Publisher::connect(mosquitto.port(), "publisher").publish(&busy);
        kafka.wait_for(&topic, 1, A_WHILE);
        host.terminate();
        if signals > 1 {
            host.wait_for_line("that it is stopping", |line| line.contains("stopping"));
            host.terminate();
        }
        let ended = host.wait(SOON);
        assert_eq!(ended.code, Some(1), "the exit code; it wrote:\n{}", ended.errors);
        let ledger = ended.ledger();
        ledger.assert_balanced();
        // Had it not been stopped, it would have done all of them.
        assert!(ledger.delivered > 0 && ledger.in_flight > 100, "{ledger:?}");
        // Kafka may have taken records whose reports the end did not wait for.
        let kept = kafka.count(&topic) as u64;
        assert!(
            ledger.delivered <= kept && kept <= ledger.delivered + ledger.in_flight,
            "{kept} records in Kafka: {ledger:?}"
        );
    }
}

#[test]
fn what_is_acknowledged_before_the_end_by_a_failure_is_in_kafka() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("failure");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .plugin("misbehave")
        .flag("on-error", "stop")
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    for id in 1..=2_000 {
        let payload = if id == 1_500 { "bad".to_owned() } else { id.to_string() };
        connection.publish(id, &Publish::new("plant/a", payload));
    }
    let acknowledged = connection.wait_for_end();
    let ended = host.wait(SOON);
    ended.assert_failed(1, &["--on-error stop"]);
    let in_order = (1..=acknowledged.len() as u16).map(Packet::PubAck);
    assert_eq!(
        acknowledged,
        in_order.collect::<Vec<_>>(),
        "and no goodbye: the last will is for this"
    );
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert!(
        acknowledged.len() as u64 <= ledger.delivered && ledger.delivered < 1_500,
        "{ledger:?}"
    );
    assert!(ledger.delivered <= kafka.count(&topic) as u64);
}

#[test]
fn a_stop_before_anything_answers_is_clean() {
    let (kafka, port) = (Kafka::shared(), tests::scratch::free_port());
    let topic = kafka.topic("early-stop");
    let host = Host::between_ports(port, "plant/#", kafka.address(), &topic).launch();
    host.wait_for_line("that the MQTT server is away", |line| line.contains(&port.to_string()));
    host.terminate();
    host.wait(SOON).assert_clean();
}

#[test]
fn a_stop_gives_back_what_was_not_taken() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("given-back");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic);
    command.start().stop().assert_clean();
    let published = messages("plant", 3, 20_000, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    // In the middle of the backlog, wherever that is.
    command.start().stop().assert_clean();
    let host = command.start();
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    host.stop().assert_clean();
}

/// A plugin that takes a while to compile, and has never been compiled before.
fn large_plugin(folder: &Folder) -> std::path::PathBuf {
    use std::fmt::Write;

    let text = include_str!("../../guests/hostile.wat").trim_end();
    let mut text = text.strip_suffix(')').expect("a module ends").to_owned();
    let seed = std::process::id();
    for function in 0..2_000 {
        text.push_str("(func (param i32) (result i32)");
        for step in 0..50 {
            let number = (seed + function * 50 + step) % 1_000_003;
            write!(text, "(local.set 0 (i32.mul (local.get 0) (i32.const {number})))").unwrap();
        }
        text.push_str("local.get 0)");
    }
    text.push(')');
    folder.write("large.wasm", wat::parse_str(text).expect("WebAssembly text"))
}

/// Whether the process has a handler for SIGHUP, the first of all signals.
fn takes_hangups(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn signals_are_heeded_before_plugins_are_compiled() {
    let folder = Folder::new("large-plugin");
    let host = Host::between_ports(1, "#", "127.0.0.1:1", "early-signals")
        .flag("plugin", large_plugin(&folder).display());
    let host = host.launch();
    eventually("it takes SIGHUP", SOON, || takes_hangups(host.id()).then_some(()));
    host.hang_up();
    host.terminate();
    let ended = host.wait(SOON);
    ended.assert_clean();
    assert!(!ended.errors.contains("plugin"), "nothing had begun:\n{}", ended.errors);
}
