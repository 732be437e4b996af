//! Plugins in the host: lines and panics go to its log.

use std::panic::PanicHookInfo;

use log::{Level, Log, Metadata, Record};

pub struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        match record.args().as_str() {
            Some(text) => send(record.level(), record.target(), text),
            None => send(record.level(), record.target(), &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Without this the host would see that a plugin trapped, and not why.
pub fn install() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        match panic.location() {
            Some(place) => send(Level::Error, "panic", &format!("panicked at {place}: {text}")),
            None => send(Level::Error, "panic", &format!("panicked: {text}")),
        }
    }));
}

#[expect(unsafe_code, reason = "the canonical ABI takes addresses")]
fn send(level: Level, target: &str, message: &str) {
    #[link(wasm_import_module = "mqtt-source:plugin/host@0.1.0")]
    unsafe extern "C" {
        #[link_name = "log"]
        fn host_log(
            level: u32,
            target: *const u8,
            target_len: usize,
            message: *const u8,
            message_len: usize,
        );
    }

    // `level` of the contract begins with `error` at 0, that of `log` at 1.
    let level = level as u32 - 1;
    // SAFETY: the host reads both texts before it returns.
    unsafe {
        host_log(level, target.as_ptr(), target.len(), message.as_ptr(), message.len());
    }
}
