//! The system that C and Go programs find in a plugin: one that has nothing but standard output and
//! error, both of which are the log.
//!
//! Their compilers import `wasi_snapshot_preview1` whatever a program does. `preview1.wat` answers
//! those calls inside the plugin, so the host offers no more than to take what is written. The
//! official adapter is no choice: it asks the host for the time, which is forbidden while the host
//! waits for memory, and Go's collector does just that.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::log::PluginLog;
use super::state::State;
use super::text::LONGEST;

/// The module that system calls are imported from.
pub(super) const IMPORTED: &str = "wasi_snapshot_preview1";

/// What the adapter imports, and plugins through it.
pub(super) const OUTPUT: &str = "mqtt-source:preview1/output";

/// How much of a write is looked at, in bytes.
const AT_A_TIME: usize = 64 * 1024;

/// `preview1.wat`, assembled.
const ADAPTER: &[u8] = include_bytes!("preview1.bin");

/// Bytes rather than text: a write may end within a character.
const WIT: &str = "package mqtt-source:preview1;
    interface output { write: func(error: bool, bytes: list<u8>); }
    world adapter { import output; }";

/// The adapter, with the types of what it imports.
pub(super) fn adapter() -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("preview1.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("adapter"))?;
    let mut adapter = ADAPTER.to_vec();
    let encoding = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut adapter, &resolve, world, encoding)?;
    Ok(adapter)
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(OUTPUT)?.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, State>, (error, bytes): (bool, Vec<u8>)| {
            let State { output, log, .. } = store.data_mut();
            output.write(error, &bytes, log);
            Ok(())
        },
    )
}

/// What was written and is no whole line yet. Go writes in many small pieces.
#[derive(Default)]
pub(super) struct Output {
    out: Vec<u8>,
    error: Vec<u8>,
}

impl Output {
    /// Takes no more of what is written at a time than anybody reads: a call cannot be stopped meanwhile.
    fn write(&mut self, error: bool, bytes: &[u8], log: &PluginLog) {
        if bytes.len() > AT_A_TIME {
            log.drop_line();
        }
        let bytes = &bytes[..bytes.len().min(AT_A_TIME)];
        let line = if error { &mut self.error } else { &mut self.out };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.len() > LONGEST {
                end(line, error, log);
            }
        }
    }

    /// Logs what is left, at the end of a call.
    pub fn flush(&mut self, log: &PluginLog) {
        end(&mut self.out, false, log);
        end(&mut self.error, true, log);
    }
}

fn end(line: &mut Vec<u8>, error: bool, log: &PluginLog) {
    let text = String::from_utf8_lossy(line);
    if !text.trim().is_empty() {
        let (level, from) = if error {
            (tracing::Level::ERROR, "stderr")
        } else {
            (tracing::Level::INFO, "stdout")
        };
        log.write(level, from, &text);
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::PluginName;
    use crate::plugin::tests::{assert_assembled, logged};

    #[test]
    fn of_a_write_that_is_too_long_the_start_is_logged_and_the_rest_is_said_to_be_dropped() {
        let plugin = PluginName { name: "chatty".into(), sha256: String::new() };
        let (lines, ()) = logged(|| {
            let log = PluginLog::new(Arc::new(plugin), 10);
            let written = [b"first\n", &b"\n".repeat(AT_A_TIME)[..], b"last\n"].concat();
            let mut output = Output::default();
            output.write(false, &written, &log);
            output.flush(&log);
        });
        assert!(lines.contains("first") && !lines.contains("last"), "{lines}");
        assert!(lines.contains("1 lines dropped"), "{lines}");
    }

    #[test]
    fn the_committed_adapter_is_the_text() {
        assert_assembled("preview1", include_str!("preview1.wat"), "UPDATE_PREVIEW1");
    }
}
