//! What an MQTT server sends, and when.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::source::fuzzing::session(bytes));
