//! The record's key is a level of the MQTT topic: `plant/dev42/temp` gets the key `dev42`, so
//! that all that a device sends lands in one Kafka partition, in order.

use plugin_sdk::prelude::*;

/// Which level it is, counted from 0.
const LEVEL: usize = 1;

#[key_setter]
fn key(message: &Message) -> Option<&str> {
    message.level(LEVEL).filter(|level| !level.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_second_level() {
        assert_eq!(key(&Message::new("plant/dev42/temp", "21.5")), Some("dev42"));
        assert_eq!(key(&Message::new("plant/dev42", "21.5")), Some("dev42"));
        assert_eq!(key(&Message::new("Werk/Gerät 7/temp", "21.5")), Some("Gerät 7"));
    }

    #[test]
    fn without_such_a_level_the_key_is_the_default() {
        assert_eq!(key(&Message::new("plant", "21.5")), None);
        assert_eq!(key(&Message::new("plant//temp", "21.5")), None);
    }
}
