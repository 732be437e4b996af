use plugin_sdk::prelude::*;

#[key_setter]
extern "C" fn key(_message: &Message) -> i64 {
    0
}

fn main() {}
