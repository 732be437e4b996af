//! Simulated devices: what they publish, and which Kafka record each message must become.
//!
//! Three fleets speak the formats of three example plugins. What they say follows from a seed, the
//! order of the messages and the time; nothing here knows how it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::json;

use super::clock;

/// Devices that speak one format; each fleet has a bridge of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fleet {
    /// Phones that report where they are (<https://owntracks.org>).
    OwnTracks,
    /// `LoRaWAN` sensors behind The Things Network v3.
    Ttn,
    /// Machines of a plant, each quantity a topic.
    Plant,
}

/// What becomes of a message, by the README's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The how-many-eth message it is, from 1.
    pub number: u64,
    pub mqtt_topic: String,
    pub kafka_topic: String,
    pub key: String,
    /// No two messages have the same.
    pub value: Bytes,
    pub timestamp: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    /// These milliseconds since the Unix epoch, which the payload names.
    Exactly(i64),
    /// When it arrived, so not before this.
    NotBefore(i64),
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub fleet: Fleet,
    pub payload: Vec<u8>,
    /// Properties of MQTT 5.
    pub content_type: Option<&'static str>,
    pub user_properties: Vec<(String, String)>,
    pub expected: Expected,
}

impl Fleet {
    pub const ALL: [Self; 3] = [Self::OwnTracks, Self::Ttn, Self::Plant];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnTracks => "owntracks",
            Self::Ttn => "ttn",
            Self::Plant => "plant",
        }
    }

    /// What the bridge subscribes to.
    pub const fn filter(self) -> &'static str {
        match self {
            Self::OwnTracks => "owntracks/+/+",
            Self::Ttn => "v3/+/devices/+/up",
            Self::Plant => "plant/#",
        }
    }

    pub const fn kafka_topic(self) -> &'static str {
        match self {
            Self::OwnTracks => "locations",
            Self::Ttn => "uplinks",
            Self::Plant => "plant",
        }
    }

    pub fn dead_letter_topic(self) -> String {
        format!("{}.dead-letter", self.kafka_topic())
    }

    /// File names of the plugins that the bridge loads.
    pub const fn plugins(self) -> &'static [&'static str] {
        match self {
            Self::OwnTracks => &["owntracks.wasm"],
            Self::Ttn => &["ttn_uplink.wasm"],
            Self::Plant => &["topic_level_key.wasm", "topic_in_value.wasm"],
        }
    }
}

const PEOPLE: [(&str, &str, &str); 4] = [
    ("jane", "phone", "JP"),
    ("ravi", "tablet", "RT"),
    ("lena", "watch", "LW"),
    ("tomás", "bike", "TB"),
];
const SOIL_SENSORS: u64 = 6;
const MACHINES: [&str; 4] = ["press-1", "press-2", "oven-7", "pump-3"];
const QUANTITIES: [(&str, &str, f64, f64); 3] = [
    ("temperature", "°C", 20.0, 80.0),
    ("pressure", "bar", 1.0, 9.0),
    ("vibration", "mm/s", 0.0, 4.0),
];

/// Every so many messages a gateway cuts an uplink short.
const BETWEEN_BROKEN: u64 = 120;
/// The first one that does, early enough to be seen.
const FIRST_BROKEN: u64 = 9;

/// All simulated devices.
pub struct Devices {
    random: Random,
    published: u64,
    positions: [(f64, f64); PEOPLE.len()],
}

impl Devices {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), published: 0, positions: [(51.4778, -0.0014); PEOPLE.len()] }
    }

    /// What a device publishes at this time.
    pub fn next(&mut self, now_ms: i64) -> Message {
        self.published += 1;
        if self.published % BETWEEN_BROKEN == FIRST_BROKEN {
            return broken(self.uplink(now_ms), now_ms);
        }
        match self.random.below(6) {
            0 => self.location(now_ms),
            1 | 2 => self.uplink(now_ms),
            _ => self.measurement(now_ms),
        }
    }

    fn location(&mut self, now_ms: i64) -> Message {
        let who = self.random.below(PEOPLE.len() as u64) as usize;
        let (user, device, initials) = PEOPLE[who];
        let (north, east) = (self.random.between(-9e-4, 9e-4), self.random.between(-9e-4, 9e-4));
        let (latitude, longitude) = &mut self.positions[who];
        (*latitude, *longitude) = (*latitude + north, *longitude + east);
        let topic = format!("owntracks/{user}/{device}");
        // Positions are fixed a little before they are sent, and dated to the second.
        let fixed = now_ms / 1000 - self.random.below(5) as i64;
        let payload = json!({
            "_type": "location", "_id": format!("{:08x}", self.published), "tid": initials,
            "lat": rounded(*latitude, 1e4), "lon": rounded(*longitude, 1e4),
            "acc": 4 + self.random.below(20), "batt": 30 + self.random.below(70), "bs": 1,
            "conn": "m", "m": 1, "t": "u", "vel": self.random.below(6),
            "tst": fixed, "created_at": now_ms / 1000, "topic": topic,
        });
        let payload = payload.to_string().into_bytes();
        let key = format!("{user}/{device}");
        self.message(Fleet::OwnTracks, topic, key, payload, Timestamp::Exactly(fixed * 1000))
    }

    fn uplink(&mut self, now_ms: i64) -> Message {
        let sensor = 1 + self.random.below(SOIL_SENSORS);
        let device = format!("soil-{sensor}");
        // The network has had the message for a while when it publishes it.
        let received = now_ms - 20 - self.random.below(100) as i64;
        let nanoseconds = self.random.below(1_000_000) as u32;
        let (moisture, temperature) = (self.random.below(600), self.random.below(250));
        let payload = json!({
            "end_device_ids": {
                "device_id": device, "application_ids": {"application_id": "farm"},
                "dev_eui": format!("0004A30B001C{sensor:04X}"), "join_eui": "800000000000000C",
            },
            "correlation_ids": [format!("as:up:{}", self.ulid(received))],
            "received_at": clock::rfc3339(received, nanoseconds),
            "uplink_message": {
                "f_port": 1, "f_cnt": self.published,
                "frm_payload": BASE64.encode([moisture.to_be_bytes(), temperature.to_be_bytes()].concat()),
                "decoded_payload": {
                    "moisture": tenths(moisture), "temperature": tenths(temperature),
                },
                "rx_metadata": [{
                    "gateway_ids": {"gateway_id": "barn"}, "rssi": -60 - self.random.below(50) as i64,
                    "snr": tenths(self.random.below(120)),
                }],
                "settings": {"data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 7}}},
            },
        });
        let topic = format!("v3/farm@ttn/devices/{device}/up");
        let payload = payload.to_string().into_bytes();
        self.message(Fleet::Ttn, topic, device, payload, Timestamp::Exactly(received))
    }

    fn measurement(&mut self, now_ms: i64) -> Message {
        let machine = MACHINES[self.random.below(MACHINES.len() as u64) as usize];
        let which = self.random.below(QUANTITIES.len() as u64) as usize;
        let (quantity, unit, low, high) = QUANTITIES[which];
        let value = rounded(self.random.between(low, high), 10.0);
        let measured = now_ms - self.random.below(50) as i64;
        let topic = format!("plant/{machine}/{quantity}");
        let payload = format!(
            r#"{{"value":{value},"unit":"{unit}","seq":{},"_timestamp":{measured}}}"#,
            self.published
        );
        // The plugin adds the topic as the last member.
        let value = payload.replacen('}', &format!(r#","topic":"{topic}"}}"#), 1);
        let timestamp = Timestamp::Exactly(measured);
        let mut message =
            self.message(Fleet::Plant, topic, machine.to_owned(), payload.into_bytes(), timestamp);
        message.expected.value = value.into();
        message.content_type = Some("application/json");
        message.user_properties = vec![("firmware".to_owned(), format!("1.4.{}", machine.len()))];
        message
    }

    fn message(
        &self,
        fleet: Fleet,
        mqtt_topic: String,
        key: String,
        payload: Vec<u8>,
        timestamp: Timestamp,
    ) -> Message {
        let expected = Expected {
            number: self.published,
            mqtt_topic,
            kafka_topic: fleet.kafka_topic().to_owned(),
            key,
            value: payload.clone().into(),
            timestamp,
        };
        Message { fleet, payload, content_type: None, user_properties: Vec::new(), expected }
    }

    /// A ULID (<https://github.com/ulid/spec>): the time, and bits that are unique here.
    fn ulid(&mut self, ms: i64) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let unique = u128::from(self.random.next() >> 48) << 64 | u128::from(self.published);
        let bits = (ms as u128) << 80 | unique;
        (0..26).rev().map(|digit| char::from(DIGITS[(bits >> (5 * digit)) as usize & 31])).collect()
    }
}

/// The first half of an uplink, which the plugin condemns: it becomes a dead letter.
fn broken(whole: Message, now_ms: i64) -> Message {
    let payload = whole.payload[..whole.payload.len() / 2].to_vec();
    let expected = Expected {
        kafka_topic: whole.fleet.dead_letter_topic(),
        key: whole.expected.mqtt_topic.clone(),
        value: payload.clone().into(),
        timestamp: Timestamp::NotBefore(now_ms),
        ..whole.expected
    };
    Message { payload, expected, ..whole }
}

fn tenths(number: u64) -> f64 {
    number as f64 / 10.0
}

/// Rounded to a number of parts per unit.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// Numbers that look random and are always the same (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
