//! For tests: a session with a server that these tests play, with a clock that they set.

use std::time::Duration;

use super::rig::{self, Rig, connack, suback};
use crate::message::{Defect, Publish, Qos};
use crate::source::packet::Version;
use crate::source::{Control, Settings};

const ALL: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const V3: Version = Version::V3_1_1;

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;
const PINGREQ: (u8, u16) = (0xc0, 0);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn message(packet_id: u16, qos: u8, dup: bool, payload: &str) -> Publish<'_> {
    Publish {
        topic: "plant/a",
        payload: payload.as_bytes(),
        qos: Qos::from_number(qos).expect("a QoS"),
        retain: false,
        dup,
        packet_id,
        properties: None,
    }
}

/// A PUBLISH packet of MQTT 3.
fn publish(packet_id: u16, qos: u8, dup: bool, payload: &str) -> Vec<u8> {
    rig::publish(V3, &message(packet_id, qos, dup, payload))
}

fn pubrel(packet_id: u16) -> Vec<u8> {
    [&[0x62, 2], &packet_id.to_be_bytes()[..]].concat()
}

/// A connection in use.
fn served(version: Version) -> Rig {
    let mut rig = Rig::new(version);
    rig.serve(false);
    rig
}

#[test]
fn messages_in_any_pieces_are_taken_in_order_and_acknowledged_when_kafka_has_them() {
    for version in ALL {
        let packets: Vec<u8> = [(7, 1, "a"), (8, 2, "b"), (0, 0, "c"), (9, 1, "d")]
            .into_iter()
            .flat_map(|(id, qos, payload)| rig::publish(version, &message(id, qos, false, payload)))
            .collect();
        for size in 1..=packets.len() {
            let mut rig = served(version);
            for piece in packets.chunks(size) {
                rig.receive(piece).unwrap();
            }
            assert_eq!(rig.payloads(), ["a", "b", "c", "d"]);
            rig.confirm(1);
            assert_eq!(rig.said(), []);
            rig.confirm(0);
            assert_eq!(rig.said(), [(PUBACK, 7), (PUBREC, 8)]);
            // Nothing waits for a message at QoS 0.
            rig.confirm(3);
            assert_eq!(rig.said(), [(PUBACK, 9)]);
            rig.protocol.obey(Control::Drain);
            assert!(!rig.protocol.is_drained());
            rig.confirm(2);
            assert!(rig.protocol.is_drained());
            rig.receive(&pubrel(8)).unwrap();
            assert_eq!(rig.said(), [(PUBCOMP, 8)]);
        }
    }
}

#[test]
fn a_message_without_dup_is_never_a_repetition() {
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        for other in ["second", "first"] {
            // On the same connection: the server has given out an id in use.
            let mut rig = served(V3);
            rig.receive(&publish(7, qos, false, "first")).unwrap();
            rig.receive(&publish(7, qos, false, other)).unwrap();
            assert_eq!((rig.payloads(), rig.protocol.ids_in_use), (vec!["first", other], 1));
            rig.confirm(1);
            assert_eq!(rig.said(), []);
            rig.confirm(0);
            assert_eq!(rig.said(), [(first, 7), (first, 7)]);

            // On a later one: it was restored from an older copy of the session.
            let mut rig = served(V3);
            rig.receive(&publish(7, qos, false, "first")).unwrap();
            if qos == 2 {
                rig.confirm(0);
                assert_eq!(rig.said(), [(PUBREC, 7)]);
            }
            rig.serve(true);
            rig.receive(&publish(7, qos, false, other)).unwrap();
            assert_eq!((rig.payloads(), rig.protocol.ids_in_use), (vec!["first", other], 0));
            rig.confirm(0);
            assert_eq!(rig.said(), []);
            rig.confirm(1);
            assert_eq!(rig.said(), [(first, 7)]);
        }
    }
}

#[test]
fn a_message_with_dup_and_another_payload_is_another_message() {
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        for resumed in [false, true] {
            let mut rig = served(V3);
            rig.receive(&publish(7, qos, true, "first")).unwrap();
            if resumed {
                rig.serve(true);
            }
            rig.receive(&publish(7, qos, true, "second")).unwrap();
            assert_eq!(rig.payloads(), ["first", "second"]);
            assert_eq!(rig.protocol.ids_in_use, u64::from(!resumed));
            rig.confirm(0);
            rig.confirm(1);
            let expected = vec![(first, 7); if resumed { 1 } else { 2 }];
            assert_eq!(rig.said(), expected);
        }
    }
}

#[test]
fn what_is_sent_again_before_it_was_acknowledged_is_taken_once_and_acknowledged_in_its_place() {
    for version in ALL {
        for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
            let again = |rig: &mut Rig, id, dup, payload| {
                rig.receive(&rig::publish(version, &message(id, qos, dup, payload))).unwrap();
            };
            let mut rig = served(version);
            again(&mut rig, 7, false, "first");
            again(&mut rig, 8, false, "second");
            // Kafka is slow, and the connection breaks twice.
            for _ in 0..2 {
                rig.serve(true);
                again(&mut rig, 7, true, "first");
                again(&mut rig, 8, true, "second");
                again(&mut rig, 9, true, "new");
                assert_eq!((rig.said(), rig.payloads()), (vec![], vec!["first", "second", "new"]));
            }
            rig.confirm(1);
            rig.confirm(2);
            assert_eq!(rig.said(), []);
            rig.confirm(0);
            assert_eq!(rig.said(), [(first, 7), (first, 8), (first, 9)]);
            assert_eq!(rig.protocol.ids_in_use, 0);
        }
    }
}

#[test]
fn what_kafka_got_while_there_was_no_connection_is_acknowledged_as_soon_as_it_comes_again() {
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        let mut rig = served(V3);
        rig.receive(&publish(7, qos, false, "first")).unwrap();
        rig.protocol.disconnected();
        rig.confirm(0);
        assert_eq!(rig.said(), []);
        rig.serve(true);
        rig.receive(&publish(7, qos, true, "first")).unwrap();
        assert_eq!((rig.said(), rig.payloads()), (vec![(first, 7)], vec!["first"]));
    }
}

#[test]
fn an_acknowledged_message_at_qos_1_is_taken_again() {
    // PUBACK may be lost, but the server may as well have given the id to a message like it.
    let mut rig = served(V3);
    rig.receive(&publish(7, 1, false, "first")).unwrap();
    rig.confirm(0);
    assert_eq!(rig.said(), [(PUBACK, 7)]);
    rig.serve(true);
    rig.receive(&publish(7, 1, true, "first")).unwrap();
    assert_eq!((rig.said(), rig.payloads()), (vec![], vec!["first", "first"]));
}

#[test]
fn before_mqtt_5_a_repetition_that_was_on_its_way_is_not_acknowledged_again() {
    let mut rig = served(V3);
    rig.receive(&publish(7, 1, false, "first")).unwrap();
    rig.confirm(0);
    assert_eq!(rig.said(), [(PUBACK, 7)]);
    rig.receive(&publish(7, 1, true, "first")).unwrap();
    rig.receive(&publish(7, 1, false, "second")).unwrap();
    assert_eq!((rig.said(), rig.payloads()), (vec![], vec!["first", "second"]));
    assert_eq!(rig.protocol.ids_in_use, 0);
}

#[test]
fn at_qos_2_a_message_is_known_until_it_is_released() {
    for version in ALL {
        let again = rig::publish(version, &message(7, 2, true, "first"));
        let mut rig = served(version);
        rig.receive(&rig::publish(version, &message(7, 2, false, "first"))).unwrap();
        rig.receive(&again).unwrap();
        rig.confirm(0);
        assert_eq!(rig.said(), [(PUBREC, 7)], "once for both");
        rig.receive(&again).unwrap();
        assert_eq!(rig.said(), [(PUBREC, 7)]);
        rig.serve(true);
        rig.receive(&again).unwrap();
        assert_eq!((rig.said(), rig.payloads()), (vec![(PUBREC, 7)], vec!["first"]));
        rig.receive(&pubrel(7)).unwrap();
        rig.receive(&pubrel(7)).unwrap();
        assert_eq!(rig.said(), [(PUBCOMP, 7), (PUBCOMP, 7)]);
        rig.receive(&again).unwrap();
        assert_eq!(rig.payloads(), ["first", "first"]);
    }
}

#[test]
fn where_the_session_is_lost_nothing_is_a_repetition() {
    for qos in [1, 2] {
        let mut rig = served(V3);
        rig.receive(&publish(7, qos, false, "first")).unwrap();
        rig.serve(false);
        rig.receive(&publish(7, qos, true, "first")).unwrap();
        assert_eq!(rig.payloads(), ["first", "first"]);
    }
}

#[test]
fn a_publish_that_breaks_the_rules_is_rejected_and_the_connection_goes_on() {
    let mut rig = served(V3);
    let bad = rig::publish(V3, &Publish { topic: "plant/+", ..message(7, 1, false, "bad") });
    rig.receive(&[bad, publish(8, 1, false, "good")].concat()).unwrap();
    let taken = &rig.kept.taken;
    assert!(matches!(taken[0].defect, Some(Defect::Malformed(rule)) if rule.contains("wildcard")));
    assert_eq!((taken[0].topic.as_str(), taken[1].defect), ("plant/+", None));
    assert_eq!(rig.payloads(), ["bad", "good"]);
    rig.confirm(0);
    rig.confirm(1);
    assert_eq!(rig.said(), [(PUBACK, 7), (PUBACK, 8)]);

    let without_id = [0x32, 5, 0, 1, b't', 0, 0];
    let broken = rig.receive(&without_id).unwrap_err();
    assert!(broken.what.contains("packet id 0"), "{broken}");
}

#[test]
fn of_a_packet_that_is_too_large_the_start_is_taken_in_any_pieces() {
    let payload = "x".repeat(300_000);
    let limit = rig::MAX_PACKET_SIZE;
    for topic in ["plant/a", "plant/+"] {
        let large = rig::publish(V3, &Publish { topic, ..message(7, 1, false, &payload) });
        let packet = large.len();
        let input = [large, publish(8, 1, false, "small")].concat();
        for size in [1_000, 70_000, input.len()] {
            let mut rig = served(V3);
            for piece in input.chunks(size) {
                rig.receive(piece).unwrap();
            }
            let taken = &rig.kept.taken[0];
            let defect = Defect::TooLarge { payload: payload.len(), packet, limit };
            assert_eq!((taken.topic.as_str(), taken.defect), (topic, Some(defect)));
            assert_eq!(taken.payload, payload.as_bytes()[..65_536]);
            rig.confirm(0);
            rig.confirm(1);
            assert_eq!(rig.said(), [(PUBACK, 7), (PUBACK, 8)]);
        }
    }
}

#[test]
fn a_connection_that_breaks_within_a_packet_leaves_nothing_behind() {
    let large = publish(7, 1, false, &"x".repeat(300_000));
    for part in [1, 1_000, 250_000] {
        let mut rig = served(V3);
        rig.receive(&large[..part]).unwrap();
        rig.serve(true);
        rig.receive(&publish(8, 1, false, "small")).unwrap();
        assert_eq!(rig.payloads().last(), Some(&"small"));
    }
}

#[test]
fn without_credit_reading_stops_and_pings_go_on() {
    let mut rig = served(V3);
    rig.kept.credit = [false; 2];
    rig.receive(&[publish(7, 1, false, "a"), publish(8, 1, false, "b")].concat()).unwrap();
    assert!(!rig.protocol.is_reading() && rig.kept.taken.is_empty());
    for _ in 0..10 {
        rig.pass(seconds(45)).unwrap();
        assert_eq!(rig.said(), [PINGREQ]);
    }
    rig.kept.credit = [true; 2];
    rig.receive(&[]).unwrap();
    assert!(rig.protocol.is_reading());
    assert_eq!(rig.payloads(), ["a", "b"]);
    // The answers to the pings have waited to be read: the server has its time for them again.
    rig.pass(seconds(29)).unwrap();
    let silent = rig.pass(seconds(2)).unwrap_err();
    assert!(silent.what.contains("pings"), "{silent}");
}

#[test]
fn qos_0_without_credit_waits_once_and_then_holds_nothing_up() {
    let mut rig = served(V3);
    rig.kept.credit = [false, true];
    let mixed: Vec<u8> = (0..50)
        .flat_map(|id| [publish(0, 0, false, "0"), publish(id + 1, 1, false, "1")].concat())
        .collect();
    rig.receive(&mixed).unwrap();
    assert!(!rig.protocol.is_reading() && rig.kept.taken.is_empty());
    rig.pass(seconds(4)).unwrap();
    assert!(rig.kept.taken.is_empty() && rig.kept.dropped == 0);
    rig.pass(seconds(1)).unwrap();
    assert_eq!((rig.payloads(), rig.kept.dropped), (vec!["1"; 50], 50));
    rig.receive(&mixed).unwrap();
    assert_eq!((rig.kept.taken.len(), rig.kept.dropped), (100, 100));
    assert!(rig.protocol.is_reading());
    // Credit is back: the next time without it is a new one.
    rig.kept.credit = [true, true];
    rig.receive(&publish(0, 0, false, "0")).unwrap();
    rig.kept.credit = [false, true];
    rig.receive(&publish(0, 0, false, "0")).unwrap();
    assert!(!rig.protocol.is_reading() && rig.kept.dropped == 100);
    rig.pass(seconds(5)).unwrap();
    assert!(rig.protocol.is_reading() && rig.kept.dropped == 101);
}

#[test]
fn a_message_that_waits_at_qos_1_does_not_use_up_the_patience_of_qos_0() {
    let mut rig = served(V3);
    rig.kept.credit = [false, false];
    rig.receive(&[publish(7, 1, false, "1"), publish(0, 0, false, "0")].concat()).unwrap();
    rig.pass(seconds(20)).unwrap();
    rig.kept.credit = [false, true];
    rig.receive(&[]).unwrap();
    rig.pass(seconds(4)).unwrap();
    assert_eq!((rig.payloads(), rig.kept.dropped), (vec!["1"], 0));
    rig.kept.credit = [true, true];
    rig.receive(&[]).unwrap();
    assert_eq!((rig.payloads(), rig.kept.dropped), (vec!["1", "0"], 0));
}

#[test]
fn a_silent_server_is_given_up_at_each_step() {
    let mut rig = Rig::new(V3);
    rig.connect();
    rig.pass(seconds(9)).unwrap();
    let silent = rig.pass(seconds(1)).unwrap_err();
    assert!(silent.what.contains("CONNECT in 10 s"), "{silent}");

    rig.connect();
    rig.receive(&connack(V3, true)).unwrap();
    assert_eq!(rig.written()[0], 0x82, "SUBSCRIBE");
    rig.pass(seconds(9)).unwrap();
    let silent = rig.pass(seconds(1)).unwrap_err();
    assert!(silent.what.contains("SUBSCRIBE in 10 s"), "{silent}");

    rig.serve(true);
    rig.pass(seconds(45)).unwrap();
    assert_eq!(rig.said(), [PINGREQ]);
    rig.pass(seconds(29)).unwrap();
    let silent = rig.pass(seconds(1)).unwrap_err();
    assert!(silent.what.contains("pings"), "{silent}");

    // Anything that comes is a sign of life.
    rig.serve(true);
    for _ in 0..20 {
        rig.pass(seconds(45)).unwrap();
        assert_eq!(rig.said(), [PINGREQ]);
        rig.receive(&publish(0, 0, false, "x")).unwrap();
    }
}

#[test]
fn what_was_there_to_be_read_counts_although_nobody_looked_for_long() {
    let mut rig = served(V3);
    rig.pass(seconds(45)).unwrap();
    assert_eq!(rig.said(), [PINGREQ]);
    // This program was stopped, or the machine slept.
    rig.now += seconds(3_600);
    rig.receive(&[0xd0, 0]).unwrap();
    rig.protocol.handle_timeout(rig.now).unwrap();
    assert_eq!(rig.said(), [PINGREQ]);
}

#[test]
fn the_answer_to_subscribe_may_wait_behind_messages_without_credit() {
    let mut rig = Rig::new(V3);
    rig.connect();
    rig.kept.credit = [false; 2];
    rig.receive(&[connack(V3, true), publish(7, 1, true, "a")].concat()).unwrap();
    rig.pass(seconds(100)).unwrap();
    rig.kept.credit = [true; 2];
    rig.receive(&[]).unwrap();
    rig.pass(seconds(9)).unwrap();
    rig.receive(&suback(V3)).unwrap();
    assert!(rig.protocol.is_subscribed());
}

#[test]
fn the_answer_to_subscribe_may_wait_behind_all_that_the_server_has_kept() {
    let mut rig = Rig::new(V3);
    rig.connect();
    rig.receive(&connack(V3, true)).unwrap();
    for id in 1..100 {
        rig.receive(&publish(id, 1, true, "kept")).unwrap();
        rig.pass(seconds(9)).unwrap();
    }
    rig.receive(&suback(V3)).unwrap();
    assert!(rig.protocol.is_subscribed());
}

#[test]
fn pings_keep_the_time_in_a_flood_that_never_ends() {
    let mut rig = served(V3);
    let mut pings = 0;
    for _ in 0..1_000 {
        rig.now += Duration::from_millis(100);
        rig.receive(&publish(0, 0, false, "flood")).unwrap();
        pings += rig.said().len();
    }
    assert_eq!(pings, 2);
}

#[test]
fn a_keep_alive_of_0_means_no_pings_whoever_wants_it() {
    let mut own = Rig::with(V3, |settings| settings.hello.keep_alive = 0);
    own.serve(false);
    let mut servers = Rig::new(Version::V5);
    servers.connect();
    servers.receive(&[0x20, 6, 0, 0, 3, 0x13, 0, 0]).unwrap();
    servers.written();
    servers.receive(&suback(Version::V5)).unwrap();
    for mut rig in [own, servers] {
        assert_eq!(rig.protocol.next_timeout(), None);
        rig.pass(seconds(100_000)).unwrap();
        assert_eq!(rig.said(), []);
    }
}

#[test]
fn what_comes_while_draining_is_left_to_the_server() {
    let mut rig = served(V3);
    rig.receive(&publish(7, 1, false, "a")).unwrap();
    rig.protocol.obey(Control::Drain);
    let more = [publish(8, 1, false, "b"), publish(9, 2, false, "c"), publish(0, 0, false, "d")];
    rig.receive(&more.concat()).unwrap();
    assert_eq!((rig.payloads(), rig.kept.let_go, rig.kept.dropped), (vec!["a"], 2, 1));
    assert!(!rig.protocol.is_drained());
    rig.confirm(0);
    rig.protocol.acknowledge();
    assert!(!rig.protocol.is_drained(), "the acknowledgement is not written");
    assert_eq!(rig.said(), [(PUBACK, 7)]);
    assert!(rig.protocol.is_drained());
}

#[test]
fn who_leaves_acknowledges_what_is_settled_and_waits_for_nothing() {
    let mut rig = served(V3);
    rig.receive(&[publish(7, 1, false, "a"), publish(8, 1, false, "b")].concat()).unwrap();
    rig.confirm(0);
    rig.protocol.obey(Control::Drain);
    rig.protocol.acknowledge();
    rig.protocol.obey(Control::Leave);
    assert!(!rig.protocol.is_drained(), "the acknowledgement is not written");
    assert_eq!(rig.said(), [(PUBACK, 7)]);
    assert!(rig.protocol.is_drained());
}

#[test]
fn what_comes_again_while_draining_is_acknowledged() {
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        let mut rig = served(V3);
        rig.receive(&publish(7, qos, false, "a")).unwrap();
        rig.serve(true);
        rig.confirm(0);
        rig.protocol.obey(Control::Drain);
        rig.receive(&publish(7, qos, true, "a")).unwrap();
        assert_eq!((rig.said(), rig.kept.let_go), (vec![(first, 7)], 0));
        assert!(rig.protocol.is_drained());
    }
}

#[test]
fn an_answer_to_subscribe_costs_no_more_memory_than_it_has_bytes() {
    let v5 = Version::V5;
    // A long text, and as many codes as there is room for.
    let text = [&[0x1f, 0xff, 0xff][..], &vec![b'x'; 0xffff]].concat();
    let packet = |codes: usize| {
        let body = [&[0, 1, 0x82, 0x80, 0x04][..], &text, &vec![0x80; codes]].concat();
        let length = [0x80, 0x80, 0x80, 0].into_iter().enumerate();
        let length = length.map(|(at, more)| (body.len() >> (7 * at)) as u8 & 0x7f | more);
        [&[0x90][..], &length.collect::<Vec<u8>>(), &body].concat()
    };
    for (codes, words) in [(65_536, "65536 codes"), (400_000, "no PUBLISH")] {
        let mut rig = Rig::with(v5, |settings| settings.max_packet_size = 16 << 20);
        rig.connect();
        rig.receive(&connack(v5, false)).unwrap();
        let broken = rig.receive(&packet(codes)).unwrap_err();
        assert!(broken.what.contains(words) && broken.what.len() < 1_000, "{broken}");
    }
    let mut rig = Rig::with(v5, |settings| settings.max_packet_size = 16 << 20);
    rig.connect();
    rig.receive(&connack(v5, false)).unwrap();
    let broken = rig.receive(&packet(1)).unwrap_err();
    assert!(broken.what.contains("is refused: unspecified") && broken.what.contains("xxx"));
}

#[test]
fn a_server_that_does_not_read_is_not_read_from() {
    let mut rig = served(V3);
    let releases: Vec<u8> = (0..=u16::MAX).flat_map(pubrel).collect();
    rig.receive(&releases).unwrap();
    assert!(!rig.protocol.is_reading());
    assert_eq!(rig.said().len(), 65_536);
    assert!(rig.protocol.is_reading());
}

#[test]
fn packets_at_the_wrong_time_end_the_connection() {
    let v5 = Version::V5;
    for (version, bytes, words) in [
        (V3, publish(7, 1, false, "early"), "another packet than CONNACK"),
        (V3, suback(V3), "another packet than CONNACK"),
        (V3, vec![0x20, 2, 0, 5], "not authorised"),
        (v5, vec![0xf0, 2, 0x18, 0], "AUTH"),
    ] {
        let mut rig = Rig::new(version);
        rig.connect();
        let broken = rig.receive(&bytes).unwrap_err();
        assert!(broken.what.contains(words), "{broken}");
    }
    for (version, bytes, words) in [
        (V3, connack(V3, false), "second CONNACK"),
        (v5, vec![0xf0, 2, 0x18, 0], "AUTH"),
        (v5, vec![0xe0, 2, 0x8e, 0], "session taken over"),
        (V3, vec![0xff, 0xff, 0xff, 0xff, 0xff], "four bytes"),
        (V3, vec![0x90, 0xff, 0xff, 0x7f, 0], "no PUBLISH"),
    ] {
        let broken = served(version).receive(&bytes).unwrap_err();
        assert!(broken.what.contains(words), "{broken}");
    }
}

#[test]
fn what_is_no_longer_wanted_is_unsubscribed_where_there_may_be_a_session() {
    let old = |settings: &mut Settings| settings.unsubscribe = vec!["old/#".to_owned()];
    for (version, present, first) in
        [(V3, true, 0xa2), (V3, false, 0x82), (Version::V3_1, false, 0xa2)]
    {
        let mut rig = Rig::with(version, old);
        rig.connect();
        rig.receive(&connack(version, present)).unwrap();
        assert_eq!(rig.written()[0], first);
    }
}

#[test]
fn without_filters_nothing_is_subscribed() {
    let mut rig = Rig::with(V3, |settings| settings.filters.clear());
    rig.connect();
    rig.receive(&connack(V3, false)).unwrap();
    assert!(rig.protocol.is_subscribed() && rig.written().is_empty());
}
