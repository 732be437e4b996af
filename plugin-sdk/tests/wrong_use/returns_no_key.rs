use plugin_sdk::prelude::*;

#[key_setter]
fn key(message: &Message) -> usize {
    message.payload().len()
}

fn main() {}
