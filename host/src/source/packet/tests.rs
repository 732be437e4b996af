//! For tests: what rumqttc's codec writes and reads is the measure.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::incoming::{with_text, words};
use super::*;
use crate::dice::Dice;

const LIMIT: usize = 1 << 20;

fn whole(bytes: &[u8]) -> Frame<'_> {
    frame(bytes, LIMIT).expect("a good length").expect("all of it is there")
}

fn written(version: Version, topic: &str, payload: &[u8], qos: u8) -> BytesMut {
    let mut bytes = BytesMut::new();
    match version {
        Version::V3_1 | Version::V3_1_1 => {
            let qos = rumqttc::qos(qos).expect("a QoS");
            let mut packet = v4::Publish::new(topic, qos, payload);
            (packet.pkid, packet.retain, packet.dup) = (7, true, true);
            packet.write(&mut bytes).expect("a packet that rumqttc writes");
        }
        Version::V5 => {
            let qos = rumqttc::v5::mqttbytes::qos(qos).expect("a QoS");
            let properties = v5::PublishProperties {
                content_type: Some("text".to_owned()),
                subscription_identifiers: vec![1],
                user_properties: vec![("k".to_owned(), "v".to_owned())],
                ..v5::PublishProperties::default()
            };
            let payload = payload.to_vec();
            let mut packet = v5::Publish::new(topic, qos, payload, Some(properties));
            (packet.pkid, packet.retain, packet.dup) = (7, true, true);
            packet.write(&mut bytes).expect("a packet that rumqttc writes");
        }
    }
    bytes
}

#[test]
fn what_rumqttc_writes_is_read_as_it_was_meant() {
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        for qos in 0..=2 {
            for size in [0, 1, 100, 127, 128, 16_384, 70_000] {
                let payload = vec![b'x'; size];
                let bytes = written(version, "plant/\u{fc}", &payload, qos);
                let frame = whole(&bytes);
                assert!(is_publish(frame.first) && frame.whole.len() == bytes.len());
                let read = publish(version, &frame).expect("a good packet");
                assert_eq!((read.topic, read.payload), ("plant/\u{fc}", &payload[..]));
                assert_eq!((read.qos as u8, read.retain, read.dup), (qos, true, true));
                assert_eq!(read.packet_id, if qos == 0 { 0 } else { 7 });
                assert_eq!(read.properties.is_some(), version == Version::V5);
            }
        }
    }
}

#[test]
fn a_packet_that_is_not_all_there_asks_for_more() {
    let bytes = written(Version::V3_1_1, "t", &[b'x'; 300], 1);
    for size in 0..bytes.len() {
        let needed = frame(&bytes[..size], LIMIT).expect("a good length");
        let needed = needed.expect_err("not all of it is there");
        assert!(needed > size && needed <= bytes.len(), "{needed} of {size}");
    }
}

#[test]
fn a_packet_larger_than_the_limit_is_refused_before_it_is_read() {
    let bytes = written(Version::V3_1_1, "t", &[b'x'; 300], 1);
    let error = frame(&bytes[..5], 200).expect_err("too large");
    assert!(error.to_string().contains("--max-packet-size 200"), "{error}");
}

#[test]
fn a_publish_that_breaks_the_rules_is_refused() {
    let cases: [(&[u8], &str); 6] = [
        (&[0x36, 5, 0, 1, b't', 0, 1], "QoS 3"),
        (&[0x32, 5, 0, 1, b't', 0, 0], "packet id 0"),
        (&[0x30, 2, 0, 0], "empty"),
        (&[0x30, 3, 0, 1, b'#'], "wildcard"),
        (&[0x30, 3, 0, 1, 0xff], "UTF-8"),
        (&[0x30, 3, 0, 9, b't'], "ends before"),
    ];
    for (bytes, rule) in cases {
        let error = publish(Version::V3_1_1, &whole(bytes)).expect_err("a bad packet");
        assert!(error.to_string().contains(rule), "{error}");
    }
}

#[test]
fn rubbish_is_refused_and_never_panics() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..200_000 {
        let size = dice.below(40);
        let mut bytes: Vec<u8> = (0..size + 2).map(|_| dice.below(256) as u8).collect();
        bytes[1] = size as u8;
        let frame = whole(&bytes);
        for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
            if is_publish(frame.first) {
                let _ = publish(version, &frame);
                drop(salvage(version, &frame));
            } else {
                drop(incoming(version, &frame));
            }
        }
    }
}

#[test]
fn acknowledgements_are_what_rumqttc_reads() {
    let mut out = BytesMut::new();
    acknowledge(258, Qos::AtLeastOnce, &mut out);
    acknowledge(259, Qos::ExactlyOnce, &mut out);
    complete(260, &mut out);
    let mut again = out.clone();
    let ids = |packet| match packet {
        v4::Packet::PubAck(ack) => (4, ack.pkid),
        v4::Packet::PubRec(ack) => (5, ack.pkid),
        v4::Packet::PubComp(ack) => (7, ack.pkid),
        other => panic!("{other:?}"),
    };
    for expected in [(4, 258), (5, 259), (7, 260)] {
        let packet = v4::Packet::read(&mut out, LIMIT).expect("a good packet");
        assert_eq!(ids(packet), expected);
        v5::Packet::read(&mut again, None).expect("a good packet of MQTT 5, too");
    }
}

#[test]
fn reasons_are_words() {
    assert_eq!(words("SessionTakenOver"), "session taken over");
    assert_eq!(with_text("not authorized", Some("no\n".to_owned())), "not authorized (\"no\\n\")");
}

fn hello(version: Version) -> Hello {
    Hello {
        version,
        client_id: "c".repeat(150),
        clean_session: false,
        keep_alive: 30,
        username: Some("u".to_owned()),
        password: Some("p".to_owned()),
        will: Some(Will {
            topic: "gone".to_owned(),
            payload: vec![0, 1, 2],
            qos: Qos::AtLeastOnce,
            retain: true,
        }),
        properties: ConnectProperties { receive_maximum: 1, ..ConnectProperties::default() },
    }
}

#[test]
fn connect_says_everything_in_each_version() {
    let mut out = BytesMut::new();
    connect(&hello(Version::V3_1_1), &mut out).expect("a good packet");
    let mut bytes = out.clone();
    let Ok(v4::Packet::Connect(read)) = v4::Packet::read(&mut bytes, LIMIT) else {
        panic!("{out:?}")
    };
    let will = read.last_will.expect("a last will");
    assert_eq!(
        (will.topic.as_str(), &will.message[..], will.retain),
        ("gone", &[0, 1, 2][..], true)
    );

    let mut old = BytesMut::new();
    connect(&hello(Version::V3_1), &mut old).expect("a good packet");
    let (old, new) = (whole(&old), whole(&out));
    assert_eq!(
        old.body.strip_prefix(b"\0\x06MQIsdp\x03"),
        new.body.strip_prefix(b"\0\x04MQTT\x04")
    );
    assert!(old.body.len() > 127 && old.first == new.first);

    let mut out = BytesMut::new();
    connect(&hello(Version::V5), &mut out).expect("a good packet");
    let Ok(v5::Packet::Connect(read, Some(will), Some(login))) = v5::Packet::read(&mut out, None)
    else {
        panic!("not what was written")
    };
    assert_eq!(
        (read.client_id.len(), &will.topic[..], login.password.as_str()),
        (150, &b"gone"[..], "p")
    );
    assert_eq!(read.properties.and_then(|properties| properties.receive_maximum), Some(1));
}

#[test]
fn a_server_that_knows_only_an_older_version_is_understood() {
    let Ok(Incoming::ConnAck(ack)) = incoming(Version::V5, &whole(&[0x20, 2, 0, 1])) else {
        panic!("not a CONNACK")
    };
    let refusal = ack.answer.expect_err("a refusal");
    assert!(refusal.permanent && refusal.reason.contains("--mqtt-version"), "{refusal:?}");
}

#[test]
fn mqtt_3_1_does_not_say_whether_the_session_is_there() {
    for (version, present) in [(Version::V3_1, None), (Version::V3_1_1, Some(true))] {
        let Ok(Incoming::ConnAck(ack)) = incoming(version, &whole(&[0x20, 2, 1, 0])) else {
            panic!("not a CONNACK")
        };
        assert_eq!((ack.session_present, ack.answer), (present, Ok(())));
    }
}

#[test]
fn of_a_packet_that_is_too_large_the_start_is_read() {
    for version in [Version::V3_1_1, Version::V5] {
        for size in [1_000, 300_000] {
            let bytes = written(version, "plant/a", &vec![b'x'; size], 1);
            let needed = start(&bytes[..5], bytes.len(), 100).expect_err("not all of it is there");
            assert!(needed <= bytes.len().min(132_000), "{needed}");
            let frame = start(&bytes[..needed], bytes.len(), 100).expect("enough of it is there");
            assert_eq!(frame.whole.len(), needed);
            let read = publish(version, &frame).expect("a good packet");
            assert_eq!((read.topic, read.packet_id, read.dup), ("plant/a", 7, true));
            assert_eq!(read.payload.len() + bytes.len() - needed, size);
            assert!(read.payload.len() >= size.min(100));
            assert_eq!(read.properties.is_some(), version == Version::V5);
        }
    }
}

#[test]
fn of_a_publish_that_breaks_the_rules_the_message_is_salvaged_if_it_can_be_acknowledged() {
    const V3: Version = Version::V3_1_1;
    let read = |version, first: u8, body: &[u8]| {
        let bytes = [&[first, body.len() as u8], body].concat();
        let frame = whole(&bytes);
        assert!(publish(version, &frame).is_err(), "{body:?}");
        let salvaged = salvage(version, &frame)?;
        let Publish { topic, payload, qos, packet_id, properties, dup, retain } =
            salvaged.publish();
        assert_eq!((qos as u8, dup, retain), (first >> 1 & 3, first & 8 != 0, first & 1 != 0));
        let properties = properties.map(<[u8]>::to_vec);
        Some((topic.to_owned(), payload.to_vec(), packet_id, properties))
    };
    let message = |topic: &str, payload: &[u8], id, properties: Option<&[u8]>| {
        Some((topic.to_owned(), payload.to_vec(), id, properties.map(<[u8]>::to_vec)))
    };
    assert_eq!(read(V3, 0x3b, b"\0\x02t\xff\0\x07p"), message("t\u{fffd}", b"p", 7, None));
    assert_eq!(read(V3, 0x32, b"\0\x02t#\0\x07p"), message("t#", b"p", 7, None));
    assert_eq!(read(V3, 0x34, b"\0\0\0\x07"), message("", b"", 7, None));
    assert_eq!(read(V3, 0x30, b"\0\x02t\0p"), message("t\0", b"p", 0, None));
    // Good properties are kept, bad ones are not, and where they do not end they are payload.
    let good = b"\x03\0\x01a";
    let body = [b"\0\x01+\0\x07\x04", &good[..], b"p"].concat();
    assert_eq!(read(Version::V5, 0x32, &body), message("+", b"p", 7, Some(good)));
    let body = b"\0\x01t\0\x07\x02\x7f\x01p";
    assert_eq!(read(Version::V5, 0x32, body), message("t", b"p", 7, Some(b"")));
    let body = b"\0\x01t\0\x07\x09\x01p";
    assert_eq!(read(Version::V5, 0x32, body), message("t", b"\x09\x01p", 7, Some(b"")));
    for (first, body) in [
        (0x36, &b"\0\x01t\0\x07"[..]),
        (0x32, b"\0\x01t\0\0"),
        (0x32, b"\0\x01t\0"),
        (0x32, b"\0\x09t\0\x07"),
        (0x30, b"\0"),
    ] {
        assert_eq!(read(V3, first, body), None, "{body:?}");
    }
}

#[test]
fn a_topic_that_grows_as_it_becomes_text_is_cut() {
    let mut bytes = vec![0x30, 0x81, 0x80, 0x04, 0xff, 0xff];
    bytes.resize(6 + 65_535, 0xff);
    let salvaged = salvage(Version::V3_1_1, &whole(&bytes)).expect("a message");
    let publish = salvaged.publish();
    assert_eq!((publish.topic.len(), publish.payload.len()), (65_535, 0));
}
