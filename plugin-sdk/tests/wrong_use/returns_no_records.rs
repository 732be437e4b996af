use plugin_sdk::prelude::*;

#[transformer]
fn transform(message: &Message) -> Option<Record> {
    Some(Record::new().value(message.payload()))
}

fn main() {}
