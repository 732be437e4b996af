//! A record that Kafka has, for those who want to show it.

use super::native::Report;

/// A record that Kafka has.
pub struct Record<'a>(pub(super) Report<'a>);

impl<'a> Record<'a> {
    pub fn topic(&self) -> &'a str {
        self.0.topic()
    }

    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    pub fn key(&self) -> Option<&'a [u8]> {
        self.0.key()
    }

    pub fn value(&self) -> Option<&'a [u8]> {
        self.0.value()
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp_ms()
    }

    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.0.headers()
    }
}
