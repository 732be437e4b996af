//! The texts that projects are made of: templates, and files of the SDKs as they are.

use super::Language;

type Files = &'static [(&'static str, &'static str)];

/// Where the Rust SDK is that belongs to this `host`: it is in no registry.
pub const RUST_SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk");

macro_rules! sdk {
    ($path:literal) => {
        include_str!(concat!("../../../plugin-sdk/", $path))
    };
}

/// Files to fill in, and where they go.
pub(super) const fn of(language: Language) -> Files {
    match language {
        Language::Rust => &[
            ("Cargo.toml", sdk!("templates/rust/Cargo.toml")),
            ("src/lib.rs", sdk!("templates/rust/lib.rs")),
            // With the target that plugins need.
            ("rust-toolchain.toml", include_str!("../../../rust-toolchain.toml")),
            ("README.md", sdk!("templates/rust/README.md")),
            ("cases.jsonl", sdk!("templates/cases.jsonl")),
            (".gitignore", "/target\n"),
        ],
        Language::C => &[
            ("{{file}}.c", sdk!("templates/c/plugin.c")),
            ("test.c", sdk!("templates/c/test.c")),
            ("Makefile", sdk!("templates/c/Makefile")),
            ("README.md", sdk!("templates/c/README.md")),
            ("cases.jsonl", sdk!("templates/cases.jsonl")),
            (".gitignore", "/build\n"),
        ],
        Language::Go => &[
            ("go.mod", sdk!("templates/go/go.mod")),
            ("main.go", sdk!("templates/go/main.go")),
            ("main_test.go", sdk!("templates/go/main_test.go")),
            ("README.md", sdk!("templates/go/README.md")),
            ("cases.jsonl", sdk!("templates/cases.jsonl")),
            (".gitignore", "/build\n"),
        ],
        Language::JavaScript => &[
            ("package.json", sdk!("templates/javascript/package.json")),
            ("{{file}}.js", sdk!("templates/javascript/plugin.js")),
            ("test.js", sdk!("templates/javascript/test.js")),
            ("wit/world.wit", sdk!("templates/world.wit")),
            ("README.md", sdk!("templates/javascript/README.md")),
            ("cases.jsonl", sdk!("templates/cases.jsonl")),
            (".gitignore", "/node_modules\n/build\n"),
        ],
        Language::Python => &[
            ("{{file}}.py", sdk!("templates/python/plugin.py")),
            ("test_plugin.py", sdk!("templates/python/test_plugin.py")),
            ("Makefile", sdk!("templates/python/Makefile")),
            ("wit/world.wit", sdk!("templates/world.wit")),
            ("README.md", sdk!("templates/python/README.md")),
            ("cases.jsonl", sdk!("templates/cases.jsonl")),
            (".gitignore", "/build\n"),
        ],
    }
}

/// Files to copy, and where they go.
pub(super) const fn copied(language: Language) -> Files {
    match language {
        Language::Rust => &[("rust-toolchain.toml", sdk!("../rust-toolchain.toml"))],
        Language::C => &[
            ("sdk/plugin.h", sdk!("c/plugin.h")),
            ("sdk/plugin.c", sdk!("c/plugin.c")),
            ("sdk/json.c", sdk!("c/json.c")),
        ],
        Language::Go => &[
            ("sdk/clock/clock.go", sdk!("go/clock/clock.go")),
            ("sdk/clock/clock_other.go", sdk!("go/clock/clock_other.go")),
            ("sdk/clock/clock_wasip1.go", sdk!("go/clock/clock_wasip1.go")),
            ("sdk/config/config.go", sdk!("go/config/config.go")),
            ("sdk/config/export_wasip1.go", sdk!("go/config/export_wasip1.go")),
            ("sdk/connectfailure/connectfailure.go", sdk!("go/connectfailure/connectfailure.go")),
            ("sdk/connectfailure/export_wasip1.go", sdk!("go/connectfailure/export_wasip1.go")),
            ("sdk/connectsuccess/connectsuccess.go", sdk!("go/connectsuccess/connectsuccess.go")),
            ("sdk/connectsuccess/export_wasip1.go", sdk!("go/connectsuccess/export_wasip1.go")),
            ("sdk/deserializer/deserializer.go", sdk!("go/deserializer/deserializer.go")),
            ("sdk/deserializer/export_wasip1.go", sdk!("go/deserializer/export_wasip1.go")),
            ("sdk/go.mod", sdk!("go/go.mod")),
            ("sdk/internal/abi/answer_wasip1.go", sdk!("go/internal/abi/answer_wasip1.go")),
            ("sdk/internal/abi/hook_wasip1.go", sdk!("go/internal/abi/hook_wasip1.go")),
            ("sdk/internal/abi/memory_wasip1.go", sdk!("go/internal/abi/memory_wasip1.go")),
            ("sdk/internal/abi/message_wasip1.go", sdk!("go/internal/abi/message_wasip1.go")),
            ("sdk/internal/abi/record_wasip1.go", sdk!("go/internal/abi/record_wasip1.go")),
            ("sdk/key/export_wasip1.go", sdk!("go/key/export_wasip1.go")),
            ("sdk/key/key.go", sdk!("go/key/key.go")),
            ("sdk/plugin/connection.go", sdk!("go/plugin/connection.go")),
            ("sdk/plugin/errors.go", sdk!("go/plugin/errors.go")),
            ("sdk/plugin/log.go", sdk!("go/plugin/log.go")),
            ("sdk/plugin/log_other.go", sdk!("go/plugin/log_other.go")),
            ("sdk/plugin/log_wasip1.go", sdk!("go/plugin/log_wasip1.go")),
            ("sdk/plugin/message.go", sdk!("go/plugin/message.go")),
            ("sdk/plugin/record.go", sdk!("go/plugin/record.go")),
            ("sdk/timestamp/export_wasip1.go", sdk!("go/timestamp/export_wasip1.go")),
            ("sdk/timestamp/timestamp.go", sdk!("go/timestamp/timestamp.go")),
            ("sdk/transformer/export_wasip1.go", sdk!("go/transformer/export_wasip1.go")),
            ("sdk/transformer/transformer.go", sdk!("go/transformer/transformer.go")),
            ("sdk/value/export_wasip1.go", sdk!("go/value/export_wasip1.go")),
            ("sdk/value/value.go", sdk!("go/value/value.go")),
        ],
        Language::JavaScript => &[
            ("plugin.js", sdk!("javascript/plugin.js")),
            ("wit/plugin.wit", sdk!("wit/plugin.wit")),
        ],
        Language::Python => &[
            ("plugin_sdk.py", sdk!("python/plugin_sdk.py")),
            ("wit/plugin.wit", sdk!("wit/plugin.wit")),
        ],
    }
}
