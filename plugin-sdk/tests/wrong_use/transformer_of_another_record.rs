use plugin_sdk::prelude::*;

mod mine {
    pub struct Record;
}

#[transformer]
fn transform(_message: &Message, _record: &mine::Record) -> bool {
    true
}

fn main() {}
