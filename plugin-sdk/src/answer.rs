//! What setters may return: [`Key`], [`Value`] and [`Timestamp`], and everything that becomes one
//! of them. An answer is written straight into the packed form that the host reads, so that
//! returning a `&str` into the message allocates nothing.

use std::borrow::Cow;

use crate::Error;

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
    /// Milliseconds since the Unix epoch. The host takes a negative number for a bad message.
    EpochMs(i64),
    /// Make no record of this message. The text says why.
    Skip(Cow<'static, str>),
}

/// What a [`key_setter`](crate::key_setter) may return: `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]`, `Cow` of
/// these, [`Key`], and `Option` and `Result` of all of them. `None` is [`Key::Default`].
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

/// What a [`value_setter`](crate::value_setter) may return: `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]`, `Cow` of
/// these, [`Value`], and `Option` and `Result` of all of them. `None` is [`Value::Default`].
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

/// What a [`timestamp_setter`](crate::timestamp_setter) may return: `i64` in milliseconds since the Unix epoch,
/// [`Timestamp`], and `Option` and `Result` of them. `None` is [`Timestamp::Default`].
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
                    None => answers.default(),
                }
            }
        }

        impl<T: $into, E: Into<Error>> $into for Result<T, E> {
            fn write(self, answers: &mut Answers) {
                match self {
                    Ok(answer) => answer.write(answers),
                    Err(error) => answers.error(&error.into()),
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
                    Self::Default => answers.default(),
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
            Self::Default => answers.default(),
            Self::EpochMs(milliseconds) => answers.epoch_ms(milliseconds),
            Self::Skip(reason) => answers.skip(&reason),
        }
    }
}

/// Which answer a packed one is, and an exported setter's result too.
pub(crate) mod tag {
    pub const DEFAULT: u8 = 0;
    pub const NULL: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const SKIP: u8 = 3;
    pub const BAD_MESSAGE: u8 = 4;
    pub const FATAL: u8 = 5;
    pub const EPOCH_MS: u8 = 6;
}

/// Answers to the messages of one call, packed (`wit/plugin.wit`) one after the other.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Answers {
    packed: Vec<u8>,
}

impl Answers {
    /// More is given back to the allocator before the next call.
    const KEEP: usize = 1 << 20;

    pub const fn new() -> Self {
        Self { packed: Vec::new() }
    }

    /// Forgets the answers of the last call.
    pub fn clear(&mut self) {
        self.packed.clear();
        self.packed.shrink_to(Self::KEEP);
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.packed
    }

    fn default(&mut self) {
        self.packed.push(tag::DEFAULT);
    }

    fn null(&mut self) {
        self.packed.push(tag::NULL);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.sized(tag::BYTES, bytes);
    }

    fn skip(&mut self, reason: &str) {
        self.sized(tag::SKIP, reason.as_bytes());
    }

    fn error(&mut self, error: &Error) {
        let tag = if error.is_fatal() {
            tag::FATAL
        } else {
            tag::BAD_MESSAGE
        };
        self.sized(tag, error.text().as_bytes());
    }

    fn epoch_ms(&mut self, milliseconds: i64) {
        self.packed.reserve(9);
        self.packed.push(tag::EPOCH_MS);
        self.packed.extend_from_slice(&milliseconds.to_le_bytes());
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.packed.reserve(5 + bytes.len());
        self.packed.push(tag);
        // A plugin's whole memory has at most 4 GiB.
        self.packed
            .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.packed.extend_from_slice(bytes);
    }
}
