use plugin_sdk::prelude::*;

struct Plugin;

impl Plugin {
    #[key_setter]
    fn key(&self, message: &Message) -> Option<Vec<u8>> {
        Some(message.payload().into())
    }
}

fn main() {}
