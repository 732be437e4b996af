use plugin_sdk::prelude::*;

#[key_setter]
async fn key(message: &Message) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
