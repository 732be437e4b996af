//! Messages for plugins: one that was given, or a file of them, or the sample.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Ended, read};
use crate::case::Sample;
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

/// What was asked for, as it comes. Standard input is read as it arrives; `unsaid` is what there is
/// where nobody has said.
pub fn each(messages: &Messages, unsaid: Option<Sample>) -> Result<Stream, Ended> {
    Ok(match (messages, unsaid) {
        (Messages::One { topic, payload, qos, retain }, _) => {
            Stream::One(Some(Sample::new(topic, payload, *qos, *retain)))
        }
        (Messages::Unsaid, Some(sample)) => Stream::One(Some(sample)),
        (Messages::Lines(file), _) if file.as_os_str() != "-" => {
            Stream::lines(file.clone(), Box::new(io::Cursor::new(read(file)?)))
        }
        (Messages::Lines(_) | Messages::Unsaid, _) => {
            Stream::lines(PathBuf::from("standard input"), Box::new(BufReader::new(io::stdin())))
        }
    })
}

/// Messages, one after the other.
pub enum Stream {
    One(Option<Sample>),
    Lines { file: PathBuf, lines: io::Lines<Box<dyn BufRead>>, number: usize },
}

impl Stream {
    fn lines(file: PathBuf, reader: Box<dyn BufRead>) -> Self {
        Self::Lines { file, lines: reader.lines(), number: 0 }
    }
}

impl Iterator for Stream {
    type Item = Result<Placed, Ended>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(sample) => sample.take().map(|sample| Ok(Placed { place: None, sample })),
            Self::Lines { file, lines, number } => loop {
                let line = lines.next()?;
                *number += 1;
                match line {
                    Ok(line) if line.trim().is_empty() => {}
                    line => return Some(placed(file, *number, line)),
                }
            },
        }
    }
}

fn placed(file: &Path, number: usize, line: io::Result<String>) -> Result<Placed, Ended> {
    let place = format!("{}:{number}", file.display());
    let sample = line.map_err(|error| error.to_string()).and_then(|line| Sample::read(&line));
    match sample {
        Ok(sample) => Ok(Placed { place: Some(place), sample }),
        Err(problem) => Err(Ended::Unusable(format!("{place}: {problem}"))),
    }
}

/// Milliseconds since the Unix epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_message_of_200_bytes() {
        assert_eq!(PAYLOAD.len(), 200);
        assert!(serde_json::from_str::<serde_json::Value>(PAYLOAD).is_ok());
    }

    #[test]
    fn a_line_that_is_no_message_is_named_and_empty_ones_are_passed_over() {
        let text: &[u8] = b"{\"topic\": \"a\"}\n\n  \nnonsense\n";
        let mut stream = Stream::lines(PathBuf::from("x.jsonl"), Box::new(text));
        let first = stream.next().and_then(Result::ok).expect("a message");
        assert_eq!((first.place.as_deref(), first.sample.topic.as_str()), (Some("x.jsonl:1"), "a"));
        match stream.next() {
            Some(Err(Ended::Unusable(problem))) => {
                assert!(problem.starts_with("x.jsonl:4: expected"), "{problem}");
            }
            _ => panic!("nonsense was taken"),
        }
        assert!(stream.next().is_none());
    }
}
