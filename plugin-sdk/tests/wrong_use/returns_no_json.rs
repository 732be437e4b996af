use plugin_sdk::prelude::*;

#[payload_deserializer]
fn deserialize(message: &Message) -> Result<usize, Error> {
    Ok(message.payload().len())
}

fn main() {}
