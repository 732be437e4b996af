//! MQTT over websockets.

use tests::certificates::Certificates;
use tests::host::{Builder, Ended, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages, noise};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::raw::{pass_on, raw};
use tests::websocket::{
    Answer, Bytes, CloseCode, CloseFrame, Connection, Message, WebsocketServer,
};
use tests::wire::{PINGRESP, Publish};
use tests::{A_WHILE, SOON};

fn to(port: u16, topic: &str) -> Builder {
    Host::between_ports(port, "plant/#", Kafka::shared().address(), topic)
        .flag("transport", "websocket")
}

/// To a server of the harness, in whose place nobody looks at what arrives in Kafka.
fn to_server(server: &WebsocketServer) -> Builder {
    to(server.port(), &Kafka::shared().topic("websocket"))
}

fn to_port(port: u16) -> Builder {
    to(port, &Kafka::shared().topic("websocket"))
}

#[track_caller]
fn gave_up(ended: &Ended, words: &[&str]) {
    ended.assert_failed(1, words);
    let last = ended.errors.lines().last().unwrap();
    assert!(words.iter().all(|word| last.contains(word)), "{words:?} not in {last:?}");
}

#[test]
fn messages_come_over_websockets_with_tls_and_without() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).websockets().start();
    let (_, certificates) = mosquitto.tls();
    for (version, tls) in [("3.1.1", false), ("5", false), ("3.1.1", true), ("5", true)] {
        let kafka = Kafka::shared();
        let topic = kafka.topic("over-websockets");
        let command = if tls {
            to(mosquitto.secure_websocket(), &topic)
                .without("tls-enabled")
                .flag("ca-file", certificates.authority_file().display())
        } else {
            to(mosquitto.websocket(), &topic)
        };
        let host = command.flag("mqtt-version", version).start();
        let mut published = messages("plant", 3, 2_000, 1);
        published.push(Publish::new("plant/large", noise(500_000)));
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
        host.stop().assert_clean();
    }
}

#[test]
fn what_the_server_is_asked_for_is_what_mqtt_and_the_flags_say() {
    let server = WebsocketServer::start();
    let host = to_server(&server).launch();
    let asked = server.accept_and_subscribe().asked;
    assert_eq!((asked.path.as_str(), asked.subprotocol.as_deref()), ("/mqtt", Some("mqtt")));
    assert_eq!(asked.host, Some(format!("127.0.0.1:{}", server.port())));
    host.kill();

    let host = to_server(&server).flag("websocket-path", "/a/b?token=x%20y").launch();
    assert_eq!(server.accept_and_subscribe().asked.path, "/a/b?token=x%20y");
    host.kill();
}

fn publish(connection: &Connection, id: u16, payload: &[u8]) -> Vec<u8> {
    Publish::new("plant/a", payload).qos(1).encode(connection.version, id)
}

#[test]
fn the_borders_of_packets_and_messages_need_not_agree() {
    let (kafka, server) = (Kafka::shared(), WebsocketServer::start());
    let topic = kafka.topic("borders");
    let host = to(server.port(), &topic).launch();
    let mut connection = server.accept_and_subscribe();

    // A packet in pieces of one byte.
    for byte in publish(&connection, 1, b"in pieces") {
        connection.send(vec![byte]);
    }
    // Nothing, and then one and a half, a half and two more, with a large one in 3 messages.
    let packets: Vec<_> =
        (2..7).map(|id| publish(&connection, id, &[id as u8].repeat(70_000))).collect();
    let large = publish(&connection, 7, &noise(3_000_000));
    let all = Bytes::from([packets.concat(), large].concat());
    connection.send(Vec::new());
    let borders = [0, 105_000, 350_000, 1_500_000, all.len()];
    for border in borders.windows(2) {
        connection.send(all.slice(border[0]..border[1]));
    }
    assert_eq!(connection.acknowledged(7), [1, 2, 3, 4, 5, 6, 7]);
    // The last one is too large for a record, and goes as a dead letter.
    let records = kafka.wait_for(&topic, 6, SOON);
    let sizes: Vec<_> = records.iter().map(|it| it.value.as_ref().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [9, 70_000, 70_000, 70_000, 70_000, 70_000]);
    host.kill();
}

#[test]
fn pings_of_the_websocket_are_answered() {
    let server = WebsocketServer::start();
    let host = to_server(&server).launch();
    let mut connection = server.accept_and_subscribe();
    connection.send_message(Message::Ping(Bytes::from_static(b"there?")));
    assert_eq!(connection.next_message(), Message::Pong(Bytes::from_static(b"there?")));
    // MQTT goes on around it.
    let packet = Bytes::from(publish(&connection, 9, b"1"));
    connection.send(packet.slice(..5));
    connection.send_message(Message::Ping(Bytes::from_static(b"again")));
    connection.send_message(Message::Pong(Bytes::new()));
    connection.send(packet.slice(5..));
    assert_eq!(connection.next_message(), Message::Pong(Bytes::from_static(b"again")));
    assert_eq!(connection.acknowledged(1), [9]);
    host.kill();
}

#[test]
fn a_websocket_that_is_closed_is_opened_again_and_its_reason_is_shown() {
    let server = WebsocketServer::start();
    let host = to_server(&server).launch();
    let mut connection = server.accept_and_subscribe();
    let reason = "maintenance\nat noon".into();
    let frame = CloseFrame { code: CloseCode::Restart, reason };
    connection.send_message(Message::Close(Some(frame)));
    host.wait_for_line("code and reason on one line", |line| {
        line.contains("closed the websocket with code 1012")
            && line.contains(r#""maintenance\nat noon""#)
            && line.contains("trying again")
    });
    let mut connection = server.accept_and_subscribe();
    connection.send_message(Message::Close(None));
    host.wait_for_line("that it is closed", |line| line.contains("it closed the connection"));
    server.accept_and_subscribe();
    host.kill();
}

#[test]
fn text_messages_are_refused() {
    let server = WebsocketServer::start();
    let host = to_server(&server).launch();
    let mut connection = server.accept();
    connection.send_message(Message::text("hello"));
    gave_up(&host.wait(SOON), &["text message", "MQTT-6.0.0-1", "--websocket-path"]);
}

#[test]
fn a_server_without_a_websocket_for_mqtt_there_is_named_with_the_cure() {
    for (answer, words) in [
        (Answer::NoSubprotocol, ["/mqtt", "subprotocol", "--websocket-path"]),
        (Answer::Status(404, "server", "x"), ["/mqtt", "404 Not Found", "--websocket-path"]),
        (Answer::Status(401, "server", "x"), ["401 Unauthorized", "credentials", "--username"]),
        (Answer::Status(403, "server", "x"), ["403 Forbidden", "credentials", "--username"]),
        (Answer::Status(400, "server", "x"), ["400 Bad Request", "--websocket-path", "/mqtt"]),
        (
            Answer::Status(301, "location", "wss://b.example/c"),
            ["301", "wss://b.example/c", "--server"],
        ),
    ] {
        let server = WebsocketServer::start();
        let host = to_server(&server).launch();
        server.answer(answer);
        gave_up(&host.wait(SOON), &words);
    }
}

#[test]
fn a_gateway_whose_server_is_away_is_tried_again() {
    let server = WebsocketServer::start();
    let host = to_server(&server).launch();
    server.answer(Answer::Status(503, "server", "x"));
    host.wait_for_line("the status", |line| line.contains("503 Service Unavailable"));
    server.accept_and_subscribe();
    host.wait_until_ready();
    host.kill();
}

#[test]
fn a_server_that_speaks_something_else_is_named_with_the_cure() {
    let mosquitto = Mosquitto::builder().tls(Certificates::make()).start();
    let cure = "leave out --transport websocket";
    gave_up(&to_port(mosquitto.port()).run(), &["closed the connection", cure]);
    let chatty = raw(|mut stream, _| {
        drop(std::io::Write::write_all(&mut stream, &PINGRESP.repeat(9)));
        std::mem::forget(stream);
    });
    gave_up(&to_port(chatty).run(), &["does not answer", "HTTP", cure]);
    let (port, _) = mosquitto.tls();
    gave_up(&to_port(port).run(), &[cure, "TLS", "--tls-enabled=false"]);
}

#[test]
fn plain_mqtt_to_a_port_for_websockets_gets_a_line_that_names_the_cure() {
    let page = raw(|mut stream, _| {
        drop(std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        std::mem::forget(stream);
    });
    let host = to_port(page).without("transport").launch();
    host.wait_for_line("the cure", |line| line.contains("--transport websocket"));
    host.kill();
}

#[test]
fn a_server_that_does_not_answer_the_request_is_tried_again() {
    let mosquitto = Mosquitto::builder().websockets().start();
    let behind = mosquitto.websocket();
    let mut silent = Vec::new();
    let port = raw(move |stream, number| match number {
        0 => silent.push(stream),
        _ => pass_on(stream, behind),
    });
    let host = to_port(port).launch();
    host.wait_for_line("what is wrong", |line| {
        line.contains("does not answer the websocket's request") && line.contains("--transport")
    });
    host.wait_until_ready();
    host.stop().assert_clean();
}

#[test]
fn a_message_that_is_absurdly_large_is_named_with_the_option() {
    let server = WebsocketServer::start();
    let host = to_server(&server).flag("max-packet-size", 1_000).launch();
    let mut connection = server.accept_and_subscribe();
    // A packet within the limit needs no large message, but may come in one.
    connection.send([0xd0, 0].repeat(1_000_000));
    connection.send(publish(&connection, 3, b"1"));
    assert_eq!(connection.acknowledged(1), [3]);
    connection.offer(vec![0; (64 << 20) + 1]);
    host.wait_for_line("size and option", |line| {
        line.contains("67108865 bytes") && line.contains("--max-packet-size")
    });
    host.kill();
}

#[test]
fn a_path_needs_a_websocket_and_must_be_one() {
    let command = to_port(1);
    let usage = |command: Builder, words: &[&str]| command.run().assert_failed(2, words);
    let tcp = command.clone().without("transport").flag("websocket-path", "/mqtt");
    usage(tcp, &["--websocket-path", "--transport websocket"]);
    usage(command.clone().flag("websocket-path", "mqtt"), &["--websocket-path", "begins with"]);
    usage(command.flag("websocket-path", "/a b"), &["--websocket-path", "%20"]);
}
