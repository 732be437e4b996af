//! Forwards a message only when its number has moved by at least `threshold` since the last one that
//! was forwarded for its MQTT topic: with `{"threshold": 0.5}`, of the payloads `21.5`, `21.7` and
//! `22` the second is left out. `pointer` (RFC 6901) says where the number is in a JSON payload, as
//! in `{"pointer": "/t", "threshold": 0.5}`; without it the payload is the number. A message without
//! a number there is forwarded. Thresholds are compared as 64-bit floating point numbers; 0 forwards
//! everything.
//!
//! What was forwarded last is kept in memory, and may vanish at any time: with a failure, with an
//! instance that is replaced, with a restart. The next message of each topic is then forwarded. All
//! messages of a topic meet the same instance, because the host's lanes go by topic.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use plugin_sdk::prelude::*;
use serde::Deserialize;

/// Beyond so many topics it begins anew, so that the memory limit of an instance is not reached.
const MOST_TOPICS: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    pointer: String,
    threshold: f64,
}

/// What was forwarded last, by topic.
type Forwarded = BTreeMap<String, f64>;

static CONFIG: OnceLock<Config> = OnceLock::new();
static FORWARDED: Mutex<Forwarded> = Mutex::new(Forwarded::new());

#[init]
fn init(config: Config) -> Result<(), Error> {
    if !config.pointer.is_empty() && !config.pointer.starts_with('/') {
        return Err(Error::bad_message("`pointer` begins with a slash, as in /t"));
    }
    if config.threshold < 0.0 {
        return Err(Error::bad_message("`threshold` is 0 or more"));
    }
    CONFIG.get_or_init(|| config);
    Ok(())
}

#[transformer]
fn has_moved(message: &Message) -> bool {
    // The host calls `init` first.
    let Some(config) = CONFIG.get() else { return true };
    let Some(number) = number(message, &config.pointer) else { return true };
    let mut forwarded = FORWARDED.lock().unwrap_or_else(PoisonError::into_inner);
    forward(&mut forwarded, message.topic(), number, config.threshold)
}

fn number(message: &Message, pointer: &str) -> Option<f64> {
    message.json::<serde_json::Value>().ok()?.pointer(pointer)?.as_f64()
}

/// Whether the number is to be forwarded, which is then the last one that was.
fn forward(forwarded: &mut Forwarded, topic: &str, number: f64, threshold: f64) -> bool {
    if let Some(last) = forwarded.get_mut(topic) {
        let moved = (number - *last).abs() >= threshold;
        if moved {
            *last = number;
        }
        return moved;
    }
    if forwarded.len() == MOST_TOPICS {
        forwarded.clear();
    }
    forwarded.insert(topic.to_owned(), number);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pointer: &str, threshold: f64) -> Config {
        Config { pointer: pointer.to_owned(), threshold }
    }

    #[test]
    fn a_number_is_forwarded_when_it_has_moved_since_the_last_that_was() {
        let mut forwarded = Forwarded::new();
        let mut forward = |number| forward(&mut forwarded, "t", number, 0.5);
        let numbers = [21.5, 21.7, 21.9, 22.0, 21.6, 21.5];
        assert_eq!(numbers.map(&mut forward), [true, false, false, true, false, true]);
    }

    #[test]
    fn each_topic_has_its_own_last_number() {
        let mut forwarded = Forwarded::new();
        let seen = [("a", 1.0), ("b", 1.1), ("a", 1.2), ("b", 2.2)];
        let seen = seen.map(|(topic, number)| forward(&mut forwarded, topic, number, 1.0));
        assert_eq!(seen, [true, true, false, true]);
    }

    #[test]
    fn beyond_the_most_topics_it_begins_anew() {
        let topics = (0..MOST_TOPICS).map(|topic| (topic.to_string(), 1.0));
        let mut forwarded: Forwarded = topics.collect();
        assert!(!forward(&mut forwarded, "7", 1.0, 1.0));
        assert!(forward(&mut forwarded, "one more", 1.0, 1.0));
        assert!(forward(&mut forwarded, "7", 1.0, 1.0));
        assert_eq!(forwarded.len(), 2);
    }

    #[test]
    fn the_number_is_what_the_pointer_points_to() {
        let message = Message::new("t", r#"{"t": 21.5, "ok": true}"#);
        assert_eq!(number(&message, "/t"), Some(21.5));
        assert_eq!((number(&message, "/ok"), number(&message, "")), (None, None));
        assert_eq!(number(&Message::new("t", "-3"), ""), Some(-3.0));
        assert_eq!(number(&Message::new("t", b"\xff").with_json("[7]"), "/0"), Some(7.0));
    }

    #[test]
    fn a_message_without_a_number_is_forwarded() {
        let refused = |config| init(config).expect_err("it is wrong").to_string();
        assert_eq!(refused(config("t", 1.0)), "`pointer` begins with a slash, as in /t");
        assert_eq!(refused(config("", -1.0)), "`threshold` is 0 or more");
        assert_eq!(init(config("/t", 1.0)), Ok(()));
        let payloads = ["", "hello", "{}", r#"{"t":1}"#, r#"{"t":1.5}"#, "", r#"{"t":"2"}"#];
        let moved = payloads.map(|payload| has_moved(&Message::new("plant", payload)));
        assert_eq!(moved, [true, true, true, true, false, true, true]);
    }
}
