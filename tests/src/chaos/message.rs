//! Messages that say in themselves what has to become of them, down to the last byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::random::Random;
use crate::wire::{self, Publish, Version};

/// Which MQTT topic, and the how-manieth message on it.
pub type Id = (u16, u32);

/// What is special about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// Its timestamp is three hours ahead.
    Ahead,
    /// `"_key": null`.
    NullKey,
    /// Its payload has so many bytes of padding.
    Large(usize),
    /// The plugin `scripted` panics on it.
    Trap,
}

/// Where a message has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Record,
    DeadLetter,
    /// Which of the two depends on when it arrives.
    Either,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Id,
    pub kind: Kind,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    pub version: Version,
    pub qos: u8,
}

/// How far ahead the timestamp of [`Kind::Ahead`] is; Kafka is told to take an hour at most.
const AHEAD: Duration = Duration::from_hours(3);

const PADDING: usize = 120;

impl Message {
    /// A message that is `age` old.
    ///
    /// # Panics
    /// If the clock of this machine is before 1970.
    pub fn new(id: Id, kind: Kind, age: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let time = if kind == Kind::Ahead { now + AHEAD } else { now.saturating_sub(age) };
        let timestamp = time.as_millis() as i64;
        Self { id, kind, timestamp, version: Version::V311, qos: 1 }
    }

    pub fn topic(&self) -> String {
        format!("chaos/{}", self.id.0)
    }

    /// The key of its record.
    pub fn key(&self) -> Option<Vec<u8>> {
        (self.kind != Kind::NullKey).then(|| self.topic().into_bytes())
    }

    pub fn payload(&self) -> Vec<u8> {
        let (before, key, padding) = match self.kind {
            Kind::Plain | Kind::Ahead => ("", "", PADDING),
            Kind::NullKey => ("", r#""_key":null,"#, PADDING),
            Kind::Large(size) => ("", "", size),
            Kind::Trap => ("panic ", "", PADDING),
        };
        let (topic, (_, n), timestamp) = (self.topic(), self.id, self.timestamp);
        let noise = noise(self.id, padding);
        let json = format!(
            r#"{before}{{"_timestamp":{timestamp},{key}"topic":"{topic}","n":{n},"noise":"{noise}"}}"#
        );
        json.into_bytes()
    }

    /// The headers of its record: with MQTT 5 it has a user property.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let number = || ("n".to_owned(), self.id.1.to_string().into_bytes());
        (self.version == Version::V5).then(number).into_iter().collect()
    }

    pub fn publish(&self) -> Publish {
        let properties = self.headers().into_iter().flat_map(|(name, value)| {
            let value = String::from_utf8_lossy(&value).into_owned();
            [vec![0x26], wire::text(&name), wire::text(&value)].concat()
        });
        Publish::new(self.topic(), self.payload()).qos(self.qos).properties(properties.collect())
    }
}

/// Text of letters and digits that no compression makes much smaller.
fn noise(id: Id, size: usize) -> String {
    const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut random = Random::new(u64::from(id.0) << 32 | u64::from(id.1));
    let letter = || char::from(LETTERS[random.draw() as usize % LETTERS.len()]);
    std::iter::repeat_with(letter).take(size).collect()
}

/// Which message these bytes are, or once were.
pub fn identify(payload: &[u8]) -> Option<Id> {
    let start = payload.iter().position(|&byte| byte == b'{')?;
    let json: Value = serde_json::from_slice(&payload[start..]).ok()?;
    let topic = json["topic"].as_str()?.strip_prefix("chaos/")?.parse().ok()?;
    Some((topic, u32::try_from(json["n"].as_u64()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_message_is_known_by_its_payload() {
        for kind in [Kind::Plain, Kind::Ahead, Kind::NullKey, Kind::Large(9_000), Kind::Trap] {
            let message = Message::new((7, 123), kind, Duration::from_hours(1));
            assert_eq!(identify(&message.payload()), Some((7, 123)), "{kind:?}");
        }
        assert_eq!(identify(b"21.5"), None);
    }
}
