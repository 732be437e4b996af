//! Records that were sent, whole, whatever became of them.

use rdkafka::message::{
    BorrowedHeaders, BorrowedMessage, Header as KafkaHeader, Headers, Message as _, OwnedHeaders,
};

use super::{Fault, Ticket};

/// A record that Kafka has, for those who want to show it.
pub struct Delivered<'a>(pub(super) &'a BorrowedMessage<'a>);

impl Delivered<'_> {
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    pub fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let headers = self.0.headers();
        headers
            .into_iter()
            .flat_map(|headers| headers.iter().map(|header| (header.key, header.value)))
    }
}

/// A record that Kafka does not have, whole, so that it can be sent again as it was.
#[derive(Debug)]
pub struct Failure {
    pub ticket: Ticket,
    pub fault: Fault,
    pub record: Parts,
}

/// All that a record consists of.
#[derive(Debug)]
pub struct Parts {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Where it was to go, whoever has decided that.
    pub partition: Option<i32>,
    pub(super) headers: Option<OwnedHeaders>,
}

impl Parts {
    /// Keeps only the first `size` bytes of the value, and says in a header how many there were.
    pub fn cut(&mut self, size: usize) {
        let Some(value) = self.value.as_mut().filter(|value| value.len() > size) else { return };
        let was = value.len().to_string();
        value.truncate(size);
        let headers = self.headers.take().unwrap_or_default();
        let header = KafkaHeader { key: "reject.payload-size", value: Some(was.as_bytes()) };
        self.headers = Some(headers.insert(header));
    }

    pub(super) fn new(
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        (timestamp_ms, partition): (i64, Option<i32>),
        headers: Option<OwnedHeaders>,
    ) -> Self {
        let (topic, key) = (topic.to_owned(), key.map(<[u8]>::to_vec));
        let value = value.map(<[u8]>::to_vec);
        Self { topic, key, value, timestamp_ms, partition, headers }
    }

    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        let timestamp_ms = message.timestamp().to_millis().unwrap_or_default();
        let partition = Some(message.partition()).filter(|partition| *partition >= 0);
        let headers = message.headers().map(BorrowedHeaders::detach);
        let place = (timestamp_ms, partition);
        Self::new(message.topic(), message.key(), message.payload(), place, headers)
    }
}
