//! What MQTT servers keep, say and limit: versions, sessions, wills, properties, take-overs.

use std::time::{Duration, Instant};

use tests::host::{Builder, Host, READY};
use tests::kafka::{Kafka, Record};
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::free_port;
use tests::scripted::ScriptedServer;
use tests::wire::{self, Publish, Version, text};
use tests::{A_WHILE, SOON, eventually};

fn to(server: &ScriptedServer, topic: &str) -> Builder {
    Host::between_ports(server.port(), "plant/#", Kafka::shared().address(), topic)
}

/// The same with MQTT 5, as most properties need it.
fn to_v5(server: &ScriptedServer, topic: &str) -> Builder {
    to(server, topic).flag("mqtt-version", 5)
}

#[test]
fn mosquitto_sees_the_version_that_was_asked_for() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for (version, seen) in [("3.1", "p1"), ("3.1.1", "p2"), ("5", "p5")] {
        let topic = kafka.topic("version");
        let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
            .flag("mqtt-version", version)
            .start();
        let published = messages("plant", 3, 500, 1);
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
        let line = format!("as host-{topic} ({seen}, c0, k30)");
        eventually(&format!("mosquitto logs {line:?}"), SOON, || {
            mosquitto.log().contains(&line).then_some(())
        });
        host.stop().assert_clean();
    }
}

#[test]
fn what_is_published_while_host_is_away_arrives_in_every_version() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1", "3.1.1", "5"] {
        for qos in [1, 2] {
            let topic = kafka.topic("away");
            let command = Host::between(&mosquitto, "plant/#", kafka, &topic)
                .flag("mqtt-version", version)
                .flag("qos", qos);
            command.start().stop().assert_clean();
            let published = messages("plant", 3, 1_500, qos);
            Publisher::connect(mosquitto.port(), "publisher").publish(&published);
            let host = command.start();
            assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
            host.stop().assert_clean();
        }
    }
}

#[test]
fn a_server_of_another_version_is_named_with_the_option() {
    let server = ScriptedServer::start();
    for version in ["3.1", "3.1.1", "5"] {
        let topic = Kafka::shared().topic("other-version");
        let host = to(&server, &topic).flag("mqtt-version", version).launch();
        // In the form of MQTT 3.1.1, which is all that such a server knows.
        server.accept().send(&wire::connack(Version::V311, false, 1, &[]));
        host.wait(SOON).assert_failed(1, &["connection refused", "--mqtt-version"]);
    }
}

#[test]
fn a_long_client_id_is_tried_with_mqtt_3_1_and_warned_about() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("long-id");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic).without("client-id");
    let long = command.clone().flag("client-id", "x".repeat(24));
    let said = long.flag("mqtt-version", "3.1").start().stop();
    said.assert_clean();
    assert!(said.errors.contains("24 characters, and MQTT 3.1 allows 23"), "{}", said.errors);
    for (id, version) in [(23, "3.1"), (24, "3.1.1")] {
        let other = command.clone().flag("client-id", "x".repeat(id)).flag("mqtt-version", version);
        let silent = other.start().stop();
        silent.assert_clean();
        assert!(!silent.errors.contains("characters"), "{}", silent.errors);
    }
}

#[test]
fn a_filter_that_is_not_wanted_any_more_is_taken_out_of_the_session() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1", "3.1.1", "5"] {
        let topic = kafka.topic("unsubscribe");
        let command =
            Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", version);
        command.clone().flag("topic", "old/#").start().stop().assert_clean();

        let host = command.clone().flag("unsubscribe", "old/#").start();
        host.wait_for_line("that it has unsubscribed", |line| {
            line.contains("unsubscribed from \"old/#\"")
        });
        host.stop().assert_clean();

        let wanted = Publish::new("plant/a", "wanted");
        let both = [Publish::new("old/a", "not wanted"), wanted.clone()];
        Publisher::connect(mosquitto.port(), "publisher").publish(&both);
        let host = command.start();
        assert_carried_once(&[wanted], &kafka.wait_for(&topic, 1, SOON));
        host.stop().assert_clean();
    }
}

#[test]
fn an_unsubscription_that_does_nothing_or_fails_is_said_and_the_rest_goes_on() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("unsubscribed");
    let host =
        to_v5(&server, &topic).flag("unsubscribe", "none").flag("unsubscribe", "denied/#").launch();
    let mut connection = server.accept();
    connection.accept_connect(true);
    assert_eq!(connection.confirm_unsubscription(&[0x11, 0x87]), ["none", "denied/#"]);
    connection.grant_subscription();
    host.wait_for_line("that there was none", |line| line.contains("no subscription to \"none\""));
    host.wait_for_line("that it is denied", |line| {
        line.contains("does not end the subscription to \"denied/#\"")
            && line.contains("not authorized")
    });
    host.wait_until_ready();
    host.stop().assert_clean();
}

#[test]
fn the_last_will_is_published_when_host_dies_and_not_when_it_stops() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1", "3.1.1", "5"] {
        let (topic, state) = (kafka.topic("with-will"), kafka.topic("state"));
        let witness = Host::between(&mosquitto, &format!("state/{topic}"), kafka, &state).start();
        let command = Host::between(&mosquitto, "plant/#", kafka, &topic)
            .flag("mqtt-version", version)
            .flag("will-topic", format!("state/{topic}"))
            .flag("will-payload", "gone")
            .flag("will-qos", 1)
            .argument("--will-retain");
        command.start().stop().assert_clean();
        assert_eq!(kafka.count(&state), 0, "a clean stop publishes no will");
        command.start().kill();
        let records = kafka.wait_for(&state, 1, SOON);
        assert_eq!(records[0].value.as_deref(), Some(&b"gone"[..]));
        witness.stop().assert_clean();

        // It was retained: whoever comes later gets it.
        let later = kafka.topic("later");
        let witness = Host::between(&mosquitto, &format!("state/{topic}"), kafka, &later).start();
        assert_eq!(kafka.wait_for(&later, 1, SOON)[0].value.as_deref(), Some(&b"gone"[..]));
        witness.stop().assert_clean();
    }
}

#[test]
fn retained_messages_come_once_and_not_again_after_a_reconnection_with_mqtt_5() {
    let (kafka, mut mosquitto) = (Kafka::shared(), Mosquitto::builder().persistent().start());
    let topic = kafka.topic("retained");
    let retained = Publish::new("plant/retained", "kept").retained();
    Publisher::connect(mosquitto.port(), "publisher").publish(std::slice::from_ref(&retained));
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    kafka.wait_for(&topic, 1, SOON);
    mosquitto.stop();
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    let new = Publish::new("plant/new", "new");
    Publisher::connect(mosquitto.port(), "publisher").publish(std::slice::from_ref(&new));
    let records = kafka.wait_for(&topic, 2, SOON);
    assert_carried_once(&[retained, new], &records);
    host.stop().assert_clean();
}

#[test]
fn connect_has_the_properties_that_were_asked_for() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("properties");
    let host = to_v5(&server, &topic)
        .flag("max-packet-size", 65_536)
        .flag("property", "session-expiry-interval=4294967295")
        .flag("property", "receive-maximum=20")
        .flag("property", "maximum-packet-size=1024")
        .flag("property", "request-response-information=1")
        .flag("property", "request-problem-information=0")
        .flag("property", "authentication-method=TOKEN")
        .flag("property", "authentication-data=base64:AP8=")
        .flag("property", "user.site=north")
        .flag("property", "user.site=a=b")
        .launch();
    let mut connection = server.accept();
    let properties = connection.connect.properties.clone();
    connection.accept_connect(false);
    connection.grant_subscription();
    host.stop().assert_clean();
    let user = |value: &str| [&[0x26][..], &text("site"), &text(value)].concat();
    for expected in [
        vec![0x11, 0xff, 0xff, 0xff, 0xff],
        vec![0x21, 0, 20],
        vec![0x27, 0, 0, 4, 0],
        vec![0x19, 1],
        vec![0x17, 0],
        [&[0x15][..], &text("TOKEN")].concat(),
        vec![0x16, 0, 2, 0, 0xff],
        [user("north"), user("a=b")].concat(),
    ] {
        let found = properties.windows(expected.len()).any(|window| window == expected);
        assert!(found, "{expected:?} in {properties:?}");
    }
}

#[test]
fn what_an_mqtt_5_server_says_and_limits_is_shown_and_respected() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("limits");
    let host = to_v5(&server, &topic).flag("keep-alive", 5).launch();
    let mut connection = server.accept();
    let mut properties = vec![0x11, 0, 0, 0, 60, 0x13, 0, 0];
    properties.extend([&[0x1f][..], &text("welcome"), &[0x1a], &text("answers/1")].concat());
    connection.send(&wire::connack(Version::V5, false, 0, &properties));
    connection.grant_subscription();
    for words in [
        "keeps the session for 60 s after a connection, not for 86400 s",
        "says \"welcome\"",
        "response information is \"answers/1\"",
    ] {
        host.wait_for_line(words, |line| line.contains(words));
    }
    // A Server Keep Alive of 0 means no pings.
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        assert_eq!(connection.pings(), 0, "a ping");
        std::thread::sleep(Duration::from_millis(100));
    }
    connection.send(&wire::disconnect(0x8b, &[&[0x1f][..], &text("for maintenance")].concat()));
    host.wait_for_line("why the server closed", |line| {
        line.contains("server shutting down (\"for maintenance\")") && line.contains("trying again")
    });
    host.stop().assert_clean();
}

#[test]
fn what_an_mqtt_5_server_cannot_do_ends_the_program_with_the_cure() {
    let refused = |code: u8, properties: &[u8]| wire::connack(Version::V5, false, code, properties);
    let other = [&[0x1c][..], &text("mqtt-2.example:8883")].concat();
    let cases = [
        (refused(0, &[0x2a, 0]), "$share/g/plant", "without $share/GROUP/"),
        (refused(0, &[0x28, 0]), "plant/#", "no wildcards"),
        (refused(0, &[0x27, 0, 0, 0, 10]), "plant/#", "packets of up to 10 bytes"),
        (refused(0x8c, &[]), "plant/#", "--property authentication-method"),
        (wire::packet(0xf0, &[0x18, 0]), "plant/#", "AUTH"),
    ];
    let (server, topic) = (ScriptedServer::start(), Kafka::shared().topic("cannot"));
    for (answer, filter, words) in cases {
        let host = to_v5(&server, &topic).without("topic").flag("topic", filter).launch();
        server.accept().send(&answer);
        host.wait(SOON).assert_failed(1, &[words]);
    }
    let host = to_v5(&server, &topic).launch();
    server.accept().send(&refused(0x9d, &other));
    host.wait_for_line("the other server", |line| {
        line.contains("server moved") && line.contains("mqtt-2.example:8883")
    });
    host.stop().assert_clean();
}

#[test]
fn a_refusal_at_a_reconnection_is_said_and_tried_again() {
    for (version, code, words) in [("3.1.1", 4, "--username"), ("5", 0x87, "not authorized")] {
        let server = ScriptedServer::start();
        let topic = Kafka::shared().topic("refused-later");
        let host = to(&server, &topic).flag("mqtt-version", version).launch();
        server.accept_and_subscribe(false).hang_up();
        server.accept().refuse_connect(code);
        host.wait_for_line("the refusal", |line| {
            line.contains("connection refused")
                && line.contains(words)
                && line.contains("trying again")
        });
        let mut connection = server.accept();
        connection.accept_connect(true);
        connection.refuse_subscription(0x80);
        host.wait_for_line("the filter", |line| line.contains("\"plant/#\" is refused"));
        let mut connection = server.accept_and_subscribe(true);
        connection.publish(1, &Publish::new("plant/a", "1"));
        assert_eq!(connection.acknowledged(1), [1]);
        host.wait_for_line("that it is connected", |line| line.contains("connected again, after"));
        host.stop().assert_clean();
    }
}

#[test]
fn a_password_that_is_changed_later_is_said_and_the_right_one_goes_on() {
    let kafka = Kafka::shared();
    let port = free_port();
    let topic = kafka.topic("password-later");
    let with = |password: &str| Mosquitto::builder().password("me", password).start_on(port);
    let mut mosquitto = with("first");
    let host = Host::between_ports(port, "plant/#", kafka.address(), &topic)
        .flag("username", "me")
        .flag("password", "first")
        .start();
    mosquitto.stop();
    mosquitto = with("second");
    host.wait_for_line("the refusal", |line| {
        line.contains("--username") && line.contains("trying again")
    });
    mosquitto.stop();
    mosquitto = with("first");
    host.wait_until_ready_again(2);
    let login = Some(("me", "first"));
    let published = messages("plant", 1, 10, 1);
    Publisher::connect_as(mosquitto.port(), "publisher", Version::V311, login).publish(&published);
    assert_carried_once(&published, &kafka.wait_for(&topic, 10, SOON));
    host.stop().assert_clean();
}

#[test]
fn a_server_that_says_that_the_session_is_taken_over_is_passed_on() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("taken-over");
    let host = to_v5(&server, &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.send(&wire::disconnect(0x8e, &[]));
    host.wait_for_line("who did that", |line| {
        line.contains("another client has connected with the client id")
            && line.contains(&format!("\"host-{topic}\""))
            && line.contains("session taken over")
    });
    server.accept_and_subscribe(true);
    host.stop().assert_clean();
}

#[test]
fn two_hosts_with_one_client_id_say_so_and_cause_no_storm() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1.1", "5"] {
        let topic = kafka.topic("quarrel");
        let command =
            Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", version);
        let (first, second) = (command.start(), command.start());
        first.wait_for_line("what may be behind it", |line| {
            line.contains("another client may be using the client id")
                && line.contains(&format!("host-{topic}"))
        });
        // Pauses double from half a second, so that there is time for five or six of them.
        std::thread::sleep(Duration::from_secs(12));
        for host in [first, second] {
            host.terminate();
            let ended = host.wait(A_WHILE);
            let connections = ended.errors.matches(READY).count();
            assert!(connections <= 10, "{connections} connections:\n{}", ended.errors);
        }
    }
}

#[test]
fn a_message_for_two_overlapping_filters_is_carried_as_often_as_the_server_sends_it() {
    let kafka = Kafka::shared();
    // With MQTT 5 mosquitto sends it once for each subscription, whatever the setting says.
    for (allowed, version, times) in [(false, "3.1.1", 1), (true, "3.1.1", 2), (false, "5", 2)] {
        let mosquitto = Mosquitto::builder().setting("allow_duplicate_messages", allowed).start();
        let topic = kafka.topic("overlap");
        let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
            .flag("topic", "plant/+/temp")
            .flag("mqtt-version", version)
            .start();
        let published = [Publish::new("plant/a/temp", "both"), Publish::new("plant/b", "one")];
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        let records = kafka.wait_for(&topic, times + 1, SOON);
        let both = |record: &&Record| record.value.as_deref() == Some(b"both");
        assert_eq!((records.iter().filter(both).count(), records.len()), (times, times + 1));
        let ledger = host.stop().assert_clean();
        assert_eq!((ledger.received, ledger.delivered), (times as u64 + 1, times as u64 + 1));
    }
}

#[test]
fn a_server_that_stays_away_is_said_at_least_every_half_a_minute() {
    const PROMISE: Duration = Duration::from_secs(30);
    let port = free_port();
    let topic = Kafka::shared().topic("silence");
    let address = Kafka::shared().address();
    let mut host = Host::between_ports(port, "plant/#", address, &topic).launch();
    let said =
        |host: &Host| host.errors().matches(&format!("MQTT server 127.0.0.1:{port}: ")).count();
    let mut last = Instant::now();
    let (mut count, end) = (said(&host), Instant::now() + Duration::from_secs(75));
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
        let now = said(&host);
        if now > count {
            (count, last) = (now, Instant::now());
        }
        // A busy machine may take a moment.
        assert!(last.elapsed() < PROMISE + Duration::from_secs(5), "silent:\n{}", host.errors());
    }
    // Pauses between attempts are random, so the last line is up to half a minute old.
    let seconds = |line: &str| {
        let (_, rest) = line.split_once("no connection for ")?;
        rest.split(' ').next()?.parse::<u64>().ok()
    };
    let since = host.errors().lines().any(|line| {
        seconds(line).is_some_and(|seconds| seconds >= 40) && line.contains("Connection refused")
    });
    assert!(since && host.is_running(), "since when and why:\n{}", host.errors());
    host.stop().assert_clean();
}
