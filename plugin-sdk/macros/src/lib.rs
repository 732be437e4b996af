//! The attributes of `plugin-sdk`, which documents them where it re-exports them. Nothing else
//! should depend on this crate: what an attribute expands to is a matter between the two.

mod setter;

use proc_macro::TokenStream;

use setter::Ability;

#[proc_macro_attribute]
pub fn key_setter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    setter::expand(Ability::Key, &arguments.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn value_setter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    setter::expand(Ability::Value, &arguments.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn timestamp_setter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    setter::expand(Ability::Timestamp, &arguments.into(), &item.into()).into()
}
