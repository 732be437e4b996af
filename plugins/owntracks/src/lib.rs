//! OwnTracks locations (topic `owntracks/user/device`): the key is `user/device`, the timestamp is
//! when the position was fixed (`tst`, in seconds). Everything else that OwnTracks publishes, such
//! as last wills and waypoints, keeps the defaults.

use std::borrow::Cow;

use plugin_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Report<'a> {
    // Text with an escape in it cannot be borrowed.
    #[serde(rename = "_type", borrow)]
    kind: Cow<'a, str>,
    tst: Option<i64>,
}

/// The message as a location report, if it is one.
fn location(message: &Message) -> Option<Report<'_>> {
    let report: Report<'_> = message.json().ok()?;
    (report.kind == "location").then_some(report)
}

#[key_setter]
fn key(message: &Message) -> Option<&str> {
    location(message)?;
    message.topic().strip_prefix("owntracks/")
}

#[timestamp_setter]
fn timestamp(message: &Message) -> Result<Option<i64>, Error> {
    // A device that does not know the time says 0.
    let known = location(message).and_then(|report| report.tst).filter(|seconds| *seconds > 0);
    let Some(seconds) = known else {
        return Ok(None);
    };
    let milliseconds = seconds.checked_mul(1000);
    milliseconds
        .ok_or_else(|| Error::bad_message(format!("tst is out of range: {seconds}")))
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "owntracks/jane/phone";
    const LOCATION: &str = r#"{"_type":"location","acc":16,"alt":154,"batt":79,"bs":1,"conn":"w",
        "created_at":1700000011,"lat":51.4778,"lon":-0.0014,"m":1,"t":"u","tid":"JP",
        "topic":"owntracks/jane/phone","tst":1700000000,"vac":3,"vel":0}"#;

    #[test]
    fn a_location_is_keyed_by_its_device_and_dated_by_its_fix() {
        let message = Message::new(TOPIC, LOCATION);
        assert_eq!(key(&message), Some("jane/phone"));
        assert_eq!(timestamp(&message), Ok(Some(1_700_000_000_000)));
        let escaped = LOCATION.replace("location", r"l\u006fcation");
        assert_eq!(key(&Message::new(TOPIC, &escaped)), Some("jane/phone"));
    }

    #[test]
    fn whatever_is_no_location_keeps_the_defaults() {
        for payload in [r#"{"_type":"lwt","tst":1700000000}"#, r#"{"tst":1}"#, "", "\u{1}"] {
            let message = Message::new(TOPIC, payload);
            assert_eq!((key(&message), timestamp(&message)), (None, Ok(None)), "{payload}");
        }
    }

    #[test]
    fn a_device_that_does_not_know_the_time_leaves_it_to_the_default() {
        let payload = r#"{"_type":"location","tst":0}"#;
        assert_eq!(timestamp(&Message::new(TOPIC, payload)), Ok(None));
    }

    #[test]
    fn a_time_that_cannot_be_is_an_error() {
        let payload = r#"{"_type":"location","tst":9223372036854775807}"#;
        let error = timestamp(&Message::new(TOPIC, payload)).expect_err("too many milliseconds");
        assert_eq!(error.to_string(), "tst is out of range: 9223372036854775807");
    }
}
