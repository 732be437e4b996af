//! Why a plugin cannot be used, for whoever gave it to `host`.

use std::io;
use std::path::PathBuf;

use super::Ability;
use super::contract::PACKAGE;

/// A plugin that cannot be used: which file, and why. Prints as one line with the cure.
#[derive(Debug, thiserror::Error)]
#[error("plugin {}: {problem}", file.display())]
pub struct LoadError {
    pub file: PathBuf,
    pub problem: Problem,
}

/// What is wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}; check the path")]
    Unreadable(io::Error),
    #[error("is given twice; give it once")]
    Twice,
    #[error(
        "is {0}, not WebAssembly; give the .wasm file that \
         `cargo build --release --target wasm32-unknown-unknown` makes"
    )]
    NotWasm(&'static str),
    #[error("is not valid WebAssembly ({0}); build or copy it again")]
    Invalid(String),
    #[error("is too much for a plugin: {0}; build it from less, or in parts")]
    TooMuch(String),
    #[error(
        "is WebAssembly, but no plugin: it exports nothing of {PACKAGE}; build it with plugin-sdk"
    )]
    NoContract,
    #[error(
        "was built for {PACKAGE} {found}, this host speaks {spoken}; \
         build it with plugin-sdk {spoken}"
    )]
    OtherVersion { found: String, spoken: String },
    #[error(
        "exports `{interface}` with another type: expected `{expected}`, found `{found}`; \
         build it with the plugin-sdk of this host"
    )]
    WrongType { interface: String, expected: String, found: String },
    #[error("does not fit the contract ({0}); build it with the plugin-sdk of this host")]
    Unfit(String),
    #[error(
        "imports `{0}`, which plugins are not granted; \
         build it for wasm32-unknown-unknown, without system calls"
    )]
    NotGranted(String),
    #[error(
        "needs what this host does not offer ({0}); \
         use a newer host, or build it with an older plugin-sdk"
    )]
    NotOffered(String),
    #[error(
        "has nothing to do: it exports {0}; export at least one of key-setter, value-setter, \
         timestamp-setter, transformer, payload-deserializer, connect-success-hook, connect-failure-hook"
    )]
    NoAbility(String),
    #[error("has a {ability}, and so has {}; give only one of them", other.display())]
    Claimed { ability: Ability, other: PathBuf },
    #[error(
        "has the SHA-256 {found}, not {expected}: it is another file than the configuration means; \
         restore that one, or correct `sha256`"
    )]
    OtherFile { expected: String, found: String },
    #[error(
        "has a configuration, but takes none: it exports no lifecycle; \
         leave the configuration out, or give the plugin an #[init] function"
    )]
    TakesNoConfig,
    #[error(
        "{} its configuration: {error}; correct it (--plugin-config, or `config` in the file)",
        if *given { "does not accept" } else { "does not start without" }
    )]
    Config { given: bool, error: String },
    #[error("does not start: {0}; see what it does before its first message")]
    Start(String),
    #[error("cannot be run: {0}")]
    Engine(String),
}
