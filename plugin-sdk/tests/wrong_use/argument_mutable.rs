use plugin_sdk::prelude::*;

#[value_setter]
fn value(message: &mut Message) -> Option<Vec<u8>> {
    Some(message.payload().into())
}

fn main() {}
