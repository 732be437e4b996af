use plugin_sdk::prelude::*;

#[timestamp_setter]
fn timestamp(_message: &Message) {}

fn main() {}
