use plugin_sdk::prelude::*;

#[key_setter]
fn key(message: &Message, _level: usize) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
