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

/// How long a text may be if there is little room, in bytes: with all that may be said, each so long, and the
/// longest name of a Kafka topic, the smallest dead letter is as small as it says.
const SHORT: usize = 80;
const LONGEST_KAFKA_TOPIC: usize = 249;

/// What a header takes beside its name and its value, in bytes, as long as these are short.
const LENGTHS: usize = 2;

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
        let Self { message, rejection, .. } = self;
        let mut fitted = Fitted {
            letter: self,
            topic: message.topic(),
            payload: message.payload(),
            error: &rejection.error,
            plugin: rejection.plugin.as_deref().map(|plugin| plugin.name.as_str()),
            has_properties: fit == Fit::Whole,
        };
        if let Fit::Bytes(limit) = fit {
            fitted.payload = &[];
            if fitted.size() > limit / 2 {
                fitted.topic = start(fitted.topic, SHORT);
                fitted.error = start(fitted.error, SHORT);
                fitted.plugin = fitted.plugin.map(|name| start(name, SHORT));
                fitted.letter.kafka_topic =
                    self.kafka_topic.filter(|name| name.len() <= LONGEST_KAFKA_TOPIC);
            }
            let room = limit.saturating_sub(fitted.size());
            fitted.payload = &message.payload()[..room.min(message.payload().len())];
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
    plugin: Option<&'a str>,
    has_properties: bool,
}

impl<'a> Fitted<'a> {
    /// In bytes, about as it is sent.
    fn size(&self) -> usize {
        let header = |header: Header<'_>| {
            header.name.len() + header.value.map_or(0, |value| value.len()) + LENGTHS
        };
        self.topic.len() + self.payload.len() + self.headers().map(header).sum::<usize>()
    }

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
        let sha256 = rejection.plugin.iter().map(|plugin| plugin.sha256.as_str());
        let plugin = self.plugin.map(|name| Header::text("reject.plugin", name));
        let plugin =
            plugin.into_iter().chain(sha256.map(|it| Header::text("reject.plugin-sha256", it)));
        let all = self.has_properties.then(|| headers(HeaderPolicy::All, &message));
        let few = (!self.has_properties).then(|| about(&message, topic));
        let missing = message.properties().filter(|_| !self.has_properties);
        let missing =
            missing.map(|properties| properties.iter().count()).filter(|count| *count > 0);
        let number = |name, number: usize| Header::text(name, number.to_string());
        let cut = |name, whole: &str, rest: &str| {
            (rest.len() < whole.len()).then(|| number(name, whole.len()))
        };
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
            .chain(cut("reject.topic-size", message.topic(), topic))
            .chain(cut("reject.error-size", &rejection.error, self.error))
            .chain(plugin)
    }
}

/// The first bytes of a text, at most so many, without a torn character.
fn start(text: &str, size: usize) -> &str {
    &text[..text.floor_char_boundary(size)]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::{Batch, PluginName, Publish, Qos, Reason};

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

    /// Of every text that a letter may have, in bytes: topic, payload, error, Kafka topic, plugin.
    type Sizes = [usize; 5];

    /// All combinations of short and as long as can be.
    fn sizes() -> impl Iterator<Item = Sizes> {
        let longest: Sizes = [65_534, 2_000_000, 100_000, 249, 255];
        (0_u32..32).map(move |long| {
            std::array::from_fn(|text| if long >> text & 1 == 1 { longest[text] } else { 4 })
        })
    }

    fn header(fitted: &Fitted<'_>, name: &str) -> Option<String> {
        let found = fitted.headers().filter(|header| header.name == name).last()?;
        Some(String::from_utf8_lossy(&found.value?).into_owned())
    }

    #[test]
    fn each_step_is_as_small_as_it_says_whatever_is_long() {
        let property = [&[0x26, 0, 1, b'n', 0xff, 0xff][..], &vec![b'v'; 0xffff]].concat();
        for [topic, payload, error, kafka_topic, plugin] in sizes() {
            let batch = batch(topic, payload, &property);
            let message = batch.message(0);
            let name = PluginName { name: "p".repeat(plugin), sha256: "f".repeat(64) };
            let plugin = Some(Arc::new(name));
            let rejection =
                Rejection { reason: Reason::InvalidRecord, error: "e".repeat(error), plugin };
            let name = "k".repeat(kafka_topic);
            let letter =
                Letter { message, rejection: &rejection, kafka_topic: Some(&name), payload: None };
            for fit in Fit::ALL {
                let Fit::Bytes(limit) = fit else { continue };
                let fitted = letter.fit(fit);
                let size = size(&fitted);
                assert!(size <= limit, "{size} bytes for {limit}");
                assert!(payload < limit || size > limit - 10, "{size} of {limit} bytes are used");
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
