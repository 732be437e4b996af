//! What is sent: the same messages for everything that is measured.

use std::time::{SystemTime, UNIX_EPOCH};

use ::tests::wire::{Publish, Version};

/// How many different messages there are; after the last comes the first again.
///
/// Few enough to stay in the processor's cache, many enough that no compressor finds one twice.
/// They have the packet ids 1 to this, so a window must be smaller.
pub const CYCLE: usize = 20_000;

pub const TOPICS: usize = 100;

/// Digits of the time of sending in a payload: microseconds since the Unix epoch.
const DIGITS: usize = 16;
/// What stands behind them in it, in bytes.
const TAIL: usize = 2;

/// Messages of simulated devices, as topics and JSON payloads.
pub struct Messages {
    all: Vec<(String, Vec<u8>)>,
}

impl Messages {
    /// Payloads of `size` bytes, or as few as their members take.
    pub fn new(size: usize) -> Self {
        Self::over(TOPICS, size)
    }

    /// The same over another number of MQTT topics.
    pub fn over(topics: usize, size: usize) -> Self {
        let all = (0..CYCLE).map(|index| {
            let device = index % topics;
            (format!("plant/dev{device:03}/telemetry"), payload(index, device, size))
        });
        Self { all: all.collect() }
    }

    /// Changes every `step`th message.
    #[must_use]
    pub fn change_each(mut self, step: usize, change: impl Fn(&mut String, &mut Vec<u8>)) -> Self {
        for (topic, payload) in self.all.iter_mut().step_by(step) {
            change(topic, payload);
        }
        self
    }

    /// Key and payload of a record in an endless row, as `host` finds them in the message.
    pub fn record(&self, index: usize) -> (&str, &[u8]) {
        let (topic, payload) = &self.all[index % CYCLE];
        (topic.split('/').nth(1).unwrap_or_default(), payload)
    }

    /// All of them as packets, one after the other.
    pub fn encode(&self, version: Version, qos: u8) -> Packets {
        let mut packets = Packets::default();
        for (index, (topic, payload)) in self.all.iter().enumerate() {
            let publish = Publish::new(topic.as_str(), payload.as_slice()).qos(qos);
            packets.bytes.extend(publish.encode(version, index as u16 + 1));
            packets.ends.push(packets.bytes.len());
        }
        packets
    }
}

/// One cycle of encoded PUBLISH packets.
#[derive(Debug, Default)]
pub struct Packets {
    bytes: Vec<u8>,
    /// Where each packet ends.
    ends: Vec<usize>,
}

impl Packets {
    /// Writes the time into `count` of them, from packet `first` of the endless row on, which
    /// [`run`](Self::run) has found to be in one piece.
    pub fn stamp(&mut self, first: usize, count: usize, now: SystemTime) {
        let digits = digits(now);
        for &end in &self.ends[first % CYCLE..][..count] {
            self.bytes[end - TAIL - DIGITS..][..DIGITS].copy_from_slice(&digits);
        }
    }

    /// The bytes from packet `first` of the endless row on: at least one packet, at most `most`,
    /// and no more than `size` bytes if that holds one. Gives how many they are, too.
    pub fn run(&self, first: usize, most: usize, size: usize) -> (usize, &[u8]) {
        let first = first % CYCLE;
        let start = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        let fitting = self.ends[first..].partition_point(|end| end - start <= size);
        let count = fitting.max(1).min(most);
        (count, &self.bytes[start..self.ends[first + count - 1]])
    }
}

/// Writes the time into a payload.
pub fn stamp(payload: &mut [u8], now: SystemTime) {
    let start = payload.len() - TAIL - DIGITS;
    payload[start..][..DIGITS].copy_from_slice(&digits(now));
}

/// The time in a payload, in microseconds since the Unix epoch.
pub fn sent_at(payload: &[u8]) -> Option<u64> {
    let start = payload.len().checked_sub(TAIL + DIGITS)?;
    std::str::from_utf8(&payload[start..][..DIGITS]).ok()?.parse().ok()
}

/// Microseconds since the Unix epoch.
pub fn micros(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

fn digits(now: SystemTime) -> [u8; DIGITS] {
    let mut left = micros(now);
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    digits
}

/// What a sensor's report looks like; the numbers differ from message to message.
fn payload(index: usize, device: usize, size: usize) -> Vec<u8> {
    // Multiplicative hashing: the digits must not repeat, their quality does not matter.
    let noise = (index as u32 + 1).wrapping_mul(2_654_435_761);
    let (low, high) = (noise % 10_000, noise >> 16);
    let mut json = format!(
        r#"{{"_key":"dev{device:03}","_timestamp":{},"temperature":{}.{},"humidity":{}.{},"pressure":{}.{},"battery":{},"status":"ok","position":{{"lat":47.{low:04},"lon":8.{high:05}}},"note":""#,
        1_700_000_000_000_u64 + 10 * index as u64,
        low % 40,
        high % 100,
        high % 90,
        low % 10,
        950 + high % 100,
        low % 100,
        low % 101,
    );
    for position in json.len()..size.saturating_sub(TAIL).max(json.len() + DIGITS) {
        json.push(char::from(b'a' + (noise >> (position % 24)) as u8 % 16));
    }
    json.push_str("\"}");
    json.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_of_the_size_asked_for() {
        for index in [0, 1, 777, CYCLE - 1] {
            let payload = payload(index, index % TOPICS, 200);
            assert_eq!(payload.len(), 200);
            let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert!(json["_key"].is_string() && json["_timestamp"].is_u64());
        }
    }

    #[test]
    fn a_payload_tells_when_it_was_sent_and_is_json_all_the_same() {
        let mut packets = Messages::over(10_000, 200).encode(Version::V311, 1);
        let now = UNIX_EPOCH + std::time::Duration::from_micros(1_732_912_345_678_901);
        packets.stamp(CYCLE + 7, 2, now);
        let payload = |index: usize| &packets.bytes[packets.ends[index] - 200..packets.ends[index]];
        for index in [7, 8] {
            assert_eq!(sent_at(payload(index)), Some(1_732_912_345_678_901));
            assert!(serde_json::from_slice::<serde_json::Value>(payload(index)).is_ok());
        }
        assert_eq!(sent_at(payload(9)), None);
        let mut alone = payload(9).to_vec();
        stamp(&mut alone, now);
        assert_eq!(sent_at(&alone), Some(1_732_912_345_678_901));
    }

    #[test]
    fn a_run_of_packets_is_as_long_as_allowed_and_stops_where_the_row_begins_again() {
        let packets = Messages::new(200).encode(Version::V311, 1);
        let (one, bytes) = packets.run(0, 1_000, 1);
        assert_eq!(one, 1);
        assert_eq!(packets.run(0, 1_000, 10 * bytes.len() + 1).0, 10);
        assert_eq!(packets.run(0, 3, 1 << 20).0, 3);
        assert_eq!(packets.run(3 * CYCLE - 2, 1_000, 1 << 20).0, 2);
    }
}
