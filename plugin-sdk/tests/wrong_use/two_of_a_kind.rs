use plugin_sdk::prelude::*;

#[key_setter]
fn key(message: &Message) -> Option<&str> {
    message.level(1)
}

mod elsewhere {
    use plugin_sdk::prelude::*;

    #[key_setter]
    fn other_key(message: &Message) -> Option<&str> {
        message.level(2)
    }
}

fn main() {}
