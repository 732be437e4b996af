//! The answer of a packed call, of any ability.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::plugin::fuzzing::packed(bytes));
