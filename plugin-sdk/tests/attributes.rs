//! What the attributes go on, beside the examples in the documentation.

/// Functions with the names of everything that an attribute could write beside them.
mod names {
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

    #[test]
    fn a_setter_may_have_any_name() {
        let given = Message::new("a/b", "payload").with_received_at_ms(7);
        assert_eq!(
            (answer(&given), message(&given), answers(&given)),
            (Some("a"), &b"payload"[..], 7)
        );
    }
}

/// Without the prelude, and with a lifetime.
mod paths {
    #[plugin_sdk::key_setter]
    #[expect(clippy::elidable_lifetime_names, reason = "it may be written out")]
    pub(super) fn key<'a>(message: &'a plugin_sdk::Message) -> std::borrow::Cow<'a, str> {
        message.topic().into()
    }

    #[plugin_sdk::timestamp_setter]
    pub(super) fn timestamp(_: &plugin_sdk::Message) -> Result<i64, std::num::ParseIntError> {
        "x".parse()
    }
}

#[test]
fn a_setter_may_be_written_with_paths_and_lifetimes_and_errors_of_others() {
    let message = plugin_sdk::Message::new("a/b", "");
    assert_eq!(paths::key(&message), "a/b");
    assert!(paths::timestamp(&message).is_err());
}
