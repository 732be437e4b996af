//! What becomes of a message, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::message::{Header, Reason, Record, Rejection, Verdict};

/// What has become of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Records, each with what its plugins have decided, in order.
    Records(Vec<Map<String, Value>>),
    Skip(String),
    Reject(Rejection),
    /// A plugin cannot go on; the bridge would stop.
    Fatal(Rejection),
}

impl Outcome {
    #[must_use]
    pub fn of(verdict: &Verdict<'_>) -> Self {
        match verdict {
            Verdict::Record(record) => Self::Records(vec![members(record)]),
            Verdict::Records(records) => Self::Records(records.iter().map(members).collect()),
            Verdict::Skip(reason) => Self::Skip(reason.clone().into_owned()),
            Verdict::Reject(rejection) => Self::Reject(rejection.clone()),
            Verdict::Fatal(rejection) => Self::Fatal(rejection.clone()),
            // Nobody waits here, and a plugin that cannot be asked is no good.
            Verdict::Wait => Self::Reject(Rejection {
                reason: Reason::Fatal,
                error: "it would wait for a plugin that is broken".to_owned(),
                plugin: None,
            }),
        }
    }

    /// One record's members by themselves; several under `records`; `skip` and `reject` otherwise.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Records(records) => match records.as_slice() {
                [record] => Value::Object(record.clone()),
                records => json!({ "records": records }),
            },
            Self::Skip(reason) => json!({ "skip": reason }),
            Self::Reject(rejection) | Self::Fatal(rejection) => {
                let mut rejected = Map::new();
                rejected.insert("reason".to_owned(), rejection.reason.as_str().into());
                rejected.insert("error".to_owned(), rejection.error.as_str().into());
                if let Some(plugin) = &rejection.plugin {
                    rejected.insert("plugin".to_owned(), plugin.name.as_str().into());
                }
                json!({ "reject": rejected })
            }
        }
    }

    /// What a case expects for which this is the right outcome.
    #[must_use]
    pub fn expectation(&self) -> Value {
        match self {
            // What an error says in detail changes with every build.
            Self::Reject(rejection) | Self::Fatal(rejection) => {
                json!({ "reject": rejection.reason.as_str() })
            }
            Self::Records(_) | Self::Skip(_) => self.json(),
        }
    }
}

/// Text where it is UTF-8, else `NAME_base64`.
pub fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((Ok(text), _)) => object.insert(name.to_owned(), text.into()),
        Some((Err(_), bytes)) => {
            object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into())
        }
    };
}

fn members(record: &Record<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    if let Some(choice) = &record.choice {
        if let Some(topic) = &choice.topic {
            object.insert("kafka_topic".to_owned(), topic.as_ref().into());
        }
        if let Some(partition) = choice.partition {
            object.insert("partition".to_owned(), partition.into());
        }
    }
    insert_bytes(&mut object, "key", record.key.as_deref());
    insert_bytes(&mut object, "value", record.value.as_deref());
    object.insert("timestamp".to_owned(), record.timestamp_ms.into());
    if let Some(headers) = record.choice.as_ref().and_then(|choice| choice.headers.as_ref()) {
        object.insert("headers".to_owned(), headers.iter().map(header).collect());
    }
    object
}

fn header(header: &Header<'_>) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), header.name.as_ref().into());
    insert_bytes(&mut object, "value", header.value.as_deref());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::message::{Choice, PluginName, Reason};

    fn record() -> Record<'static> {
        Record {
            key: Some(Cow::Borrowed("ü".as_bytes())),
            value: None,
            timestamp_ms: 5,
            choice: None,
        }
    }

    #[test]
    fn bytes_are_text_where_they_are_utf_8_and_base64_where_not() {
        let mut object = Map::new();
        insert_bytes(&mut object, "key", Some("ü".as_bytes()));
        insert_bytes(&mut object, "value", Some(&[0xff, 0]));
        insert_bytes(&mut object, "none", None);
        let json = Value::Object(object).to_string();
        assert_eq!(json, r#"{"key":"ü","none":null,"value_base64":"/wA="}"#);
    }

    #[test]
    fn a_record_has_what_a_plugin_chose_of_it() {
        let choice = Choice {
            topic: Some(Cow::Borrowed("t")),
            partition: Some(3),
            headers: Some(vec![Header::text("n", "v")]),
            ..Choice::default()
        };
        let chosen = Record { choice: Some(Box::new(choice)), ..record() };
        let outcome = Outcome::of(&Verdict::Records(vec![record(), chosen]));
        assert_eq!(
            outcome.json(),
            json!({"records": [
                {"key": "ü", "value": null, "timestamp": 5},
                {"kafka_topic": "t", "partition": 3, "key": "ü", "value": null, "timestamp": 5,
                 "headers": [{"name": "n", "value": "v"}]},
            ]})
        );
    }

    #[test]
    fn a_rejection_is_told_in_full_and_expected_by_its_reason() {
        let plugin = PluginName { name: "key".into(), sha256: "00".into() };
        let (reason, error) = (Reason::Trap, "unreachable".to_owned());
        let rejection = Rejection { reason, error, plugin: Some(plugin.into()) };
        let outcome = Outcome::of(&Verdict::Reject(rejection));
        let told = json!({"reject": {"reason": "trap", "error": "unreachable", "plugin": "key"}});
        assert_eq!(outcome.json(), told);
        assert_eq!(outcome.expectation(), json!({"reject": "trap"}));
        assert_eq!(Outcome::of(&Verdict::Wait).expectation(), json!({"reject": "fatal"}));
    }
}
