//! The attributes of `plugin-sdk`, which documents them where it re-exports them. Nothing else
//! should depend on this crate: what an attribute expands to is a matter between the two.

mod attribute;
mod expand;

use proc_macro::TokenStream;

use attribute::Attribute;

/// Declares an attribute.
macro_rules! attribute {
    ($name:ident, $attribute:ident) => {
        #[proc_macro_attribute]
        pub fn $name(arguments: TokenStream, item: TokenStream) -> TokenStream {
            expand::expand(Attribute::$attribute, &arguments.into(), &item.into()).into()
        }
    };
}

attribute!(key_setter, Key);
attribute!(value_setter, Value);
attribute!(timestamp_setter, Timestamp);
attribute!(payload_deserializer, PayloadDeserializer);
attribute!(transformer, Transformer);
attribute!(init, Init);
attribute!(on_client_connect_success, ConnectSuccess);
attribute!(on_client_connect_failure, ConnectFailure);
