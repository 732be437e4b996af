use plugin_sdk::prelude::*;

#[key_setter]
fn key(_message: &Message) -> Result<Vec<u8>, String> {
    Err("no key".into())
}

fn main() {}
