//! Messages for plugins: one that was given, or a file of them, or the sample.

use std::io::{self, BufRead, BufReader};
use std::iter;

use super::{Ended, read};
use crate::case::{Line, Sample, lines};
use crate::config::Messages;
use crate::message::Qos;

/// The sample's topic.
const TOPIC: &str = "plant/line-1/temp";

/// 200 bytes as a device might send them.
const PAYLOAD: &str = r#"{"_key":"line-1/sensor-42","_timestamp":1700000000123,"device":{"id":"sensor-42","firmware":"2.1","battery":87},"readings":{"temperature":21.48,"humidity":44.1,"pressure":1013.25},"status":"ok","n":1}"#;

/// A message and where it stands.
pub struct Placed {
    /// `FILE:LINE`, if it is from a file.
    pub place: Option<String>,
    pub sample: Sample,
}

/// A message such as a device might send.
pub fn sample() -> Sample {
    Sample::new(TOPIC, PAYLOAD.as_bytes(), Qos::AtLeastOnce, false)
}

/// Messages, one after the other.
pub type Stream = Box<dyn Iterator<Item = Result<Placed, Ended>>>;

/// What was asked for, as it comes. Standard input is read as it arrives; `unsaid` is what there is
/// where nobody has said.
pub fn each(messages: &Messages, unsaid: Option<Sample>) -> Result<Stream, Ended> {
    let one = |sample| Box::new(iter::once(Ok(Placed { place: None, sample })));
    Ok(match (messages, unsaid) {
        (Messages::One { topic, payload, qos, retain }, _) => {
            one(Sample::new(topic, payload, *qos, *retain))
        }
        (Messages::Unsaid, Some(sample)) => one(sample),
        (Messages::Lines(file), _) if file.as_os_str() != "-" => {
            placed(&file.display().to_string(), io::Cursor::new(read(file)?))
        }
        (Messages::Lines(_) | Messages::Unsaid, _) => {
            placed("standard input", BufReader::new(io::stdin()))
        }
    })
}

fn placed(file: &str, reader: impl BufRead + 'static) -> Stream {
    let placed = |Line { place, sample, .. }| Some(Placed { place: Some(place), sample: sample? });
    let lines = lines(file, reader).map(move |line| line.map(placed).transpose());
    Box::new(lines.flatten().map(|placed| placed.map_err(Ended::Unusable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_message_of_200_bytes() {
        assert_eq!(PAYLOAD.len(), 200);
        assert!(serde_json::from_str::<serde_json::Value>(PAYLOAD).is_ok());
    }
}
