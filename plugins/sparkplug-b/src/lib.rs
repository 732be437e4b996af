//! Sparkplug B payloads (topic `spBv1.0/GROUP/NDATA/NODE` and its kin) as JSON, in the form that
//! Eclipse Tahu writes:
//!
//! ```json
//! {"_timestamp": 1486144502122, "timestamp": 1486144502122, "seq": 2, "metrics": [
//!   {"name": "Supply Voltage", "timestamp": 1486144502122, "dataType": "Float", "value": 12.3}]}
//! ```
//!
//! `_timestamp` is what the built-in timestamp setter looks for. Other plugins read the same JSON;
//! the record's value is still the payload. Host states are JSON or text already, and stay so.
//!
//! A plugin sees one message at a time, so an alias stays an alias: its name was in the birth. So
//! was its data type, if a data message leaves that out; its integers are unsigned then.

mod json;
mod proto;

use plugin_sdk::prelude::*;
use prost::Message as _;
use serde_json::Value;

use proto::Payload;

/// What can stand in the third level of a topic, but for `STATE`.
const KINDS: [&str; 8] = ["NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD"];

#[payload_deserializer]
fn deserialize(message: &Message) -> Result<Option<Value>, Error> {
    let kind = message.level(2).filter(|_| message.level(0) == Some("spBv1.0"));
    if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
        return Ok(None);
    }
    let payload = Payload::decode(message.payload())?;
    // Almost any bytes are fields that the schema does not know.
    if payload == Payload::default() && !message.payload().is_empty() {
        return Err(Error::bad_message("this is no Sparkplug B payload"));
    }
    Ok(Some(json::payload(payload)?))
}

#[cfg(test)]
mod tests;
