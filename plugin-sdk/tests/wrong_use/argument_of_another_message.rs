use plugin_sdk::prelude::*;

mod mine {
    pub struct Message;
}

#[key_setter]
fn key(_message: &mine::Message) -> Option<Vec<u8>> {
    None
}

fn main() {}
