//! [`Record`]: a Kafka record in the making, as transformers get and return it. How it lies in
//! calls and answers is in `packed`, what may be returned is in `transformed`.

mod packed;

use std::borrow::Cow;
use std::fmt;

pub use packed::PackedRecord;

/// A Kafka record in the making: what is decided about it, and no more. Whatever is not decided is
/// as it came to the [`transformer`](crate::transformer), so a new record is the record that came:
///
/// ```
/// # use plugin_sdk::prelude::*;
/// let record = Record::new().topic("alarms").value("21.5");
/// assert_eq!(record.topic_so_far(), Some("alarms"));
/// assert_eq!(format!("{record:?}"), r#"Record { value: "21.5", topic: "alarms" }"#);
/// ```
///
/// The record that a transformer gets says what setters and earlier transformers have decided. What
/// nobody decides in the end is what the host does without plugins.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Record {
    key: ContentBuf,
    value: ContentBuf,
    topic: Option<String>,
    partition: Option<u32>,
    timestamp_ms: Option<i64>,
    headers: Option<Vec<Header>>,
}

/// A name, and the bytes if it is not Kafka's null.
type Header = (String, Option<Vec<u8>>);

/// The key or the value of a [`Record`].
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Content<'a> {
    /// As it came, or what the host does without plugins.
    #[default]
    Default,
    /// A Kafka null: no key, or a tombstone.
    Null,
    /// These bytes. No bytes are an empty key or value, not null.
    Bytes(&'a [u8]),
}

/// A [`Content`] that owns its bytes.
#[derive(Clone, PartialEq, Eq, Default)]
enum ContentBuf {
    #[default]
    Default,
    Null,
    Bytes(Vec<u8>),
}

/// To make one.
impl Record {
    /// The record as it came.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this key: `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]` or anything else that is
    /// bytes. No bytes are an empty key, not null.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = ContentBuf::Bytes(key.into());
        self
    }

    /// With Kafka's null for a key.
    #[must_use]
    pub fn null_key(mut self) -> Self {
        self.key = ContentBuf::Null;
        self
    }

    /// With this value: whatever a [`key`](Self::key) may be. No bytes are an empty value, not null.
    #[must_use]
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = ContentBuf::Bytes(value.into());
        self
    }

    /// With Kafka's null for a value: a tombstone.
    #[must_use]
    pub fn null_value(mut self) -> Self {
        self.value = ContentBuf::Null;
        self
    }

    /// For this Kafka topic. The host rejects the message if its user has not allowed this one.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// For this partition, counted from 0. Otherwise the key decides.
    #[must_use]
    pub fn partition(mut self, partition: u32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With this timestamp, in milliseconds since the Unix epoch. It must be positive: Kafka takes
    /// 0 for "now".
    #[must_use]
    pub fn timestamp_ms(mut self, milliseconds: i64) -> Self {
        self.timestamp_ms = Some(milliseconds);
        self
    }

    /// With this header after those that are decided. With the first one, the record has these
    /// headers and no others: the host's own are not added then. A name may occur more than once.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.one_more(name.into(), Some(value.into()))
    }

    /// With this header, whose value is Kafka's null, after those that are decided; otherwise like
    /// [`header`](Self::header).
    #[must_use]
    pub fn null_header(self, name: impl Into<String>) -> Self {
        self.one_more(name.into(), None)
    }

    /// Without headers: the host's own are not added either.
    #[must_use]
    pub fn no_headers(mut self) -> Self {
        self.headers = Some(Vec::new());
        self
    }

    fn one_more(mut self, name: String, value: Option<Vec<u8>>) -> Self {
        self.headers.get_or_insert_default().push((name, value));
        self
    }
}

/// What is decided so far.
impl Record {
    #[must_use]
    pub fn key_so_far(&self) -> Content<'_> {
        self.key.as_content()
    }

    /// Of the record that a transformer gets, this says whether the value is null, and nothing
    /// else: the bytes are the message's [`payload`](crate::Message::payload).
    #[must_use]
    pub fn value_so_far(&self) -> Content<'_> {
        self.value.as_content()
    }

    /// The Kafka topic.
    #[must_use]
    pub fn topic_so_far(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    #[must_use]
    pub fn partition_so_far(&self) -> Option<u32> {
        self.partition
    }

    /// In milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp_ms_so_far(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// Names and values, in order; a value of `None` is Kafka's null. Without a list it is the
    /// host that makes the headers.
    pub fn headers_so_far(&self) -> Option<impl ExactSizeIterator<Item = (&str, Option<&[u8]>)>> {
        let headers = self.headers.as_ref()?;
        Some(headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())))
    }
}

impl<'a> Content<'a> {
    /// The bytes, if it is bytes.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Default | Self::Null => None,
        }
    }
}

impl ContentBuf {
    fn as_content(&self) -> Content<'_> {
        match self {
            Self::Default => Content::Default,
            Self::Null => Content::Null,
            Self::Bytes(bytes) => Content::Bytes(bytes),
        }
    }
}

impl From<Content<'_>> for ContentBuf {
    fn from(content: Content<'_>) -> Self {
        match content {
            Content::Default => Self::Default,
            Content::Null => Self::Null,
            Content::Bytes(bytes) => Self::Bytes(bytes.into()),
        }
    }
}

/// Only what is decided, and text as text, so that a failed `assert_eq!` can be read.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Record");
        for (name, content) in [("key", &self.key), ("value", &self.value)] {
            if *content != ContentBuf::Default {
                shown.field(name, &content.as_content());
            }
        }
        if let Some(topic) = &self.topic {
            shown.field("topic", topic);
        }
        if let Some(partition) = &self.partition {
            shown.field("partition", partition);
        }
        if let Some(milliseconds) = &self.timestamp_ms {
            shown.field("timestamp_ms", milliseconds);
        }
        if let Some(headers) = self.headers_so_far() {
            let of_bytes = |value: Option<_>| value.map_or(Content::Null, Content::Bytes);
            let headers: Vec<_> = headers.map(|(name, value)| (name, of_bytes(value))).collect();
            shown.field("headers", &headers);
        }
        shown.finish()
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Null => f.write_str("null"),
            Self::Bytes(bytes) => match String::from_utf8_lossy(bytes) {
                Cow::Borrowed(text) => fmt::Debug::fmt(text, f),
                Cow::Owned(_) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_was_decided_about_it() {
        let record = Record::new()
            .key("dev42")
            .value(vec![0xff])
            .topic("alarms")
            .partition(3)
            .timestamp_ms(1_700_000_000_000)
            .header("unit", "C")
            .null_header("unit");
        assert_eq!(record.key_so_far(), Content::Bytes(b"dev42"));
        assert_eq!(record.value_so_far().bytes(), Some(&b"\xff"[..]));
        assert_eq!((record.topic_so_far(), record.partition_so_far()), (Some("alarms"), Some(3)));
        assert_eq!(record.timestamp_ms_so_far(), Some(1_700_000_000_000));
        let headers: Vec<_> = record.headers_so_far().expect("there are headers").collect();
        assert_eq!(headers, [("unit", Some(&b"C"[..])), ("unit", None)]);
    }

    #[test]
    fn about_a_new_record_nothing_is_decided() {
        let record = Record::new();
        assert_eq!((record.key_so_far(), record.value_so_far()), Default::default());
        assert_eq!((record.topic_so_far(), record.partition_so_far()), (None, None));
        assert_eq!(record.timestamp_ms_so_far(), None);
        assert!(record.headers_so_far().is_none());
    }

    #[test]
    fn the_last_decision_counts() {
        let record = Record::new().null_key().key("").value("x").null_value();
        assert_eq!(
            (record.key_so_far(), record.value_so_far().bytes()),
            (Content::Bytes(b""), None)
        );
        assert_eq!(record.value_so_far(), Content::Null);
        let headers =
            Record::new().header("a", "b").no_headers().headers_so_far().map(|it| it.len());
        assert_eq!(headers, Some(0));
    }

    #[test]
    fn whatever_is_bytes_is_a_key_and_a_value() {
        let expected = Record::new().key("ab").value("ab");
        assert_eq!(Record::new().key(String::from("ab")).value(b"ab"), expected);
        assert_eq!(Record::new().key(*b"ab").value(&b"ab"[..]), expected);
        assert_eq!(Record::new().key(Cow::Borrowed(&b"ab"[..])).value(b"ab".to_vec()), expected);
    }

    #[test]
    fn debug_shows_what_is_decided_and_text_as_text() {
        assert_eq!(format!("{:?}", Record::new()), "Record");
        let record = Record::new().key("ü").null_value().header("a", b"\xffb").null_header("c");
        assert_eq!(
            format!("{record:?}"),
            r#"Record { key: "ü", value: null, headers: [("a", b"\xffb"), ("c", null)] }"#
        );
        let record = Record::new().topic("t").partition(0).timestamp_ms(1).no_headers();
        assert_eq!(
            format!("{record:?}"),
            r#"Record { topic: "t", partition: 0, timestamp_ms: 1, headers: [] }"#
        );
        assert_eq!(format!("{:?}", Content::Default), "default");
    }
}
