use plugin_sdk::prelude::*;

#[transformer]
fn transform(message: &Message) -> Result<&str, Error> {
    message.text()
}

fn main() {}
