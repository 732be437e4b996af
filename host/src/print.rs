//! Beside the path, where it is told that Kafka has a record: `--print`, each as one line of JSON on
//! standard output.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::case::insert_bytes;
use crate::message::Message;
use crate::output::{self, Print, Pushed};
use crate::sink::Written;

/// Writes records; stops, and says so once, when standard output is closed.
pub struct Printer {
    /// No more is taken while the reader is behind, so that there is room for all.
    prints_all: bool,
    closed: AtomicBool,
}

impl Printer {
    /// `None` if nothing is to be printed.
    pub fn new(print: Print) -> Option<Self> {
        let prints_all = match print {
            Print::Off => return None,
            Print::On => false,
            Print::Wait => true,
        };
        Some(Self { prints_all, closed: AtomicBool::new(false) })
    }

    pub fn print(&self, record: &Written<'_>, message: Message<'_>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut line = render(record, message).to_string();
        line.push('\n');
        let pushed = if self.prints_all {
            output::stdout().push_all_the_same(line.as_bytes())
        } else {
            output::stdout().push(line.as_bytes())
        };
        match pushed {
            Pushed::Queued | Pushed::Dropped { first: false } => {}
            Pushed::Dropped { first: true } => tracing::warn!(
                "standard output is not read fast enough: --print leaves out records until it is; \
                 --print=wait waits for its reader instead"
            ),
            Pushed::Closed => self.closed.store(true, Ordering::Relaxed),
        }
    }
}

fn render(record: &Written<'_>, message: Message<'_>) -> Value {
    let mut object = Map::new();
    object.insert("kafka_topic".to_owned(), record.topic.into());
    object.insert("partition".to_owned(), record.partition.into());
    object.insert("offset".to_owned(), record.offset.into());
    insert_bytes(&mut object, "key", record.key);
    insert_bytes(&mut object, "value", record.value);
    object.insert("timestamp".to_owned(), record.timestamp_ms.into());
    let headers = record.headers.iter().map(|(name, value)| {
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
