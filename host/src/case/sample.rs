//! A message as a line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{Batch, Message, Property, Publish, Qos, Sequence};

/// A message, and what is expected to become of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub topic: String,
    /// Text in quotes is the payload's text; anything else is JSON, and the payload as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) qos: u8,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) retain: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) dup: bool,
    /// When it arrived, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<i64>,
    /// There are some only in MQTT 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) properties: Option<Properties>,
    /// Part of the outcome, or all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Value>,
}

/// The properties of an MQTT 5 message (MQTT 5, 3.3.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_format: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_expiry: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_topic: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_data: Option<String>,
    /// Names and values; a name may come twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<(String, String)>,
}

const fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(value: &u8) -> bool {
    *value == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Sample {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and what it takes.
    pub fn read(line: &str) -> Result<Self, String> {
        let sample: Self = serde_json::from_str(line).map_err(|error| {
            format!("{error}; a message is an object such as {{\"topic\": \"a/b\", \"payload\": \"text\"}}")
        })?;
        sample.check()?;
        Ok(sample)
    }

    /// Whether a batch can hold it.
    pub(super) fn check(&self) -> Result<(), String> {
        self.push(&mut Batch::new(), 0, 0)
    }

    /// A message that has come by MQTT.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        Self {
            qos: message.qos() as u8,
            retain: message.retain(),
            dup: message.dup(),
            received_at: Some(message.received_at_ms()),
            properties: message.properties().map(|given| {
                let mut properties = Properties::default();
                given.iter().for_each(|property| properties.add(property));
                properties
            }),
            ..Self::received(message.topic(), message.payload())
        }
    }

    /// A message that was given by itself.
    #[must_use]
    pub fn new(topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Self {
        Self { qos: qos as u8, retain, ..Self::received(topic, payload) }
    }

    /// Nothing but topic and payload.
    pub(super) fn received(topic: &str, payload: &[u8]) -> Self {
        let text = std::str::from_utf8(payload).ok();
        Self {
            topic: topic.to_owned(),
            payload: text.and_then(|text| serde_json::value::to_raw_value(text).ok()),
            payload_base64: text.is_none().then(|| STANDARD.encode(payload)),
            qos: one(),
            ..Self::default()
        }
    }

    /// Adds the message to a batch; `now` is when it arrived, unless it says itself.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn push(&self, batch: &mut Batch, sequence: Sequence, now: i64) -> Result<(), String> {
        let arrived = self.received_at.unwrap_or(now);
        self.with_publish(|publish| batch.push(sequence, arrived, publish))
    }

    /// Does something with the message as it is published.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn with_publish<T>(&self, something: impl FnOnce(&Publish<'_>) -> T) -> Result<T, String> {
        let payload = self.payload()?;
        if self.topic.is_empty() || self.topic.contains(['+', '#', '\0']) {
            return Err(format!(
                "topic {:?} is no topic: it is not empty, and has no '+', '#' or NUL",
                self.topic
            ));
        }
        if self.topic.len() > usize::from(u16::MAX) {
            return Err("the topic has more than 65535 bytes, which MQTT cannot carry".to_owned());
        }
        let qos = Qos::from_number(self.qos)
            .ok_or_else(|| format!("qos {} is none: it is 0, 1 or 2", self.qos))?;
        let properties = self.properties.as_ref().map(Properties::encode).transpose()?;
        Ok(something(&Publish {
            topic: &self.topic,
            payload: &payload,
            qos,
            retain: self.retain,
            dup: self.dup,
            packet_id: u16::from(qos != Qos::AtMostOnce),
            properties: properties.as_deref(),
        }))
    }

    fn payload(&self) -> Result<Vec<u8>, String> {
        match (&self.payload, &self.payload_base64) {
            (Some(_), Some(_)) => {
                Err("there is a payload and a payload_base64: keep one".to_owned())
            }
            (None, None) => Ok(Vec::new()),
            (Some(raw), None) if raw.get().starts_with('"') => serde_json::from_str(raw.get())
                .map(String::into_bytes)
                .map_err(|error| format!("the payload is no text: {error}")),
            (Some(raw), None) => Ok(raw.get().as_bytes().to_vec()),
            (None, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|error| format!("payload_base64 is not base64: {error}")),
        }
    }
}

impl Properties {
    fn add(&mut self, property: Property<'_>) {
        match property {
            Property::PayloadFormat(format) => self.payload_format = Some(format),
            Property::MessageExpiry(seconds) => self.message_expiry = Some(seconds),
            Property::ContentType(text) => self.content_type = Some(text.to_owned()),
            Property::ResponseTopic(text) => self.response_topic = Some(text.to_owned()),
            Property::CorrelationData(bytes) => {
                self.correlation_data = Some(STANDARD.encode(bytes));
            }
            Property::User(name, value) => self.user.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The property block of a PUBLISH packet, without its length.
    fn encode(&self) -> Result<Vec<u8>, String> {
        fn binary(block: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
            let size = u16::try_from(bytes.len())
                .map_err(|_| "a property has more than 65535 bytes, which MQTT cannot carry")?;
            block.extend(size.to_be_bytes());
            block.extend(bytes);
            Ok(())
        }
        let mut block = Vec::new();
        if let Some(format) = self.payload_format {
            block.extend([0x01, format]);
        }
        if let Some(seconds) = self.message_expiry {
            block.push(0x02);
            block.extend(seconds.to_be_bytes());
        }
        if let Some(text) = &self.content_type {
            block.push(0x03);
            binary(&mut block, text.as_bytes())?;
        }
        if let Some(topic) = &self.response_topic {
            block.push(0x08);
            binary(&mut block, topic.as_bytes())?;
        }
        if let Some(base64) = &self.correlation_data {
            let bytes = STANDARD
                .decode(base64)
                .map_err(|error| format!("correlation_data is not base64: {error}"))?;
            block.push(0x09);
            binary(&mut block, &bytes)?;
        }
        for (name, value) in &self.user {
            block.push(0x26);
            binary(&mut block, name.as_bytes())?;
            binary(&mut block, value.as_bytes())?;
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ARRIVAL;

    fn batch(line: &str) -> Batch {
        let mut batch = Batch::new();
        let sample = Sample::read(line).expect("a message");
        sample.push(&mut batch, 7, ARRIVAL).expect("a message");
        batch
    }

    #[test]
    fn a_payload_is_text_or_json_as_it_is_written_or_bytes() {
        for (written, payload) in [
            (r#""payload": "tëxt""#, "tëxt".as_bytes()),
            (r#""payload": {"b": 1.50,  "a": []}"#, br#"{"b": 1.50,  "a": []}"#),
            (r#""payload": 21.50"#, b"21.50"),
            (r#""payload_base64": "/wA=""#, &[0xff, 0]),
            (r#""qos": 0"#, b""),
        ] {
            let batch = batch(&format!(r#"{{"topic": "a/b", {written}}}"#));
            assert_eq!(batch.message(0).payload(), payload, "{written}");
        }
    }

    #[test]
    fn everything_of_a_message_survives_being_written_and_read() {
        let line = r#"{"topic":"a/b","payload":"x","qos":2,"retain":true,"dup":true,"received_at":5,"properties":{"payload_format":1,"message_expiry":9,"content_type":"t","response_topic":"r","correlation_data":"/wA=","user":[["n","1"],["n","2"]]}}"#;
        let batch = batch(line);
        let message = batch.message(0);
        assert_eq!(
            (message.qos(), message.retain(), message.dup()),
            (Qos::ExactlyOnce, true, true)
        );
        assert_eq!(message.received_at_ms(), 5);
        let properties = message.properties().expect("MQTT 5");
        Properties::check_encoded(properties.as_bytes());
        assert_eq!(serde_json::to_string(&Sample::of(&message)).expect("JSON"), line);
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        for (line, reason) in [
            ("text", "a message is an object"),
            (r#"{"payload": "x"}"#, "missing field `topic`"),
            (r#"{"topic": "a", "pay": "x"}"#, "unknown field `pay`"),
            (r#"{"topic": "a/#"}"#, "is no topic"),
            (r#"{"topic": "a", "qos": 3}"#, "qos 3 is none"),
            (r#"{"topic": "a", "payload": 1, "payload_base64": ""}"#, "keep one"),
            (r#"{"topic": "a", "payload_base64": "%"}"#, "is not base64"),
            (r#"{"topic": "a", "properties": {"correlation_data": "%"}}"#, "is not base64"),
            (r#"{"topic": "a", "properties": {"user": {"a": "b"}}}"#, "expected a sequence"),
        ] {
            let error = Sample::read(line).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    impl Properties {
        fn check_encoded(block: &[u8]) {
            assert!(crate::message::Properties::check(block).is_ok());
        }
    }
}
