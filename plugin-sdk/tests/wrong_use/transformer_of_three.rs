use plugin_sdk::prelude::*;

#[transformer]
fn transform(_message: &Message, _record: &Record, _level: usize) -> Vec<Record> {
    Vec::new()
}

fn main() {}
