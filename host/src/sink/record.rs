//! Records that Kafka has.

use super::Tag;
use super::native::{Report, Reports};

/// Records of one batch that Kafka has.
pub struct Delivered<'a> {
    pub(super) reports: &'a Reports,
    /// Each with its place among the reports.
    pub(super) tags: &'a [(usize, Tag)],
}

impl Delivered<'_> {
    pub fn tags(&self) -> impl Iterator<Item = Tag> {
        self.tags.iter().map(|(_, tag)| *tag)
    }

    /// The records, for those who want to show them.
    pub fn records(&self) -> impl Iterator<Item = (Tag, Record<'_>)> {
        self.tags.iter().map(|(at, tag)| (*tag, Record(self.reports.get(*at))))
    }
}

/// A record that Kafka has.
pub struct Record<'a>(Report<'a>);

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
