//! A dead letter: what a message that is rejected becomes.
//!
//! It holds the original payload under the original topic, and says in its headers what went wrong and
//! what else was known of the message, so that it can be replayed. One that Kafka finds too large is
//! made smaller until it fits: first it goes without the message's properties, then without most of the
//! payload, at last without the end of a long topic; headers say what is missing.

use std::borrow::Cow;

use crate::message::{Header, Message, Record, Rejection};
use crate::transform::headers::{HeaderPolicy, about, headers};

/// How much of a message a dead letter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Whole,
    WithoutProperties,
    /// And of all in all so many bytes.
    Bytes(usize),
}

impl Fit {
    /// From the largest to the smallest.
    pub const ALL: [Self; 6] = [
        Self::Whole,
        Self::WithoutProperties,
        Self::Bytes(64 * 1024),
        Self::Bytes(16 * 1024),
        Self::Bytes(4 * 1024),
        Self::SMALLEST,
    ];
    /// No topic for dead letters is to take less.
    pub const SMALLEST: Self = Self::Bytes(1024);
}

/// What the headers take, without the texts that may be long, in bytes.
const HEADERS: usize = 400;
/// How long those may be if there is little room, in bytes.
const SHORT: usize = 128;

/// Why a message is rejected, and what is known of it.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    pub message: Message<'a>,
    pub rejection: &'a Rejection,
    /// Where its record would have gone, if that is known.
    pub kafka_topic: Option<&'a str>,
    /// How many bytes the payload had, if they are not all there.
    pub payload: Option<usize>,
}

impl<'a> Letter<'a> {
    /// Leaves out what does not fit.
    #[must_use]
    pub fn fit(self, fit: Fit) -> Fitted<'a> {
        let mut fitted = Fitted {
            letter: self,
            topic: self.message.topic(),
            payload: self.message.payload(),
            error: &self.rejection.error,
            has_properties: fit == Fit::Whole,
        };
        if let Fit::Bytes(limit) = fit {
            let room = limit.saturating_sub(HEADERS);
            // The topic is the key and a header.
            if fitted.topic.len() * 2 + fitted.error.len() > room / 2 {
                fitted.topic = start(fitted.topic, SHORT);
                fitted.error = start(fitted.error, SHORT);
                fitted.letter.kafka_topic = self.kafka_topic.filter(|name| name.len() <= SHORT);
            }
            let texts = fitted.topic.len() * 2 + fitted.error.len();
            let rest = fitted.payload.len().min(room.saturating_sub(texts));
            fitted.payload = &fitted.payload[..rest];
        }
        fitted
    }
}

/// A dead letter that leaves out what does not fit.
pub struct Fitted<'a> {
    letter: Letter<'a>,
    topic: &'a str,
    payload: &'a [u8],
    error: &'a str,
    has_properties: bool,
}

impl<'a> Fitted<'a> {
    #[must_use]
    pub fn record(&self) -> Record<'a> {
        Record {
            key: Some(Cow::Borrowed(self.topic.as_bytes())),
            value: Some(Cow::Borrowed(self.payload)),
            timestamp_ms: self.letter.message.received_at_ms(),
            choice: None,
        }
    }

    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> {
        let Self { letter: Letter { message, rejection, kafka_topic, payload }, topic, .. } = *self;
        let plugin = rejection.plugin.iter().flat_map(|plugin| {
            [
                Header::text("reject.plugin", plugin.name.as_str()),
                Header::text("reject.plugin-sha256", plugin.sha256.as_str()),
            ]
        });
        let all = self.has_properties.then(|| headers(HeaderPolicy::All, &message));
        let few = (!self.has_properties).then(|| about(&message, topic));
        let missing = message.properties().filter(|_| !self.has_properties);
        let missing =
            missing.map(|properties| properties.iter().count()).filter(|count| *count > 0);
        let number = |name, number: usize| Header::text(name, number.to_string());
        let whole = message.topic().len();
        let size =
            payload.or(Some(message.payload().len())).filter(|size| *size > self.payload.len());
        all.into_iter()
            .flatten()
            .chain(few.into_iter().flatten())
            .chain([
                Header::text("reject.reason", rejection.reason.as_str()),
                Header::text("reject.error", self.error),
                Header::text("reject.arrived-at", message.received_at_ms().to_string()),
            ])
            .chain(kafka_topic.map(|topic| Header::text("reject.kafka-topic", topic)))
            .chain(size.map(|size| number("reject.payload-size", size)))
            .chain(missing.map(|count| number("reject.properties", count)))
            .chain((topic.len() < whole).then(|| number("reject.topic-size", whole)))
            .chain(plugin)
    }
}

/// The first bytes of a text, at most so many, without a torn character.
fn start(text: &str, size: usize) -> &str {
    &text[..text.floor_char_boundary(size)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Publish, Qos, Reason};

    /// A message whose properties, payload and topic are as long as can be, or short.
    fn batch(topic: usize, payload: usize, properties: &[u8]) -> Batch {
        let mut batch = Batch::new();
        let (topic, payload) = ("\u{e4}".repeat(topic / 2), vec![7; payload]);
        let publish = Publish {
            topic: &topic,
            payload: &payload,
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            packet_id: 1,
            properties: Some(properties),
        };
        batch.push(0, 5, &publish);
        batch
    }

    fn size(fitted: &Fitted<'_>) -> usize {
        let record = fitted.record();
        let headers: usize = fitted
            .headers()
            .map(|header| header.name.len() + header.value.map_or(0, |value| value.len()) + 2)
            .sum();
        record.key.map_or(0, |key| key.len())
            + record.value.map_or(0, |value| value.len())
            + headers
    }

    fn header(fitted: &Fitted<'_>, name: &str) -> Option<String> {
        let found = fitted.headers().filter(|header| header.name == name).last()?;
        Some(String::from_utf8_lossy(&found.value?).into_owned())
    }

    #[test]
    fn each_step_is_as_small_as_it_says_whatever_is_long() {
        let property = [&[0x26, 0, 1, b'n', 0xff, 0xff][..], &vec![b'v'; 0xffff]].concat();
        let rejection =
            Rejection { reason: Reason::TooLarge, error: "why ".repeat(20_000), plugin: None };
        for (topic, payload, properties) in
            [(65_534, 2_000_000, &property[..]), (4, 2_000_000, &[]), (65_534, 0, &property)]
        {
            let batch = batch(topic, payload, properties);
            let message = batch.message(0);
            let name = "k".repeat(249);
            let letter =
                Letter { message, rejection: &rejection, kafka_topic: Some(&name), payload: None };
            for fit in Fit::ALL {
                let Fit::Bytes(limit) = fit else { continue };
                let size = size(&letter.fit(fit));
                assert!(size <= limit, "{size} bytes for {limit}");
            }
        }
    }

    #[test]
    fn a_letter_says_what_is_missing_in_it() {
        let property = [0x26, 0, 1, b'n', 0, 1, b'v'];
        let batch = batch(2_000, 100_000, &property);
        let message = batch.message(0);
        let rejection =
            Rejection { reason: Reason::TooLarge, error: "too large".to_owned(), plugin: None };
        let letter =
            Letter { message, rejection: &rejection, kafka_topic: Some("plant"), payload: None };
        let whole = letter.fit(Fit::Whole);
        let missing = ["reject.properties", "reject.payload-size", "reject.topic-size"];
        let said = |fitted: &Fitted<'_>| missing.map(|name| header(fitted, name));
        assert_eq!((said(&whole), header(&whole, "n").as_deref()), ([None, None, None], Some("v")));
        let bare = letter.fit(Fit::WithoutProperties);
        assert_eq!(said(&bare), [Some("1".to_owned()), None, None]);
        assert_eq!(
            (header(&bare, "n"), bare.record().value.map(|v| v.len())),
            (None, Some(100_000))
        );
        assert_eq!(header(&bare, "mqtt.topic").map(|topic| topic.len()), Some(2_000));
        let small = letter.fit(Fit::SMALLEST);
        let all = ["1", "100000", "2000"].map(|text| Some(text.to_owned()));
        assert_eq!(
            (said(&small), header(&small, "reject.kafka-topic")),
            (all, Some("plant".to_owned()))
        );
        assert_eq!(header(&small, "reject.error").as_deref(), Some("too large"));
    }
}
