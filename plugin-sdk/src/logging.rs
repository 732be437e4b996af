//! Where a plugin's log lines and panics go: to the host, or to standard error natively.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
use native as place;
#[cfg(target_arch = "wasm32")]
use wasm as place;

use std::sync::Once;

/// Makes `log` work, and on WebAssembly lets panics speak. Only the first call does anything.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever set a logger of their own keeps it.
        if log::set_logger(&place::Logger).is_ok() {
            // What is kept is for the host to say.
            log::set_max_level(log::LevelFilter::Trace);
        }
        place::install();
    });
}

#[cfg(test)]
mod tests {
    use crate::Message;

    #[test]
    fn a_test_that_makes_a_message_sees_what_the_plugin_logs() {
        let _ = Message::new("t", "");
        assert!(log::log_enabled!(log::Level::Trace));
    }
}
