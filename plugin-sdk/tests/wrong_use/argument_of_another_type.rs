use plugin_sdk::prelude::*;

#[key_setter]
fn key(message: &str) -> Option<Vec<u8>> {
    Some(message.into())
}

fn main() {}
