//! Messages and answers of the typed interfaces, as the bindings have them.

use std::ops::Range;

use super::answers::{Answer, Answers, Judge};
use super::bindings::mqtt_source::plugin::types::{
    self, BytesOutcome, JsonOutcome, PluginError, TimeOutcome, TransformOutcome,
};
use super::interfaces::{Outcome, Typed};
use super::{Content, Draft, DraftHeader};
use crate::message::{Message, Properties, Property, Qos};

/// Hands a message over, borrowed from its batch, with what has been decided about its record.
pub(super) fn lend<R>(
    message: &Message<'_>,
    so_far: &Draft,
    to: impl FnOnce(types::Message<'_>, types::KafkaRecordParam<'_>) -> R,
) -> R {
    let headers = so_far.headers.as_ref();
    let headers: Option<Vec<_>> = headers.map(|headers| headers.iter().map(lent_header).collect());
    let so_far = types::KafkaRecordParam {
        topic: so_far.topic.as_deref(),
        partition: so_far.partition,
        key: lent(&so_far.key),
        value: lent(&so_far.value),
        timestamp_ms: so_far.timestamp_ms,
        headers: headers.as_deref(),
    };
    let user: Vec<_> = message.properties().map(user_properties).unwrap_or_default();
    let message = types::Message {
        topic: message.topic(),
        payload: message.payload(),
        qos: match message.qos() {
            Qos::AtMostOnce => types::Qos::AtMostOnce,
            Qos::AtLeastOnce => types::Qos::AtLeastOnce,
            Qos::ExactlyOnce => types::Qos::ExactlyOnce,
        },
        retain: message.retain(),
        dup: message.dup(),
        packet_id: Some(message.packet_id()).filter(|id| *id != 0),
        received_at_ms: message.received_at_ms(),
        properties: message.properties().map(|properties| single_properties(properties, &user)),
        json: message.json(),
    };
    to(message, so_far)
}

fn lent_header((name, value): &DraftHeader) -> types::HeaderParam<'_> {
    types::HeaderParam { name, value: value.as_deref() }
}

fn lent(content: &Content) -> types::ContentParam<'_> {
    match content {
        Content::Default => types::ContentParam::Default,
        Content::Null => types::ContentParam::Null,
        Content::Bytes(bytes) => types::ContentParam::Bytes(bytes),
    }
}

/// A record that a transformer has made.
fn draft(record: types::KafkaRecordResult) -> Draft {
    let content = |content| match content {
        types::ContentResult::Default => Content::Default,
        types::ContentResult::Null => Content::Null,
        types::ContentResult::Bytes(bytes) => Content::Bytes(bytes),
    };
    let headers = record
        .headers
        .map(|headers| headers.into_iter().map(|header| (header.name, header.value)).collect());
    Draft {
        topic: record.topic,
        partition: record.partition,
        key: content(record.key),
        value: content(record.value),
        timestamp_ms: record.timestamp_ms,
        headers,
    }
}

fn user_properties(properties: Properties<'_>) -> Vec<(&str, &str)> {
    let user = |property| match property {
        Property::User(name, value) => Some((name, value)),
        _ => None,
    };
    properties.iter().filter_map(user).collect()
}

fn single_properties<'a>(
    properties: Properties<'a>,
    user: &'a [(&'a str, &'a str)],
) -> types::Properties<'a> {
    let mut found = types::Properties {
        payload_format: None,
        message_expiry_secs: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: user,
    };
    for property in properties.iter() {
        match property {
            Property::PayloadFormat(format) => found.payload_format = Some(format),
            Property::MessageExpiry(seconds) => found.message_expiry_secs = Some(seconds),
            Property::ContentType(text) => found.content_type = Some(text),
            Property::ResponseTopic(topic) => found.response_topic = Some(topic),
            Property::CorrelationData(data) => found.correlation_data = Some(data),
            Property::User(..) => {}
        }
    }
    found
}

/// Keeps bytes with the answers; says where.
fn append(answers: &mut Answers, bytes: &[u8]) -> Range<usize> {
    let from = answers.bytes.len();
    answers.bytes.extend_from_slice(bytes);
    from..answers.bytes.len()
}

/// Adds the answer for one message.
pub(super) fn read(judge: &Judge<'_>, answer: Typed, answers: &mut Answers) {
    let item = match answer {
        Ok(
            Outcome::Bytes(BytesOutcome::Default)
            | Outcome::Time(TimeOutcome::Default)
            | Outcome::Json(JsonOutcome::Default)
            | Outcome::Records(TransformOutcome::Default),
        ) => Answer::Default,
        Ok(Outcome::Records(TransformOutcome::Records(records))) => {
            judge.records(records.len(), records.into_iter().map(draft).collect())
        }
        Ok(Outcome::Bytes(BytesOutcome::Null)) => Answer::Null,
        Ok(Outcome::Bytes(BytesOutcome::Bytes(bytes))) => {
            judge.bytes(&bytes, append(answers, &bytes))
        }
        Ok(Outcome::Json(JsonOutcome::Json(text))) => {
            judge.bytes(text.as_bytes(), append(answers, text.as_bytes()))
        }
        Ok(
            Outcome::Bytes(BytesOutcome::Skip(why))
            | Outcome::Time(TimeOutcome::Skip(why))
            | Outcome::Json(JsonOutcome::Skip(why))
            | Outcome::Records(TransformOutcome::Skip(why)),
        ) => Judge::skip(&why),
        Ok(Outcome::Time(TimeOutcome::EpochMs(milliseconds))) => judge.timestamp(milliseconds),
        Err(PluginError::BadMessage(why)) => judge.bad_message(&why),
        Err(PluginError::Fatal(why)) => judge.fatal(&why),
    };
    answers.push(item);
}
