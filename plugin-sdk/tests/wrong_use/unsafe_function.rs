use plugin_sdk::prelude::*;

#[key_setter]
unsafe fn key(message: &Message) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
