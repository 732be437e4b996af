use plugin_sdk::prelude::*;

#[timestamp_setter]
fn timestamp() -> Option<i64> {
    None
}

fn main() {}
