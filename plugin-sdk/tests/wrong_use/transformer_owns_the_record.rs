use plugin_sdk::prelude::*;

#[transformer]
fn transform(message: &Message, record: Record) -> Record {
    record.value(message.topic())
}

fn main() {}
