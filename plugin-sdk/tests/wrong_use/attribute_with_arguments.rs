use plugin_sdk::prelude::*;

#[key_setter(level = 1)]
fn key(message: &Message) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
