//! A dead letter, read back.

use super::Sample;
use super::sample::Properties;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A message that was rejected, and why.
#[derive(Debug, Clone)]
pub struct Letter {
    pub sample: Sample,
    /// As the header `reject.reason` names it.
    pub reason: String,
    pub error: String,
    pub plugin: Option<String>,
    /// Where its record would have gone.
    pub kafka_topic: Option<String>,
    /// How many bytes the payload had, if only its start is there.
    pub cut: Option<u64>,
}

impl Letter {
    /// Reads a record of a dead-letter topic.
    ///
    /// # Errors
    /// What it lacks of a dead letter.
    pub fn read(
        payload: Option<&[u8]>,
        headers: &[(String, Option<Vec<u8>>)],
    ) -> Result<Self, String> {
        // What the host adds stands behind what the publisher wrote, and begins with the topic.
        let own = headers.iter().rposition(|(name, _)| name == "mqtt.topic").unwrap_or_default();
        let text = |name: &str| {
            let (_, value) = headers[own..].iter().rfind(|(found, _)| found == name)?;
            Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
        };
        let needed = |name: &str| text(name).ok_or_else(|| format!("it has no header {name}"));
        let topic = needed("mqtt.topic")?;
        let reason = needed("reject.reason")?;
        let mut sample = Sample::received(&topic, payload.unwrap_or_default());
        sample.qos = text("mqtt.qos").and_then(|qos| qos.parse().ok()).unwrap_or(1);
        sample.retain = text("mqtt.retain").as_deref() == Some("true");
        sample.dup = text("mqtt.dup").as_deref() == Some("true");
        sample.received_at = text("reject.arrived-at").and_then(|time| time.parse().ok());
        sample.properties = properties(&headers[..own]);
        sample.check()?;
        Ok(Self {
            sample,
            reason,
            error: text("reject.error").unwrap_or_default(),
            plugin: text("reject.plugin"),
            kafka_topic: text("reject.kafka-topic"),
            cut: text("reject.payload-size").and_then(|size| size.parse().ok()),
        })
    }
}

/// The headers that MQTT 5 properties have become; none, and there were none, or it was no MQTT 5.
fn properties(headers: &[(String, Option<Vec<u8>>)]) -> Option<Properties> {
    let mut properties = Properties::default();
    for (name, value) in headers {
        let bytes = value.as_deref().unwrap_or_default();
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match name.as_str() {
            "mqtt.content-type" => properties.content_type = Some(text()),
            "mqtt.response-topic" => properties.response_topic = Some(text()),
            "mqtt.correlation-data" => properties.correlation_data = Some(STANDARD.encode(bytes)),
            "mqtt.payload-format-indicator" => properties.payload_format = text().parse().ok(),
            "mqtt.message-expiry-interval" => properties.message_expiry = text().parse().ok(),
            name => properties.user.push((name.to_owned(), text())),
        }
    }
    (!headers.is_empty()).then_some(properties)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{ARRIVAL, Batch, Reason, Rejection};
    use crate::reject::{self, Fit};

    type Headers = Vec<(String, Option<Vec<u8>>)>;

    fn letter(line: &str) -> (Batch, Headers) {
        let mut batch = Batch::new();
        Sample::read(line)
            .and_then(|sample| sample.push(&mut batch, 0, ARRIVAL))
            .expect("a message");
        let error = "as asked".to_owned();
        let rejection = Rejection { reason: Reason::Trap, error, plugin: None };
        let (message, kafka_topic) = (batch.message(0), Some("plant"));
        let letter =
            reject::Letter { message, rejection: &rejection, kafka_topic, payload: Some(9_000) };
        let fitted = letter.fit(Fit::Whole);
        let headers = fitted.headers();
        let owned = headers.map(|header| {
            (header.name.into_owned(), header.value.map(std::borrow::Cow::into_owned))
        });
        let owned = owned.collect();
        (batch, owned)
    }

    #[test]
    fn a_dead_letter_is_read_as_it_was_written() {
        for line in [
            r#"{"topic":"a/b","payload":"x","qos":2,"retain":true,"received_at":5,"properties":{"payload_format":1,"message_expiry":9,"content_type":"t","response_topic":"r","correlation_data":"/wA=","user":[["mqtt.topic","forged"],["n","1"],["n","2"]]}}"#,
            r#"{"topic":"a","payload_base64":"/wA=","received_at":6}"#,
        ] {
            let (batch, headers) = letter(line);
            let read =
                Letter::read(Some(batch.message(0).payload()), &headers).expect("a dead letter");
            assert_eq!(serde_json::to_string(&read.sample).expect("JSON"), line);
            assert_eq!((read.reason.as_str(), read.error.as_str()), ("trap", "as asked"));
            assert_eq!((read.kafka_topic.as_deref(), read.cut), (Some("plant"), Some(9_000)));
        }
    }

    #[test]
    fn what_a_publisher_calls_as_the_host_does_is_not_believed() {
        let names = ["reason", "error", "arrived-at", "plugin", "plugin-sha256", "kafka-topic"];
        let mut user: Vec<_> = names.map(|name| json!([format!("reject.{name}"), "1"])).into();
        user.extend(["topic", "qos", "retain"].map(|name| json!([format!("mqtt.{name}"), "2"])));
        user.push(json!(["reject.payload-size", "9"]));
        let line =
            json!({"topic": "a", "payload": "x", "received_at": 5, "properties": {"user": user}});
        let (batch, mut headers) = letter(&line.to_string());
        headers.retain(|(name, value)| {
            let last = value.as_deref() == Some(b"9000") || value.as_deref() == Some(b"plant");
            !(last && name.starts_with("reject."))
        });
        let read = Letter::read(Some(batch.message(0).payload()), &headers).expect("a dead letter");
        assert_eq!((read.plugin, read.kafka_topic, read.cut), (None, None, None));
        assert_eq!((read.reason.as_str(), read.error.as_str()), ("trap", "as asked"));
        assert_eq!(serde_json::to_value(&read.sample).expect("JSON"), line);
        headers.retain(|(name, value)| name != "reject.reason" || value.as_deref() == Some(b"1"));
        assert!(Letter::read(None, &headers).is_err(), "that is no word of the host's");
    }

    #[test]
    fn any_other_record_is_not_taken_for_one() {
        let (_, mut headers) = letter(r#"{"topic": "a"}"#);
        headers.retain(|(name, _)| name != "reject.reason");
        let error = Letter::read(None, &headers).expect_err("no dead letter");
        assert_eq!(error, "it has no header reject.reason");
        assert!(Letter::read(None, &[]).is_err());
    }
}
