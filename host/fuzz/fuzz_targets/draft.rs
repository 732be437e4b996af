//! A packed record.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| host::plugin::fuzzing::draft(bytes));
