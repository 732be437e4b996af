use plugin_sdk::prelude::*;

#[timestamp_setter]
fn timestamp(_message: &Message) -> Result<f64, Error> {
    Ok(0.5)
}

fn main() {}
