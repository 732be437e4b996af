//! A file as a plugin: loading it, starting it and calling it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::plugin::fuzzing::load(bytes));
