//! `host config schema`: the JSON Schema of the file, for editors that complete and check.
//!
//! It follows from how the options are declared, as the reading of the file does. What values mean
//! together it cannot say: `host config check` does.

use clap::Arg;
use serde_json::{Map, Value as Json, json};

use super::cli::OF_ROUTES;
use super::file::{LIMITS, limit_option};
use super::kind::{self, Kind};

/// The whole text.
pub fn text(options: &[Arg]) -> String {
    let option = |option: &&Arg| kind::name(option) != "config";
    let mut properties: Map<String, Json> = options.iter().filter(option).map(property).collect();
    let of_routes = |option: &&Arg| OF_ROUTES.contains(&kind::name(option));
    let mut of_route: Map<String, Json> = options.iter().filter(of_routes).map(property).collect();
    of_route.insert(
        "continue".to_owned(),
        json!({
            "type": "boolean",
            "default": false,
            "description": "Whether the routes below get the messages of this one, too.",
        }),
    );
    properties.insert(
        "route".to_owned(),
        json!({
            "type": "array",
            "items": { "$ref": "#/definitions/route" },
            "description": "Which messages go where: a message takes the first route that matches.",
        }),
    );
    let schema = json!({
        // What editors of TOML know best.
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of host",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "definitions": {
            "route": {
                "type": "object",
                "additionalProperties": false,
                "required": ["topic"],
                "properties": of_route,
            },
            "plugin": plugin(options),
            "values": table("values", &one_or_many(&json!({ "type": ["string", "number", "boolean"] }))),
            "paths": table("paths", &json!({ "type": "string", "minLength": 1 })),
        },
    });
    format!("{schema:#}\n")
}

/// The key of an option, and what may stand there.
fn property(option: &Arg) -> (String, Json) {
    let mut schema = match kind::name(option) {
        "plugin" => one_or_many(&json!({ "$ref": "#/definitions/plugin" })),
        _ => value(option),
    };
    if let (Some(default), Json::Object(schema)) = (default(option), &mut schema) {
        schema.insert("default".to_owned(), default);
    }
    let help = option.get_long_help().or(option.get_help()).map(ToString::to_string);
    if let (Some(help), Json::Object(schema)) = (help, &mut schema) {
        schema.insert("description".to_owned(), help.into());
    }
    (kind::key(kind::name(option)), schema)
}

fn value(option: &Arg) -> Json {
    match kind::of(option) {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Size => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$" },
            ],
        }),
        Kind::Choice => {
            let choices = kind::choices(option);
            let numbers = choices.iter().filter_map(|choice| choice.parse::<u64>().ok());
            let numbers: Vec<Json> = numbers.map(Json::from).collect();
            let choices = choices.into_iter().map(literal).chain(numbers);
            json!({ "enum": choices.collect::<Vec<_>>() })
        }
        Kind::Text => json!({ "type": "string" }),
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Texts => one_or_many(&json!({ "type": "string" })),
        Kind::Paths => one_or_many(&json!({ "type": "string", "minLength": 1 })),
        Kind::Table => json!({ "$ref": "#/definitions/values" }),
        Kind::PathTable => json!({ "$ref": "#/definitions/paths" }),
        Kind::Json => json!({ "type": "object", "additionalProperties": { "type": "object" } }),
    }
}

/// A list of one needs no brackets.
fn one_or_many(item: &Json) -> Json {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

/// Values by name; a name with dots is a table within a table for TOML.
fn table(name: &str, value: &Json) -> Json {
    let inner = json!({ "$ref": format!("#/definitions/{name}") });
    json!({ "type": "object", "additionalProperties": { "anyOf": [value, inner] } })
}

fn plugin(options: &[Arg]) -> Json {
    let limit = |key: &str| {
        let name = limit_option(key);
        let option = options.iter().find(|option| kind::name(option) == name)?;
        let mut schema = value(option);
        if let (Some(help), Json::Object(schema)) = (option.get_help(), &mut schema) {
            schema.insert("description".to_owned(), help.to_string().into());
        }
        Some((key.to_owned(), schema))
    };
    let limits: Map<String, Json> = LIMITS.into_iter().filter_map(limit).collect();
    json!({
        "anyOf": [
            { "type": "string", "minLength": 1 },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["file"],
                "properties": {
                    "file": { "type": "string", "minLength": 1, "description": "A .wasm file: core module or component." },
                    "sha256": {
                        "type": "string",
                        "pattern": "^[0-9A-Fa-f]{64}$",
                        "description": "Another file than the one with this SHA-256 is refused.",
                    },
                    "config": { "type": "object", "description": "What the plugin gets at its start." },
                    "limits": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": limits,
                        "description": "What this plugin may use up, where it is not as for all plugins.",
                    },
                    "clock": {
                        "type": "boolean",
                        "description": "Whether this plugin may know the time, where it is not as for all plugins.",
                    },
                },
            },
        ],
    })
}

fn default(option: &Arg) -> Option<Json> {
    let text = option.get_default_values().first()?.to_str()?;
    let is_number = || text.parse::<u64>().ok().map(Json::from);
    match kind::of(option) {
        Kind::Switch => Some((text == "true").into()),
        Kind::Number | Kind::Size => is_number().or_else(|| Some(text.into())),
        // "5" is a version, and 1 a quality of service.
        Kind::Choice => {
            let all = kind::choices(option).iter().all(|choice| choice.parse::<u64>().is_ok());
            if all { is_number() } else { Some(literal(text)) }
        }
        _ => Some(text.into()),
    }
}

/// A text of a choice; two of them are booleans in TOML.
fn literal(choice: &str) -> Json {
    match choice {
        "true" => true.into(),
        "false" => false.into(),
        text => text.into(),
    }
}
