//! `--print`: every record that Kafka has, as one line of JSON on standard output.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::case::insert_bytes;
use crate::message::Message;
use crate::sink::Written;

/// Writes records; stops, and says so once, when standard output is closed.
#[derive(Debug, Default)]
pub struct Printer {
    closed: AtomicBool,
}

impl Printer {
    pub fn print(&self, record: &Written<'_>, message: Message<'_>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut line = render(record, message).to_string();
        line.push('\n');
        if let Err(error) = std::io::stdout().lock().write_all(line.as_bytes()) {
            self.closed.store(true, Ordering::Relaxed);
            tracing::warn!("--print stops: cannot write to standard output: {error}");
        }
    }
}

fn render(record: &Written<'_>, message: Message<'_>) -> Value {
    let mut object = Map::new();
    object.insert("kafka_topic".to_owned(), record.topic().into());
    object.insert("partition".to_owned(), record.partition().into());
    object.insert("offset".to_owned(), record.offset().into());
    insert_bytes(&mut object, "key", record.key());
    insert_bytes(&mut object, "value", record.value());
    object.insert("timestamp".to_owned(), record.timestamp_ms().into());
    let headers = record.headers().map(|(name, value)| {
        let mut header = Map::new();
        header.insert("name".to_owned(), name.into());
        insert_bytes(&mut header, "value", value);
        Value::Object(header)
    });
    object.insert("headers".to_owned(), Value::Array(headers.collect()));
    object.insert("mqtt_topic".to_owned(), message.topic().into());
    object.insert("qos".to_owned(), (message.qos() as u8).into());
    object.insert("retain".to_owned(), message.retain().into());
    Value::Object(object)
}
