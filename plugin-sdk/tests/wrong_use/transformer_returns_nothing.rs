use plugin_sdk::prelude::*;

#[transformer]
fn transform(_message: &Message) {}

fn main() {}
