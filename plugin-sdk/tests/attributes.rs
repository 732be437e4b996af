//! Functions with the names of everything that an attribute could write beside them.

use plugin_sdk::prelude::*;

#[key_setter]
fn answer(message: &Message) -> Option<&str> {
    message.level(0)
}

#[value_setter]
fn message(message: &Message) -> &[u8] {
    message.payload()
}

#[timestamp_setter]
fn answers(message: &Message) -> i64 {
    message.received_at_ms()
}

#[transformer]
fn record(message: &Message, record: &Record) -> bool {
    record.topic_so_far() != Some(message.topic())
}

#[test]
fn a_setter_may_have_any_name() {
    let given = Message::new("a/b", "payload").with_received_at_ms(7);
    assert_eq!((answer(&given), message(&given), answers(&given)), (Some("a"), &b"payload"[..], 7));
    assert!(record(&given, &Record::new()));
    assert!(!record(&given, &Record::new().topic("a/b")));
}
