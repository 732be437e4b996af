//! What setters may return: [`Key`], [`Value`] and [`Timestamp`], and everything that becomes one
//! of them. An answer is written straight into [`Answers`], so that returning a `&str` into the
//! message allocates nothing.

use std::borrow::Cow;

use crate::IntoError;
use crate::answers::Answers;

/// The key of a record, said in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Key {
    /// Whatever it would be without this plugin.
    #[default]
    Default,
    /// A Kafka null: the record has no key.
    Null,
    /// These bytes. No bytes are an empty key, not null.
    Bytes(Vec<u8>),
    /// Make no record of this message. The text says why.
    Skip(Cow<'static, str>),
}

/// The value of a record, said in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// Whatever it would be without this plugin.
    #[default]
    Default,
    /// A Kafka null: a tombstone.
    Null,
    /// These bytes. No bytes are an empty value, not null.
    Bytes(Vec<u8>),
    /// Make no record of this message. The text says why.
    Skip(Cow<'static, str>),
}

/// The timestamp of a record, said in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Timestamp {
    /// Whatever it would be without this plugin.
    #[default]
    Default,
    /// Milliseconds since the Unix epoch. The host rejects a message whose timestamp is not
    /// positive.
    EpochMs(i64),
    /// Make no record of this message. The text says why.
    Skip(Cow<'static, str>),
}

/// What a [`key_setter`](crate::key_setter) may return: `&str`, `String`, `&[u8]`, `Vec<u8>`,
/// `[u8; N]`, `Cow` of these, [`Key`], and `Option` and `Result` of all of them. `None` is
/// [`Key::Default`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "not a key",
    note = "`#[key_setter]` goes on a function like `fn key(message: &Message) -> Option<Vec<u8>>`",
    note = "a key is `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]` or `Key`, or an `Option` or `Result` of these"
)]
pub trait IntoKey {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

/// What a [`value_setter`](crate::value_setter) may return: `&str`, `String`, `&[u8]`, `Vec<u8>`,
/// `[u8; N]`, `Cow` of these, [`Value`], and `Option` and `Result` of all of them. `None` is
/// [`Value::Default`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a value",
    label = "not a value",
    note = "`#[value_setter]` goes on a function like `fn value(message: &Message) -> Option<Vec<u8>>`",
    note = "a value is `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]` or `Value`, or an `Option` or `Result` of these"
)]
pub trait IntoValue {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

/// What a [`timestamp_setter`](crate::timestamp_setter) may return: `i64` in milliseconds since
/// the Unix epoch, [`Timestamp`], and `Option` and `Result` of them. `None` is
/// [`Timestamp::Default`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a timestamp",
    label = "not a timestamp",
    note = "`#[timestamp_setter]` goes on a function like `fn timestamp(message: &Message) -> Option<i64>`",
    note = "a timestamp is `i64` (milliseconds since the Unix epoch) or `Timestamp`, or an `Option` or `Result` of these"
)]
pub trait IntoTimestamp {
    #[doc(hidden)]
    fn write(self, answers: &mut Answers);
}

/// Implements a trait for `Option` and `Result`, and for the types whose bytes are an answer.
macro_rules! answer {
    ($into:ident, $($bytes:ty),*) => {
        impl<T: $into> $into for Option<T> {
            fn write(self, answers: &mut Answers) {
                match self {
                    Some(answer) => answer.write(answers),
                    None => answers.use_default(),
                }
            }
        }

        impl<T: $into, E: IntoError> $into for Result<T, E> {
            fn write(self, answers: &mut Answers) {
                match self {
                    Ok(answer) => answer.write(answers),
                    Err(error) => answers.error(&error.into_error()),
                }
            }
        }

        $(impl $into for $bytes {
            fn write(self, answers: &mut Answers) {
                answers.bytes(self.as_ref());
            }
        })*
    };
}

/// Implements a trait for its enum of bytes, and that enum's conversions.
macro_rules! answer_of_bytes {
    ($into:ident, $answer:ident) => {
        answer!($into, &str, String, &[u8], Vec<u8>, Cow<'_, [u8]>);

        impl $into for Cow<'_, str> {
            fn write(self, answers: &mut Answers) {
                answers.bytes(self.as_bytes());
            }
        }

        impl<const N: usize> $into for [u8; N] {
            fn write(self, answers: &mut Answers) {
                answers.bytes(&self);
            }
        }

        impl $into for $answer {
            fn write(self, answers: &mut Answers) {
                match self {
                    Self::Default => answers.use_default(),
                    Self::Null => answers.null(),
                    Self::Bytes(bytes) => answers.bytes(&bytes),
                    Self::Skip(reason) => answers.skip(&reason),
                }
            }
        }

        impl From<&str> for $answer {
            fn from(text: &str) -> Self {
                Self::Bytes(text.into())
            }
        }

        impl From<String> for $answer {
            fn from(text: String) -> Self {
                Self::Bytes(text.into())
            }
        }

        impl From<&[u8]> for $answer {
            fn from(bytes: &[u8]) -> Self {
                Self::Bytes(bytes.into())
            }
        }

        impl From<Vec<u8>> for $answer {
            fn from(bytes: Vec<u8>) -> Self {
                Self::Bytes(bytes)
            }
        }
    };
}

pub(crate) use answer;

answer_of_bytes!(IntoKey, Key);
answer_of_bytes!(IntoValue, Value);
answer!(IntoTimestamp,);

impl IntoTimestamp for i64 {
    fn write(self, answers: &mut Answers) {
        answers.epoch_ms(self);
    }
}

impl IntoTimestamp for Timestamp {
    fn write(self, answers: &mut Answers) {
        match self {
            Self::Default => answers.use_default(),
            Self::EpochMs(milliseconds) => answers.epoch_ms(milliseconds),
            Self::Skip(reason) => answers.skip(&reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn packed(write: impl FnOnce(&mut Answers)) -> Vec<u8> {
        let mut answers = Answers::new();
        write(&mut answers);
        answers.as_bytes().into()
    }

    fn key(answer: impl IntoKey) -> Vec<u8> {
        packed(|answers| answer.write(answers))
    }

    fn value(answer: impl IntoValue) -> Vec<u8> {
        packed(|answers| answer.write(answers))
    }

    fn timestamp(answer: impl IntoTimestamp) -> Vec<u8> {
        packed(|answers| answer.write(answers))
    }

    #[test]
    fn whatever_has_bytes_is_a_key_and_a_value() {
        const AB: &[u8] = &[2, 2, 0, 0, 0, b'a', b'b'];
        assert_eq!(key("ab"), AB);
        assert_eq!(key(String::from("ab")), AB);
        assert_eq!(key(&b"ab"[..]), AB);
        assert_eq!(key(b"ab".to_vec()), AB);
        assert_eq!(key(*b"ab"), AB);
        assert_eq!(key(Cow::Borrowed("ab")), AB);
        assert_eq!(key(Cow::Borrowed(&b"ab"[..])), AB);
        assert_eq!(key(Key::from("ab")), AB);
        assert_eq!(key(Some(Ok::<_, Error>("ab"))), AB);
        assert_eq!(value("ab"), AB);
        assert_eq!(value(Value::from(String::from("ab"))), AB);
        assert_eq!(value(Ok::<_, Error>(Some(b"ab".to_vec()))), AB);
    }

    #[test]
    fn nothing_is_the_default_and_no_bytes_are_bytes() {
        assert_eq!(key(None::<&str>), [0]);
        assert_eq!(key(Key::Default), [0]);
        assert_eq!(key(""), [2, 0, 0, 0, 0]);
        assert_eq!(key(Key::Null), [1]);
        assert_eq!(value(Value::Null), [1]);
        assert_eq!(value(Value::Default), [0]);
        assert_eq!(timestamp(None::<i64>), [0]);
        assert_eq!(timestamp(Timestamp::Default), [0]);
    }

    #[test]
    fn a_timestamp_is_eight_bytes() {
        assert_eq!(timestamp(1), [6, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(timestamp(Timestamp::EpochMs(-2)), [6, 254, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn reasons_and_errors_carry_their_text() {
        assert_eq!(key(Key::Skip("no".into())), [3, 2, 0, 0, 0, b'n', b'o']);
        assert_eq!(value(Value::Skip("no".into())), [3, 2, 0, 0, 0, b'n', b'o']);
        assert_eq!(timestamp(Timestamp::Skip("no".into())), [3, 2, 0, 0, 0, b'n', b'o']);
        assert_eq!(key(Err::<&str, _>(Error::bad_message("x"))), [4, 1, 0, 0, 0, b'x']);
        assert_eq!(timestamp(Err::<i64, _>(Error::fatal("x"))), [5, 1, 0, 0, 0, b'x']);
        let parsed = "".parse::<i64>();
        assert_eq!(timestamp(parsed)[..6], [4, 38, 0, 0, 0, b'c']);
    }
}
