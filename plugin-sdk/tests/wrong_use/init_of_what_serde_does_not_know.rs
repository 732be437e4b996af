use plugin_sdk::prelude::*;

struct Config {
    level: usize,
}

#[init]
fn init(config: Config) {
    let _ = config.level;
}

fn main() {}
