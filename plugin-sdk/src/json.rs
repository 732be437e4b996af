//! What payload deserializers may return: [`Json`], and everything that becomes one.

use std::borrow::Cow;

use serde::Serialize;

use crate::answer::answer;
use crate::answers::Answers;
use crate::{Error, IntoError};

/// What a payload says, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Json {
    /// Leave the payload as it is: it is JSON already, or nothing that anybody looks into.
    #[default]
    Default,
    /// This JSON text. The host checks that it is one, and rejects the message if it is not.
    Text(String),
    /// Make no record of this message. The text says why.
    Skip(Cow<'static, str>),
}

impl Json {
    /// The JSON of anything that serde can serialize.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Reading {
    ///     celsius: f32,
    /// }
    ///
    /// /// Two bytes, in hundredths of a degree.
    /// #[payload_deserializer]
    /// fn deserialize(message: &Message) -> Result<Json, Error> {
    ///     let bytes: [u8; 2] = message.payload().try_into()?;
    ///     Json::of(&Reading { celsius: f32::from(i16::from_be_bytes(bytes)) / 100.0 })
    /// }
    ///
    /// let json = deserialize(&Message::new("t", [0x08, 0x66])).unwrap();
    /// assert_eq!(json, Json::Text(r#"{"celsius":21.5}"#.to_owned()));
    /// ```
    ///
    /// # Errors
    /// A bad message if JSON cannot say it, such as a map whose keys are no text.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        Ok(Self::Text(serde_json::to_string(value)?))
    }
}

/// What a [`payload_deserializer`](crate::payload_deserializer) may return: `serde_json::Value`,
/// `&str`, `String` or `Vec<u8>` that is JSON text, [`Json`], and `Option` and `Result` of all of
/// them. `None` is [`Json::Default`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be JSON",
    label = "not JSON",
    note = "`#[payload_deserializer]` goes on a function like `fn deserialize(message: &Message) -> Result<serde_json::Value, Error>`",
    note = "JSON is `serde_json::Value`, `Json`, or JSON text as `&str`, `String` or `Vec<u8>`, or an `Option` or `Result` of these",
    note = "`Json::of(&value)` makes it of anything that serde can serialize"
)]
pub trait IntoJson {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

answer!(IntoJson, &str, String, Vec<u8>);

impl IntoJson for Json {
    fn write(self, answers: &mut Answers) {
        match self {
            Self::Default => answers.use_default(),
            Self::Text(text) => answers.bytes(text.as_bytes()),
            Self::Skip(reason) => answers.skip(&reason),
        }
    }
}

impl IntoJson for serde_json::Value {
    fn write(self, answers: &mut Answers) {
        answers.bytes(self.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn packed(answer: impl IntoJson) -> Vec<u8> {
        let mut answers = Answers::new();
        answer.write(&mut answers);
        answers.as_bytes().into()
    }

    #[test]
    fn values_and_text_are_json() {
        const LIST: &[u8] = b"\x02\x03\0\0\0[1]";
        assert_eq!(packed("[1]"), LIST);
        assert_eq!(packed(String::from("[1]")), LIST);
        assert_eq!(packed(b"[1]".to_vec()), LIST);
        assert_eq!(packed(serde_json::json!([1])), LIST);
        assert_eq!(packed(Json::of(&[1])), LIST);
        assert_eq!(packed(Some(Ok::<_, Error>(Json::Text("[1]".into())))), LIST);
    }

    #[test]
    fn nothing_is_the_payload_itself() {
        assert_eq!(packed(None::<String>), [0]);
        assert_eq!(packed(Json::Default), [0]);
        assert_eq!(packed(Json::Skip("no".into())), [3, 2, 0, 0, 0, b'n', b'o']);
    }

    #[test]
    fn what_json_cannot_say_is_a_bad_message() {
        let map = BTreeMap::from([(vec![1], 2)]);
        assert_eq!(Json::of(&map), Err(Error::bad_message("key must be a string")));
        assert_eq!(packed(Json::of(&map))[0], 4);
    }
}
