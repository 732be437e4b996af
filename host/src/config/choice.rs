//! What single options may be: choices, and texts that stand for a value.

use clap::ValueEnum;

use super::{LogFormat, OnPluginBroken, size};
use crate::message::Qos;
use crate::output::Print;
use crate::transform::headers::HeaderPolicy;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttVersion {
    V31,
    V311,
    V5,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TransportKind {
    Tcp,
    Websocket,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Deserializer {
    Json,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Headers {
    None,
    Properties,
    All,
}

impl From<Headers> for HeaderPolicy {
    fn from(headers: Headers) -> Self {
        match headers {
            Headers::None => Self::None,
            Headers::Properties => Self::Properties,
            Headers::All => Self::All,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnErrorKind {
    DeadLetter,
    Skip,
    Stop,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnBrokenKind {
    Stop,
    Default,
    Pause,
}

impl From<OnBrokenKind> for OnPluginBroken {
    fn from(kind: OnBrokenKind) -> Self {
        match kind {
            OnBrokenKind::Stop => Self::Stop,
            OnBrokenKind::Default => Self::Default,
            OnBrokenKind::Pause => Self::Pause,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    Human,
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Human => Self::Human,
            Format::Json => Self::Json,
        }
    }
}

pub fn mqtt_version(text: &str) -> Result<MqttVersion, String> {
    match text {
        "3.1.1" => Ok(MqttVersion::V311),
        "5" | "5.0" => Ok(MqttVersion::V5),
        "3.1" => Ok(MqttVersion::V31),
        _ => Err("the versions are 3.1, 3.1.1 and 5".into()),
    }
}

/// Whether to print.
pub fn print(text: &str) -> Result<Print, String> {
    match text {
        "false" => Ok(Print::Off),
        "true" => Ok(Print::On),
        "wait" => Ok(Print::Wait),
        _ => Err("it is true, false or wait".to_owned()),
    }
}

pub fn qos(text: &str) -> Result<Qos, String> {
    match text {
        "0" => Ok(Qos::AtMostOnce),
        "1" => Ok(Qos::AtLeastOnce),
        "2" => Ok(Qos::ExactlyOnce),
        _ => Err("the qualities of service are 0, 1 and 2".into()),
    }
}

pub fn packet_size(text: &str) -> Result<u64, String> {
    sized(text, 128, 268_435_460, "128 to 268435460 bytes")
}

pub fn plugin_memory(text: &str) -> Result<u64, String> {
    sized(text, 1 << 20, 4 << 30, "1MiB to 4GiB")
}

pub fn plugin_output(text: &str) -> Result<u64, String> {
    sized(text, 1 << 10, 256 << 20, "1KiB to 256MiB")
}

pub fn in_flight_size(text: &str) -> Result<u64, String> {
    sized(text, 1 << 10, 1 << 30, "1KiB to 1GiB")
}

fn sized(text: &str, least: u64, most: u64, range: &str) -> Result<u64, String> {
    let bytes = size::bytes(text)?;
    if (least..=most).contains(&bytes) { Ok(bytes) } else { Err(format!("it takes {range}")) }
}

pub fn keep_alive(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(seconds @ (0 | 5..)) => Ok(seconds),
        _ => Err("it takes 5 to 65535 seconds, or 0 to turn it off".into()),
    }
}
