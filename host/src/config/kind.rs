//! What may be written for an option in the file: it follows from how the option is declared.

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Arg, ArgAction, CommandFactory};

use super::Secret;
use super::cli::Bridge;

/// The form of a value in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A boolean.
    Switch,
    /// An integer.
    Number,
    /// An integer, or a text with a unit.
    Size,
    /// One of a few texts; an integer where that is what it looks like.
    Choice,
    Text,
    /// A path, relative to the file's folder.
    Path,
    Texts,
    Paths,
    /// `NAME=VALUE`s as a table of texts, numbers and booleans.
    Table,
    /// `NAME=FILE`s as a table of paths.
    PathTable,
    /// A table that becomes JSON.
    Json,
}

impl Kind {
    /// Whether the values have names, by which layers are put together.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::PathTable)
    }
}

/// Every option of the bridge, in the order of the help.
pub fn options() -> Vec<Arg> {
    let mut command = Bridge::command();
    command.build();
    let named = command.get_arguments().filter(|option| {
        !matches!(option.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::Version)
    });
    named.cloned().collect()
}

/// An option's name on the command line, without its dashes.
pub fn name(option: &Arg) -> &str {
    option.get_long().unwrap_or_default()
}

/// The option's key in the file.
pub fn key(name: &str) -> String {
    name.replace('-', "_")
}

/// The option's environment variable.
pub fn variable(name: &str) -> String {
    format!("HOST_{}", key(name).to_uppercase())
}

/// The name of the option's value in the help, such as `FILE`.
pub fn value_name(option: &Arg) -> &str {
    option.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str())
}

pub fn of(option: &Arg) -> Kind {
    let holds = |wanted: TypeId| option.get_value_parser().type_id() == wanted;
    let is_path = holds(TypeId::of::<PathBuf>());
    match (value_name(option), repeatable(option)) {
        ("NAME=VALUE", true) => Kind::Table,
        ("NAME=FILE", true) => Kind::PathTable,
        (_, true) => {
            if is_path {
                Kind::Paths
            } else {
                Kind::Texts
            }
        }
        ("JSON|@FILE", _) => Kind::Json,
        ("SIZE", _) => Kind::Size,
        _ if holds(TypeId::of::<bool>()) => Kind::Switch,
        _ if [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()]
            .into_iter()
            .any(holds) =>
        {
            Kind::Number
        }
        _ if is_path => Kind::Path,
        (name, _) if name.contains('|') => Kind::Choice,
        _ => Kind::Text,
    }
}

/// The texts that an option of [`Kind::Choice`] takes.
pub fn choices(option: &Arg) -> Vec<&str> {
    value_name(option).split('|').collect()
}

/// Such a text in the file, where two of them are booleans.
pub fn choice_in_toml(choice: &str) -> String {
    if matches!(choice, "true" | "false") { choice.to_owned() } else { format!("{choice:?}") }
}

pub fn repeatable(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

/// Whether no value of the option may be shown.
pub fn is_secret(option: &Arg) -> bool {
    !of(option).is_table() && option.get_value_parser().type_id() == TypeId::of::<Secret>()
}

/// Whether the value under this name is one that nobody should see, such as `sasl.password`.
pub fn looks_secret(name: &str) -> bool {
    const WORDS: [&str; 8] = [
        "password",
        "passphrase",
        "passwd",
        "secret",
        "token",
        "credential",
        "authentication-data",
        "key.pem",
    ];
    const HARMLESS: [&str; 3] = [".url", ".uri", ".location"];
    let name = name.to_lowercase();
    let harmless = HARMLESS.iter().any(|end| name.ends_with(end));
    (!harmless && WORDS.iter().any(|word| name.contains(word)))
        // May hold a token's claims, or a whole private key.
        || matches!(name.as_str(), "sasl.oauthbearer.config" | "ssl_key" | "ssl.keystore.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_declaration() {
        let options = options();
        for (wanted, kind) in [
            ("topic", Kind::Texts),
            ("client-id", Kind::Text),
            ("port", Kind::Number),
            ("password", Kind::Text),
            ("password-file", Kind::Path),
            ("mqtt-version", Kind::Choice),
            ("tls-enabled", Kind::Switch),
            ("qos", Kind::Choice),
            ("property", Kind::Table),
            ("max-packet-size", Kind::Size),
            ("keep-alive", Kind::Number),
            ("kafka-config", Kind::Table),
            ("kafka-secret", Kind::PathTable),
            ("headers", Kind::Choice),
            ("print", Kind::Choice),
            ("plugin", Kind::Paths),
            ("plugin-config", Kind::Json),
            ("shutdown-timeout", Kind::Number),
            ("log", Kind::Text),
        ] {
            let option = options.iter().find(|option| name(option) == wanted).expect("an option");
            assert_eq!(of(option), kind, "{wanted}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_one() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "authentication-data",
            "user.api-token",
            "API_TOKEN",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "sasl.username",
            "ssl.key.location",
            "sasl.oauthbearer.token.endpoint.url",
            "compression.type",
            "ssl.certificate.pem",
            "receive-maximum",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
