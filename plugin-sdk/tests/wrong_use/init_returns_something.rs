use plugin_sdk::prelude::*;

#[init]
fn init(config: Vec<usize>) -> usize {
    config.len()
}

fn main() {}
