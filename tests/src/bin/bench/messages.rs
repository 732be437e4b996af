//! What is sent: the same messages for everything that is measured.

use ::tests::wire::{Publish, Version};

/// How many different messages there are; after the last comes the first again.
///
/// Few enough to stay in the processor's cache, many enough that no compressor finds one twice.
/// They have the packet ids 1 to this, so a window must be smaller.
pub const CYCLE: usize = 20_000;

const TOPICS: usize = 100;

/// Messages of simulated devices, as topics and JSON payloads.
pub struct Messages {
    all: Vec<(String, Vec<u8>)>,
}

impl Messages {
    /// Payloads of `size` bytes, or as few as their members take.
    pub fn new(size: usize) -> Self {
        let all = (0..CYCLE).map(|index| (topic(index), payload(index, size)));
        Self { all: all.collect() }
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

fn topic(index: usize) -> String {
    format!("plant/dev{:03}/telemetry", index % TOPICS)
}

/// What a sensor's report looks like; the numbers differ from message to message.
fn payload(index: usize, size: usize) -> Vec<u8> {
    // Multiplicative hashing: the digits must not repeat, their quality does not matter.
    let noise = (index as u32 + 1).wrapping_mul(2_654_435_761);
    let (device, low, high) = (index % TOPICS, noise % 10_000, noise >> 16);
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
    for position in json.len()..size.saturating_sub(2) {
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
            let payload = payload(index, 200);
            assert_eq!(payload.len(), 200);
            let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert!(json["_key"].is_string() && json["_timestamp"].is_u64());
        }
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
