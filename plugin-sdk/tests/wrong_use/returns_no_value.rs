use plugin_sdk::prelude::*;

#[value_setter]
fn value(_message: &Message) -> Option<Key> {
    Some(Key::Null)
}

fn main() {}
