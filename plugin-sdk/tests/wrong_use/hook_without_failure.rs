use plugin_sdk::prelude::*;

#[on_client_connect_failure]
fn failed(connection: &Connection) {
    info!("{connection:?}");
}

fn main() {}
