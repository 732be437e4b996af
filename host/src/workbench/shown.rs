//! What was found, for people.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Map, Value};

use super::logs::Line;
use crate::case::Outcome;
use crate::message::Message;
use crate::plugin::Untrusted;

/// Bytes of a value that are shown.
const SHOWN: usize = 200;

/// A message in one line.
pub fn message(out: &mut dyn Write, message: &Message<'_>, place: Option<&str>) -> io::Result<()> {
    if let Some(place) = place {
        write!(out, "{place}: ")?;
    }
    writeln!(out, "{}  {}", Untrusted::new(message.topic()), payload(message.payload()))
}

pub fn log(out: &mut dyn Write, lines: &[Line]) -> io::Result<()> {
    for Line { level, plugin, from, message } in lines {
        let from = if from.is_empty() { String::new() } else { format!(" {from}") };
        writeln!(out, "  {:<5} {plugin}{from}: {message}", level.to_uppercase())?;
    }
    Ok(())
}

/// What has become of a message, and what would have without plugins, where that is something else.
pub fn outcome(out: &mut dyn Write, outcome: &Outcome, before: &Outcome) -> io::Result<()> {
    match outcome {
        Outcome::Records(records) => {
            let before = match before {
                Outcome::Records(before) => before.first(),
                _ => None,
            };
            for (number, record) in records.iter().enumerate() {
                if records.len() > 1 {
                    writeln!(out, "  record {} of {}", number + 1, records.len())?;
                }
                members(out, record, before)?;
            }
            Ok(())
        }
        Outcome::Skip(reason) => writeln!(out, "  skipped: {reason}"),
        Outcome::Reject(rejection) | Outcome::Fatal(rejection) => {
            let plugin = rejection.plugin.as_ref().map_or("", |plugin| plugin.name.as_str());
            let reason = rejection.reason.as_str();
            writeln!(out, "  rejected by {plugin} ({reason}): {}", rejection.error)
        }
    }
}

/// What people look for first stands first.
const ORDER: [&str; 8] = [
    "kafka_topic",
    "partition",
    "key",
    "key_base64",
    "value",
    "value_base64",
    "timestamp",
    "headers",
];

fn members(
    out: &mut dyn Write,
    record: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> io::Result<()> {
    let members = ORDER.iter().filter_map(|name| Some((*name, record.get(*name)?)));
    for (name, value) in members {
        let before = before.and_then(|before| before.get(name));
        let shown = if before == Some(value) && name.starts_with("value") {
            "the payload".to_owned()
        } else {
            short(value)
        };
        write!(out, "  {name:<12} {shown}")?;
        if let Some(before) = before.filter(|before| *before != value) {
            write!(out, "  (without plugins: {})", short(before))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

pub fn cost(out: &mut dyn Write, took: Duration, memory: &[(String, usize)]) -> io::Result<()> {
    write!(out, "  took {}", time(took))?;
    for (plugin, bytes) in memory {
        match bytes {
            0 => write!(out, "; {plugin} has no instance any more")?,
            bytes => write!(out, "; {plugin} has {}", size(*bytes))?,
        }
    }
    writeln!(out)
}

/// A time for programs, in nanoseconds.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A time with three digits or more.
pub fn time(time: Duration) -> String {
    let ns = time.as_nanos();
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{} us", ns / 1000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}

/// A number of bytes in the largest unit of which there is one.
pub fn size(bytes: usize) -> String {
    let tenths = |unit: usize| (bytes.saturating_mul(10) + unit / 2) / unit;
    let in_unit =
        |unit: usize, name: &str| format!("{}.{} {name}", tenths(unit) / 10, tenths(unit) % 10);
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => in_unit(1 << 10, "KiB"),
        _ => in_unit(1 << 20, "MiB"),
    }
}

/// Text as it is, with what controls a terminal escaped; other bytes by their number.
pub fn payload(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => cut(text),
        Err(_) => format!("({} bytes that are no text)", bytes.len()),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    Untrusted::new(text).most(SHOWN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_a_unit_that_fits() {
        let sizes = [0, 1023, 1024, 44_000, 1 << 20, 3_200_000].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "43.0 KiB", "1.0 MiB", "3.1 MiB"]);
        let times = [900, 12_345, 12_345_678].map(|ns| time(Duration::from_nanos(ns)));
        assert_eq!(times, ["900 ns", "12 us", "12 ms"]);
    }

    #[test]
    fn text_is_cut_and_cannot_control_the_terminal() {
        assert_eq!(payload("a\u{1b}[2J\n".as_bytes()), "a\\u{1b}[2J\\n");
        assert_eq!(payload("ü".repeat(300).as_bytes()), "ü".repeat(SHOWN / 2) + "…");
        assert_eq!(payload(&[0xff]), "(1 bytes that are no text)");
    }
}
