//! Attributes without the prelude, on functions in a module, with lifetimes and errors of others.

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
