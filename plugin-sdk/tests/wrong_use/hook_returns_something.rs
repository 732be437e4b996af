use plugin_sdk::prelude::*;

#[on_client_connect_success]
fn connected(connection: &Connection) -> bool {
    connection.reconnect
}

fn main() {}
