//! The attributes, and how the functions look that they go on.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// What a function is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Key,
    Value,
    Timestamp,
    PayloadDeserializer,
    Transformer,
    Init,
    ConnectSuccess,
    ConnectFailure,
}

impl Attribute {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key_setter",
            Self::Value => "value_setter",
            Self::Timestamp => "timestamp_setter",
            Self::PayloadDeserializer => "payload_deserializer",
            Self::Transformer => "transformer",
            Self::Init => "init",
            Self::ConnectSuccess => "on_client_connect_success",
            Self::ConnectFailure => "on_client_connect_failure",
        }
    }

    /// What such a function is called in errors.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Key | Self::Value | Self::Timestamp => "a setter",
            Self::PayloadDeserializer => "a payload deserializer",
            Self::Transformer => "a transformer",
            Self::Init => "an init function",
            Self::ConnectSuccess | Self::ConnectFailure => "a hook",
        }
    }

    pub const fn example(self) -> &'static str {
        match self {
            Self::Key => "fn key(message: &Message) -> Option<Vec<u8>>",
            Self::Value => "fn value(message: &Message) -> Option<Vec<u8>>",
            Self::Timestamp => "fn timestamp(message: &Message) -> Option<i64>",
            Self::PayloadDeserializer => {
                "fn deserialize(message: &Message) -> Result<serde_json::Value, Error>"
            }
            Self::Transformer => "fn transform(message: &Message) -> Vec<Record>",
            Self::Init => "fn init(config: Config) -> Result<(), Error>",
            Self::ConnectSuccess => "fn connected(connection: &Connection) -> Hook",
            Self::ConnectFailure => "fn failed(connection: &Connection, failure: &Failure) -> Hook",
        }
    }

    /// The SDK's types that such a function borrows, in order; `None` if it takes one argument of
    /// a type of its own.
    pub const fn borrows(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Key | Self::Value | Self::Timestamp | Self::PayloadDeserializer => {
                Some(&["Message"])
            }
            Self::Transformer => Some(&["Message", "Record"]),
            Self::Init => None,
            Self::ConnectSuccess => Some(&["Connection"]),
            Self::ConnectFailure => Some(&["Connection", "Failure"]),
        }
    }

    /// How many of these it has to take, from the first on.
    pub fn needs(self) -> usize {
        match self {
            Self::Transformer => 1,
            _ => self.borrows().map_or(1, <[_]>::len),
        }
    }

    /// Whether such a function has to return something.
    pub const fn answers(self) -> bool {
        self.borrows().is_some() && !matches!(self, Self::ConnectSuccess | Self::ConnectFailure)
    }

    /// The trait of what such a function returns.
    pub fn answer(self) -> TokenStream {
        match self {
            Self::Key => quote!(IntoKey),
            Self::Value => quote!(IntoValue),
            Self::Timestamp => quote!(IntoTimestamp),
            Self::PayloadDeserializer => quote!(IntoJson),
            Self::Transformer => quote!(IntoRecords),
            Self::Init => quote!(IntoInit),
            Self::ConnectSuccess | Self::ConnectFailure => quote!(IntoHook),
        }
    }

    pub fn ident(self) -> Ident {
        Ident::new(self.name(), Span::call_site())
    }
}
