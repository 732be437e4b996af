use plugin_sdk::prelude::*;

#[init]
fn init() -> Result<(), Error> {
    Ok(())
}

fn main() {}
