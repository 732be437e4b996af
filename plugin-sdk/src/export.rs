//! The exports of each ability, written into the plugin's own crate by its attribute: an export
//! of a library that nobody calls would not be linked.

/// Exports one ability. The custom sections say what the module offers: `component-type` is the
/// attribute's world in `wit/plugin.wit`, `mqtt-source:sdk` is for people who wonder what a file
/// is.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (key_setter, $answer:path, $about:literal) => {
        $crate::__export! {
            typed_bytes, $answer, $about, KEY,
            "mqtt-source:plugin/key-setter@0.1.0#key",
            "mqtt-source:plugin/packed-key-setter@0.1.0#keys",
            "component-type:mqtt-source:plugin@0.1.0:sdk-key-plugin"
        }
    };
    (value_setter, $answer:path, $about:literal) => {
        $crate::__export! {
            typed_bytes, $answer, $about, VALUE,
            "mqtt-source:plugin/value-setter@0.1.0#value",
            "mqtt-source:plugin/packed-value-setter@0.1.0#values",
            "component-type:mqtt-source:plugin@0.1.0:sdk-value-plugin"
        }
    };
    (timestamp_setter, $answer:path, $about:literal) => {
        $crate::__export! {
            typed_time, $answer, $about, TIMESTAMP,
            "mqtt-source:plugin/timestamp-setter@0.1.0#timestamp",
            "mqtt-source:plugin/packed-timestamp-setter@0.1.0#timestamps",
            "component-type:mqtt-source:plugin@0.1.0:sdk-timestamp-plugin"
        }
    };
    (
        $call:ident, $answer:path, $about:literal, $world:ident,
        $typed:literal, $packed:literal, $section:literal
    ) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = $typed)]
            unsafe extern "C" fn typed(
                message: *mut $crate::__private::RawMessage,
            ) -> *const $crate::__private::Area {
                unsafe { $crate::__private::$call(message, $answer) }
            }

            #[unsafe(export_name = $packed)]
            unsafe extern "C" fn packed(at: u32, len: u32) -> *const $crate::__private::Area {
                unsafe { $crate::__private::packed(at, len, $answer) }
            }

            #[unsafe(link_section = $section)]
            static WORLD: [u8; $crate::__private::worlds::$world.len()] =
                *$crate::__private::worlds::$world;

            #[unsafe(link_section = "mqtt-source:sdk")]
            static ABOUT: [u8; $about.len()] = *$about;
        };
    };
}

/// The worlds of the attributes as wit-component encodes them. `tests/worlds.rs` writes them and
/// checks that they are what the contract says.
pub mod worlds {
    pub const KEY: &[u8; include_bytes!("../wit/sdk-key-plugin.bin").len()] =
        include_bytes!("../wit/sdk-key-plugin.bin");
    pub const VALUE: &[u8; include_bytes!("../wit/sdk-value-plugin.bin").len()] =
        include_bytes!("../wit/sdk-value-plugin.bin");
    pub const TIMESTAMP: &[u8; include_bytes!("../wit/sdk-timestamp-plugin.bin").len()] =
        include_bytes!("../wit/sdk-timestamp-plugin.bin");
}
