use plugin_sdk::prelude::*;

#[on_client_connect_success]
fn connected(failure: &Failure) {
    info!("{failure:?}");
}

fn main() {}
