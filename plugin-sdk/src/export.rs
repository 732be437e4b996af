//! The exports of each attribute, written into the plugin's own crate by its attribute: an export
//! of a library that nobody calls would not be linked.

/// Exports one function. The custom sections say what the module offers: `component-type` is the
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
    (payload_deserializer, $answer:path, $about:literal) => {
        $crate::__export! {
            typed_json, $answer, $about, DESERIALIZER,
            "mqtt-source:plugin/payload-deserializer@0.1.0#deserialize",
            "mqtt-source:plugin/packed-payload-deserializer@0.1.0#deserialize-all",
            "component-type:mqtt-source:plugin@0.1.0:sdk-deserializer-plugin"
        }
    };
    (transformer, $answer:path, $about:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = "mqtt-source:plugin/packed-transformer@0.1.0#transform-all")]
            unsafe extern "C" fn packed(at: u32, len: u32) -> *const $crate::__private::Area {
                unsafe { $crate::__private::packed_records(at, len, $answer) }
            }
        };
        $crate::__export! {
            $about, TRANSFORMER, "component-type:mqtt-source:plugin@0.1.0:sdk-transformer-plugin"
        }
    };
    (init, $answer:path, $about:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = "mqtt-source:plugin/lifecycle@0.1.0#init")]
            unsafe extern "C" fn init(at: u32, len: u32) -> *const $crate::__private::Area {
                let config = $crate::__private::RawList { at, len };
                unsafe { $crate::__private::init(config, $answer) }
            }
        };
        $crate::__export! {
            $about, CONFIGURABLE, "component-type:mqtt-source:plugin@0.1.0:sdk-configurable"
        }
    };
    (on_client_connect_success, $answer:path, $about:literal) => {
        $crate::__export! {
            hook, $about, CONNECT_SUCCESS,
            "mqtt-source:plugin/connect-success-hook@0.1.0#on-client-connect-success",
            "component-type:mqtt-source:plugin@0.1.0:sdk-connect-success-plugin",
            (), |connection, answers| $answer(&connection, answers)
        }
    };
    (on_client_connect_failure, $answer:path, $about:literal) => {
        $crate::__export! {
            hook, $about, CONNECT_FAILURE,
            "mqtt-source:plugin/connect-failure-hook@0.1.0#on-client-connect-failure",
            "component-type:mqtt-source:plugin@0.1.0:sdk-connect-failure-plugin",
            (reason_at, reason_len, permanent, lost), |connection, answers| {
                let reason = $crate::__private::RawList { at: reason_at, len: reason_len };
                let failure = unsafe { $crate::__private::failure(reason, permanent, lost) };
                $answer(&connection, &failure, answers);
            }
        }
    };
    (
        hook, $about:literal, $world:ident, $name:literal, $section:literal,
        ($($more:ident),*), |$connection:ident, $answers:ident| $call:expr
    ) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn hook(
                server_at: u32,
                server_len: u32,
                client_id_at: u32,
                client_id_len: u32,
                attempt: u32,
                reconnect: u32,
                session_present: u32,
                at_ms: i64,
                $($more: u32,)*
            ) -> *const $crate::__private::Area {
                let server = $crate::__private::RawList { at: server_at, len: server_len };
                let client = $crate::__private::RawList { at: client_id_at, len: client_id_len };
                let $connection = unsafe {
                    $crate::__private::connection(
                        server, client, attempt, reconnect, session_present, at_ms,
                    )
                };
                $crate::__private::hook(|$answers| $call)
            }
        };
        $crate::__export! { $about, $world, $section }
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
        };
        $crate::__export! { $about, $world, $section }
    };
    ($about:literal, $world:ident, $section:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(link_section = $section)]
            static WORLD: [u8; $crate::__private::worlds::$world.len()] =
                *$crate::__private::worlds::$world;

            #[unsafe(link_section = "mqtt-source:sdk")]
            static ABOUT: [u8; $about.len()] = *$about;
        };
    };
}

/// Each world as a constant.
macro_rules! worlds {
    ($($world:ident = $file:literal),* $(,)?) => {
        /// The worlds of the attributes as wit-component encodes them. `tests/worlds.rs` writes
        /// them and checks that they are what the contract says.
        pub mod worlds {
            $(pub const $world: &[u8; include_bytes!($file).len()] = include_bytes!($file);)*
        }
    };
}

worlds! {
    KEY = "../wit/sdk-key-plugin.bin",
    VALUE = "../wit/sdk-value-plugin.bin",
    TIMESTAMP = "../wit/sdk-timestamp-plugin.bin",
    DESERIALIZER = "../wit/sdk-deserializer-plugin.bin",
    TRANSFORMER = "../wit/sdk-transformer-plugin.bin",
    CONFIGURABLE = "../wit/sdk-configurable.bin",
    CONNECT_SUCCESS = "../wit/sdk-connect-success-plugin.bin",
    CONNECT_FAILURE = "../wit/sdk-connect-failure-plugin.bin",
}
