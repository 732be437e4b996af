//! Plugins in the host: its clock.

#[expect(unsafe_code, reason = "the host's functions are foreign ones")]
pub fn now_ms() -> i64 {
    #[link(wasm_import_module = "mqtt-source:plugin/clock@0.1.0")]
    unsafe extern "C" {
        #[link_name = "now-ms"]
        fn host_now_ms() -> i64;
    }

    // SAFETY: it takes nothing and gives a number.
    unsafe { host_now_ms() }
}
