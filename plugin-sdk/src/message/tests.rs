//! What [`Message`] says is what [`MessageBuf`](super::MessageBuf) was told.

use std::borrow::Cow;

use super::*;

#[test]
fn a_message_says_what_it_was_made_of() {
    let message = Message::new("plant/dev42/temp", b"\xffbytes")
        .with_qos(Qos::ExactlyOnce)
        .with_dup(true)
        .with_packet_id(513)
        .with_received_at_ms(-1);
    assert_eq!((message.topic(), message.payload()), ("plant/dev42/temp", &b"\xffbytes"[..]));
    assert_eq!((message.qos(), message.retain(), message.dup()), (Qos::ExactlyOnce, false, true));
    assert_eq!((message.packet_id(), message.received_at_ms()), (Some(513), -1));
    assert_eq!(message.properties().user_properties().count(), 0);
}

#[test]
fn a_plain_message_is_qos_0_without_flags() {
    let message = Message::new("t", "");
    assert_eq!((message.qos(), message.retain(), message.dup()), (Qos::AtMostOnce, false, false));
    assert_eq!((message.packet_id(), message.received_at_ms()), (None, 0));
}

#[test]
fn flags_can_be_taken_back() {
    let message = Message::new("t", "")
        .with_qos(Qos::ExactlyOnce)
        .with_retain(true)
        .with_qos(Qos::AtLeastOnce)
        .with_retain(false);
    assert_eq!((message.qos(), message.retain()), (Qos::AtLeastOnce, false));
}

#[test]
fn levels_may_be_empty_and_there_is_always_one() {
    let levels = |topic| Message::new(topic, "").levels().map(String::from).collect::<Vec<_>>();
    assert_eq!(levels("a/b"), ["a", "b"]);
    assert_eq!(levels("/a//"), ["", "a", "", ""]);
    assert_eq!(levels(""), [""]);
    assert_eq!(Message::new("ä/ö/ü", "").level(2), Some("ü"));
    assert_eq!(Message::new("a/b", "").level(2), None);
}

#[test]
fn text_and_json_say_what_is_wrong_with_a_payload() {
    let text = Message::new("t", b"a\xff").text().map(String::from);
    assert!(text.expect_err("not UTF-8").to_string().starts_with("the payload is not text: "));
    let json = Message::new("t", "{").json::<Vec<u8>>();
    let error = json.expect_err("not JSON").to_string();
    assert!(error.starts_with("the payload's JSON does not fit: "), "{error}");
}

#[test]
fn json_may_borrow_from_the_message() {
    #[derive(Deserialize)]
    struct Reading<'a> {
        device: &'a str,
        #[serde(borrow)]
        note: Cow<'a, str>,
    }
    let message = Message::new("t", r#"{"device":"dev42","note":"21\u00b0"}"#);
    let reading: Reading<'_> = message.json().expect("it is JSON");
    assert_eq!((reading.device, &*reading.note), ("dev42", "21°"));
    assert!(message.payload().as_ptr_range().contains(&reading.device.as_ptr()));
}

#[test]
fn json_is_what_a_deserializer_made_of_the_payload_if_one_did() {
    let plain = Message::new("t", r#"{"a":1}"#);
    assert_eq!((plain.deserialized(), plain.json_text()), (None, Ok(r#"{"a":1}"#)));
    assert_eq!(
        Message::new("t", b"\xff").json_text().map_err(|error| error.is_fatal()),
        Err(false)
    );

    let told = plain.with_json("2").with_content_type("x").with_json("[3]").with_content_type("y");
    assert_eq!((told.deserialized(), told.json_text()), (Some("[3]"), Ok("[3]")));
    assert_eq!(told.json::<Vec<u8>>(), Ok(vec![3]));
    assert_eq!((told.payload(), told.text()), (&br#"{"a":1}"#[..], Ok(r#"{"a":1}"#)));
    assert_eq!(told.properties().content_type(), Some("x"));
    assert_eq!(told.with_json("").deserialized(), None);
}

#[test]
fn properties_are_what_was_added() {
    let message = Message::new("t", "payload")
        .with_payload_format(1)
        .with_message_expiry_secs(70_000)
        .with_content_type("text/plain")
        .with_response_topic("re/t")
        .with_correlation_data(b"\x00\xff")
        .with_user_property("a", "1")
        .with_user_property("b", "2")
        .with_user_property("a", "3");
    let properties = message.properties();
    assert_eq!(properties.payload_format(), Some(1));
    assert_eq!(properties.message_expiry_secs(), Some(70_000));
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("re/t"));
    assert_eq!(properties.correlation_data(), Some(&b"\x00\xff"[..]));
    let user: Vec<_> = properties.user_properties().collect();
    assert_eq!(user, [("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!((properties.user_property("a"), properties.user_property("c")), (Some("1"), None));
    assert_eq!(message.payload(), b"payload");
}

#[test]
#[should_panic(expected = "MQTT carries at most 65,535 bytes")]
fn a_topic_that_mqtt_cannot_carry_is_refused() {
    let _ = Message::new("t".repeat(65_536), "");
}

#[test]
fn debug_shows_the_message_and_not_its_bytes() {
    let shown = format!("{:?}", Message::new("t", "21.5").with_content_type("text/plain"));
    assert_eq!(
        shown,
        "Message { topic: \"t\", payload: \"21.5\", qos: AtMostOnce, retain: false, dup: false, \
         packet_id: None, received_at_ms: 0, properties: [ContentType(\"text/plain\")], \
         deserialized: None }"
    );
}
