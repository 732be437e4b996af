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

    #[plugin_sdk::transformer]
    #[expect(clippy::needless_lifetimes, reason = "they may be written out")]
    pub(super) fn transform<'a, 'b>(
        _: &'a plugin_sdk::Message,
        record: &'b plugin_sdk::Record,
    ) -> Result<[plugin_sdk::Record; 2], std::num::ParseIntError> {
        "3".parse().map(|partition| [record.clone(), record.clone().partition(partition)])
    }
}

#[test]
fn functions_may_be_written_with_paths_and_lifetimes_and_errors_of_others() {
    let message = plugin_sdk::Message::new("a/b", "");
    assert_eq!(paths::key(&message), "a/b");
    assert!(paths::timestamp(&message).is_err());
    let record = plugin_sdk::Record::new();
    assert_eq!(paths::transform(&message, &record), Ok([record.clone(), record.partition(3)]));
}
