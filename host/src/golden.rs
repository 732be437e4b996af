//! Golden cases: messages, and what has to become of them. One JSON object a line:
//!
//! ```json
//! {"topic": "plant/a", "payload": "{\"id\": 7}", "expect": {"key": "7"}}
//! {"topic": "plant/a", "payload_base64": "/w==", "expect": {"reject": "bad-message"}}
//! ```

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use crate::message::{Batch, Publish, Qos, Record, Verdict};

/// A message, and what has to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Where it stands: file and line.
    pub at: String,
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
    pub expect: Expect,
}

/// What has to become of a message: a record, or several, unless it says otherwise. What is not named
/// may be anything; what is has to be so of each record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    #[serde(default, deserialize_with = "named")]
    pub key: Option<Content>,
    #[serde(default, deserialize_with = "named")]
    pub value: Option<Content>,
    pub timestamp_ms: Option<i64>,
    /// It becomes no record.
    #[serde(default)]
    pub skip: bool,
    /// It is rejected for this reason, as the header `reject.reason` has it.
    pub reject: Option<String>,
}

/// A key or a value; `None` is Kafka's null.
pub type Content = Option<Vec<u8>>;

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    payload: Option<String>,
    payload_base64: Option<String>,
    #[serde(default = "at_least_once")]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes(Encoded),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

fn at_least_once() -> u8 {
    1
}

/// What is there, be it null.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Content>, D::Error> {
    let content = match Option::<Written>::deserialize(deserializer)? {
        None => None,
        Some(Written::Text(text)) => Some(text.into_bytes()),
        Some(Written::Bytes(bytes)) => {
            Some(decoded(&bytes.base64).map_err(serde::de::Error::custom)?)
        }
    };
    Ok(Some(content))
}

fn decoded(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("{base64:?} is not base64: {error}"))
}

impl Case {
    /// Reads a file of cases. Empty lines count for nothing.
    ///
    /// # Errors
    /// What cannot be read, with file and line.
    pub fn read(file: &Path) -> Result<Vec<Self>, String> {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        Self::parse(&file.display().to_string(), &text)
    }

    fn parse(file: &str, text: &str) -> Result<Vec<Self>, String> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let case = |(number, line): (usize, &str)| {
            let at = format!("{file}:{}", number + 1);
            Self::one(at.clone(), line).map_err(|problem| format!("{at}: {problem}"))
        };
        lines.map(case).collect()
    }

    fn one(at: String, line: &str) -> Result<Self, String> {
        let Line { topic, payload, payload_base64, qos, retain, expect } =
            serde_json::from_str(line).map_err(|error| format!("this is no case: {error}"))?;
        if topic.is_empty() || topic.contains(['+', '#']) {
            return Err(format!(
                "{topic:?} is no topic of a message: it has to be one, without wildcards"
            ));
        }
        let payload = match (payload, payload_base64) {
            (Some(_), Some(_)) => return Err("a payload and a payload_base64: keep one".into()),
            (Some(text), None) => text.into_bytes(),
            (None, Some(base64)) => decoded(&base64)?,
            (None, None) => Vec::new(),
        };
        let record =
            expect.key.is_some() || expect.value.is_some() || expect.timestamp_ms.is_some();
        if usize::from(record) + usize::from(expect.skip) + usize::from(expect.reject.is_some()) > 1
        {
            return Err("a message cannot become a record, be skipped and be rejected at once: \
                        expect one of these"
                .into());
        }
        let qos = Qos::from_number(qos).ok_or("the qualities of service are 0, 1 and 2")?;
        Ok(Self { at, topic, payload, qos, retain, expect })
    }

    /// The message, as if it arrived at this time.
    #[must_use]
    pub fn batch(&self, received_at_ms: i64) -> Batch {
        let mut batch = Batch::new();
        let publish = Publish {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            dup: false,
            packet_id: u16::from(self.qos != Qos::AtMostOnce),
            properties: None,
        };
        batch.push(0, received_at_ms, &publish);
        batch
    }

    /// Compares what has become of the message with what is expected.
    ///
    /// # Errors
    /// Where the case stands, and what differs.
    pub fn check(&self, verdict: &Verdict<'_>) -> Result<(), String> {
        let compared = match verdict {
            Verdict::Record(record) => self.compare(record),
            Verdict::Records(records) => records.iter().try_for_each(|record| self.compare(record)),
            Verdict::Skip(_) if self.expect.skip => Ok(()),
            Verdict::Skip(why) => Err(format!("it is skipped ({why})")),
            Verdict::Reject(rejection) | Verdict::Fatal(rejection) => {
                let reason = rejection.reason.as_str();
                match &self.expect.reject {
                    Some(expected) if expected == reason => Ok(()),
                    _ => Err(format!("it is rejected ({reason}: {})", rejection.error)),
                }
            }
        };
        compared.map_err(|found| {
            format!("{}: {found}; {} is expected", self.at, self.expect.in_words())
        })
    }

    fn compare(&self, record: &Record<'_>) -> Result<(), String> {
        let Expect { key, value, timestamp_ms, skip, reject } = &self.expect;
        if *skip || reject.is_some() {
            return Err("it becomes a record".to_owned());
        }
        let contents = [("key", key, &record.key), ("value", value, &record.value)];
        for (name, expected, found) in contents {
            if let Some(expected) = expected
                && expected.as_deref() != found.as_deref()
            {
                return Err(format!("the {name} is {}", in_words(found.as_deref())));
            }
        }
        match timestamp_ms {
            Some(expected) if *expected != record.timestamp_ms => {
                Err(format!("the timestamp is {}", record.timestamp_ms))
            }
            _ => Ok(()),
        }
    }
}

impl Expect {
    fn in_words(&self) -> String {
        if self.skip {
            return "a skip".to_owned();
        }
        if let Some(reason) = &self.reject {
            return format!("a rejection ({reason})");
        }
        let contents = [("key", &self.key), ("value", &self.value)].into_iter();
        let mut words: Vec<String> = contents
            .filter_map(|(name, content)| {
                Some(format!("{name} {}", in_words(content.as_ref()?.as_deref())))
            })
            .collect();
        words.extend(self.timestamp_ms.map(|timestamp| format!("timestamp {timestamp}")));
        if words.is_empty() { "a record".to_owned() } else { words.join(", ") }
    }
}

/// Long ones are cut: they go into a line.
fn in_words(content: Option<&[u8]>) -> String {
    const LONGEST: usize = 80;
    match content {
        None => "null".to_owned(),
        Some(bytes) => {
            let text: String = String::from_utf8_lossy(bytes).chars().take(LONGEST).collect();
            format!("{text:?}{}", if text.len() < bytes.len() { "…" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::message::{Reason, Rejection};

    fn case(line: &str) -> Case {
        let cases = Case::parse("cases.jsonl", line).expect("a good case");
        cases.into_iter().next().expect("a case")
    }

    fn record(key: Option<&'static str>) -> Verdict<'static> {
        Verdict::Record(Record {
            key: key.map(|key| Cow::Borrowed(key.as_bytes())),
            value: Some(Cow::Borrowed(b"\xff")),
            timestamp_ms: 7,
            choice: None,
        })
    }

    fn rejected() -> Verdict<'static> {
        let (reason, error) = (Reason::BadMessage, "no".to_owned());
        Verdict::Reject(Rejection { reason, error, plugin: None })
    }

    #[test]
    fn a_case_says_everything_or_next_to_nothing() {
        let text = r#"
            {"topic": "a", "payload": "x", "qos": 0, "retain": true, "expect": {"key": null}}

            {"topic": "b", "payload_base64": "/w=="}"#;
        let cases = Case::parse("f", text).expect("good cases");
        let [one, other] = cases.as_slice() else { panic!("{cases:?}") };
        assert_eq!((one.at.as_str(), other.at.as_str()), ("f:2", "f:4"));
        assert_eq!((one.qos, one.retain, other.qos), (Qos::AtMostOnce, true, Qos::AtLeastOnce));
        assert_eq!(one.expect, Expect { key: Some(None), ..Expect::default() });
        assert_eq!((other.payload.as_slice(), &other.expect), (&b"\xff"[..], &Expect::default()));
        let batch = other.batch(9);
        let message = batch.message(0);
        assert_eq!((message.topic(), message.payload()), ("b", &b"\xff"[..]));
        assert_eq!((message.received_at_ms(), message.qos()), (9, Qos::AtLeastOnce));
    }

    #[test]
    fn what_is_no_case_is_said_with_its_line() {
        for (line, problem) in [
            ("{", "this is no case: "),
            (r#"{"payload": "x"}"#, "missing field `topic`"),
            (r#"{"topic": "a/#"}"#, "without wildcards"),
            (r#"{"topic": "a", "payload": "", "payload_base64": ""}"#, "keep one"),
            (r#"{"topic": "a", "payload_base64": "?"}"#, "is not base64"),
            (r#"{"topic": "a", "qos": 3}"#, "are 0, 1 and 2"),
            (r#"{"topic": "a", "expect": {"timestamp": 1}}"#, "unknown field `timestamp`"),
            (r#"{"topic": "a", "expect": {"skip": true, "key": "k"}}"#, "at once"),
            (r#"{"topic": "a", "expect": {"value": 7}}"#, "this is no case: "),
        ] {
            let text = format!("\n{line}\n");
            let said = Case::parse("cases.jsonl", &text).expect_err("no case");
            assert!(said.starts_with("cases.jsonl:2: ") && said.contains(problem), "{said}");
        }
        let said = Case::read(Path::new("/nowhere")).expect_err("no file");
        assert!(said.starts_with("/nowhere cannot be read: "), "{said}");
    }

    #[test]
    fn only_what_is_named_is_compared() {
        let expecting = |expect: &str| case(&format!(r#"{{"topic": "a", "expect": {expect}}}"#));
        for (expect, verdict) in [
            ("{}", record(Some("k"))),
            (r#"{"key": "k"}"#, record(Some("k"))),
            (r#"{"key": null, "timestamp_ms": 7}"#, record(None)),
            (r#"{"value": {"base64": "/w=="}}"#, record(Some("k"))),
            (r#"{"skip": true}"#, Verdict::Skip(Cow::Borrowed("why"))),
            (r#"{"reject": "bad-message"}"#, rejected()),
        ] {
            assert_eq!(expecting(expect).check(&verdict), Ok(()), "{expect}");
        }
        for (expect, verdict, found) in [
            (r#"{"key": "k"}"#, record(None), r#"the key is null; key "k" is expected"#),
            (r#"{"value": ""}"#, record(None), r#"the value is "�"; value "" is expected"#),
            (r#"{"timestamp_ms": 8}"#, record(None), "the timestamp is 7; timestamp 8 is expected"),
            (r#"{"skip": true}"#, record(None), "it becomes a record; a skip is expected"),
            (
                "{}",
                Verdict::Skip(Cow::Borrowed("why")),
                "it is skipped (why); a record is expected",
            ),
            (
                r#"{"reject": "trap"}"#,
                rejected(),
                "it is rejected (bad-message: no); a rejection (trap) is expected",
            ),
        ] {
            let said = expecting(expect).check(&verdict);
            assert_eq!(said, Err(format!("cases.jsonl:1: {found}")), "{expect}");
        }
    }

    #[test]
    fn of_several_records_each_is_compared() {
        let key = case(r#"{"topic": "a", "expect": {"key": "k"}}"#);
        let Verdict::Record(good) = record(Some("k")) else { panic!("a record") };
        let Verdict::Record(bad) = record(Some("x")) else { panic!("a record") };
        assert_eq!(key.check(&Verdict::Records(vec![good.clone(), good.clone()])), Ok(()));
        assert!(key.check(&Verdict::Records(vec![good, bad])).is_err());
    }
}
