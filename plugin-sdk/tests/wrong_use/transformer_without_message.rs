use plugin_sdk::prelude::*;

#[transformer]
fn transform() -> Vec<Record> {
    Vec::new()
}

fn main() {}
