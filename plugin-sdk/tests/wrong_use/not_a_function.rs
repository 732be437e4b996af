use plugin_sdk::prelude::*;

#[key_setter]
struct Key2;

fn main() {}
