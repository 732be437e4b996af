use plugin_sdk::prelude::*;

#[value_setter]
fn value<T>(message: &Message) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
